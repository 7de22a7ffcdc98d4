# SPDX-License-Identifier: GPL-3.0-or-later
"""How a column on this machine differs from what a roll-out would make of it: the same plan, but nothing is written and
no destination is asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ...contract import key_file
from ...contract.destination import B2Destination
from ...contract.errors import BackupError, ConfigurationError, about
from ...contract.thread import KEY_FILE, ThreadName
from ...inventory.column import Column
from ..base import Drift
from ..differences import fields_of_json, listed, told
from . import systemd
from .column_files import COLUMN_FILE, THREAD_FILE, UNITS, File, Files, State, path_of, read_state, wanted_state
from .command import executable
from .plan import mark_of, plan, proved_in
from .units import unit_name


def differences(column: Column) -> Drift:
    """See DriftOf.differences."""
    folder = Path(column.folder)
    with about(column.app, "comparing it with what would be rolled out"):
        found = read_state(folder)
        if COLUMN_FILE not in found.files and not any(path.endswith(f"/{THREAD_FILE}") for path in found.files):
            return {str(name): [told("it is not rolled out")] for name in column.thread_names}
        planned = plan(column, found.files, executable(), take_over=False, check_mode=True, ask=False)
        # What was proved is no part of what is compared: a changed login, which is, takes it back.
        planned.files[COLUMN_FILE] = mark_of(column, proved_in(found.files))
    drift: dict[str, list[str]] = {name: [] for name in ("", *map(str, column.thread_names))}
    for path, lines in _of_the_folder(folder, found, wanted_state(planned.files)):
        drift[_whose(column, path)] += lines
    for name in column.thread_names:
        drift[str(name)] += _of_a_minted_key(column, name, found.files)
    for error in planned.failures:
        drift[error.subject].append(told(error.problem, error.remedy))
    return drift


def _of_the_folder(folder: Path, found: State, wanted: State) -> Iterator[tuple[str, list[str]]]:
    """Yield the path of each file or folder, relative to the column's, with what is to be told of it."""
    for path in sorted(found.files.keys() | wanted.files.keys()):
        yield path, list(map(told, _of_a_file(folder, path, found.files.get(path), wanted.files.get(path))))
    for path, mode in wanted.folders.items():
        if found.folders.get(path, mode) != mode:
            yield f"{path}/", [told(f"{folder / path} has the mode {found.folders[path]:04o} instead of {mode:04o}")]
    if (machine := systemd.this_machine()) is not None:
        for path in sorted(wanted.files):
            if path.startswith(f"{UNITS}/"):
                yield path, _of_a_unit(machine, folder / path)


def _whose(column: Column, path: str) -> str:
    """Return the thread to which a file belongs, or "" for what several have in common."""
    owners = (
        str(name)
        for name in column.thread_names
        if path.startswith((path_of(name, ""), *(f"{UNITS}/{unit_name(name)}{end}." for end in ("", ".drill"))))
    )
    return next(owners, "")


def _of_a_file(folder: Path, path: str, found: File | None, wanted: File | None) -> Iterator[str]:
    if found is None or wanted is None:
        yield f"{folder / path} is {'missing' if found is None else 'not wanted any more'}"
        return
    if found.text != wanted.text:
        fields = fields_of_json(found.text, wanted.text) if path.endswith(".json") else []
        yield f"{folder / path} differs{f': {listed(fields)}' if fields else ''}"
    if found.mode != wanted.mode:
        yield f"{folder / path} has the mode {found.mode:04o} instead of {wanted.mode:04o}"


def _of_a_minted_key(column: Column, name: ThreadName, found: Files) -> list[str]:
    """Backblaze is not asked: a look needs no key of the account, and what the key reaches is probed."""
    where, path = column.destination_of(name), path_of(name, KEY_FILE)
    if not isinstance(where, B2Destination):
        return []
    shown = str(Path(column.folder) / path)
    if path not in found:
        return [told(f"{shown} is missing")]
    try:
        current = key_file.parse(found[path].text.encode(), path).current
    except ConfigurationError:
        current = None
    if current is None:
        return [told(f"{shown} holds no key")]
    if (current.bucket, current.prefix) != (where.bucket, column.source_prefix(name.source)):
        return [told(f"{shown} holds a key for another place")]
    return []


def _of_a_unit(machine: systemd.Systemd, unit: Path) -> list[str]:
    try:
        used = machine.in_use(unit)
    except BackupError as error:
        return [told(f"whether {unit.name} is in use is unknown: {error.problem}", error.remedy)]
    in_use = "enabled and active" if unit.suffix == ".timer" else "linked"
    revert = f"remove it: {' '.join(machine.command)} revert {unit.name}"
    overrides = [told(f"{override} changes {unit.name}", revert) for override in machine.overrides(unit)]
    return [*([] if used else [told(f"{unit.name} is not {in_use}")]), *overrides]
