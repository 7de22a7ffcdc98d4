# SPDX-License-Identifier: GPL-3.0-or-later
"""Rolling a column out on this machine, and taking it away again."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from ...contract.errors import BackupError, about
from ...contract.thread import IDENTITY_FILE, ThreadName
from ...inventory.column import Column
from ...local import confinement
from ...local.files import locked_folder, make_private_folder
from ...local.identities import recipient
from ..base import Change, joined
from . import systemd
from .column_files import UNITS, File, State, apply, read_state, shown, sweep_column, wanted_state
from .command import executable
from .plan import kept_records, minted_keys, plan, unreadable_key
from .units import unit_name

_IDLE = "systemd does not run here: the timers of columns are written, but nothing starts them"
_SESSION = "the timers of columns stop when this user logs out. Remedy: loginctl enable-linger"


def present(column: Column, check_mode: bool, take_over: bool) -> Change:
    """See RollOut.present."""
    with about(column.app, "rolling out"):
        for text in column.variables.app_recovery_recipients:
            recipient(text)
        fanout = executable()
        with _held(column, check_mode) as before:
            planned = plan(column, before.files, fanout, take_over=take_over, check_mode=check_mode)
            after = wanted_state(planned.files)
            machine = systemd.this_machine()
            roll_out = _RollOut(column, before, after, machine)
            shown_before, shown_after = roll_out.shown(planned.failures)
            shown_after |= {claimed: {"content": "<set>"} for claimed in planned.claimed}
            if not check_mode:
                roll_out.apply(planned.failures)
    warnings = [*planned.warnings]
    if machine is None:
        warnings.append(_IDLE)
    elif systemd.ends_with_the_session():
        warnings.append(_SESSION)
    if column.drill_destinations and (error := confinement.obstacle()):
        warnings.append(f"{column.app}: its drills cannot run here: {error.problem}. Remedy: {error.remedy}")
    return Change(shown_before, shown_after, tuple(warnings), joined(planned.failures), planned.proved.proof)


def absent(column: Column, check_mode: bool) -> Change:
    """See RollOut.absent."""
    with about(column.app, "removing its column"):
        if not Path(column.folder).is_dir():
            return Change({}, {})
        with _held(column, check_mode) as before:
            left = minted_keys(before.files)
            identity = {name: file for name, file in before.files.items() if name == IDENTITY_FILE}
            after = wanted_state({**identity, **left, **kept_records(before.files)})
            failures: list[BackupError] = []
            roll_out = _RollOut(column, before, after, systemd.this_machine())
            shown_before, shown_after = roll_out.shown(failures)
            if not check_mode:
                roll_out.apply(failures)
    warnings = [f"{column.app}: {warning}" for path, file in left.items() if (warning := unreadable_key(path, file))]
    if identity and shown_before != shown_after:
        warnings.append(f"{column.app}: {column.folder / IDENTITY_FILE} stays: it decrypts the backups, which stay too")
    return Change(shown_before, shown_after, tuple(warnings), joined(failures))


@contextlib.contextmanager
def _held(column: Column, check_mode: bool) -> Iterator[State]:
    """Yield the column's state, and keep other roll-outs of it out meanwhile."""
    folder = Path(column.folder)
    if check_mode:
        yield read_state(folder)
        return
    existed = folder.is_dir()
    if not existed:
        make_private_folder(folder)
    with locked_folder(folder):
        sweep_column(folder)
        yield read_state(folder) if existed else State({}, {})


class _RollOut:
    """One change of a column's files and of the units that systemd runs."""

    def __init__(self, column: Column, before: State, after: State, machine: systemd.Systemd | None) -> None:
        self._column = column
        self._folder = Path(column.folder)
        self._before = before
        self._after = after
        self._machine = machine
        self._unused: set[str] = set()

    def shown(self, failures: list[BackupError]) -> tuple[dict[str, object], dict[str, object]]:
        """Return both states as a user may see them. A unit that systemd cannot take is a failure of its thread."""
        before, after = shown(self._before, self._after)
        if self._machine is None:
            return before, after
        for name in sorted(_units(self._before.files) | _units(self._after.files)):
            with self._gathered(name, failures):
                used = self._machine.in_use(self._folder / name)
                if name in before:
                    before[name] = {**_mapping(before[name]), "in use": used}
                if name in after:
                    after[name] = {**_mapping(after[name]), "in use": True}
                if name in after and not used:
                    self._machine.check_free(self._folder / name)
                    self._unused.add(name)
        return before, after

    def apply(self, failures: list[BackupError]) -> None:
        """Make it so."""
        after = self._after
        gone = {name: self._before.files[name] for name in _units(self._before.files) - _units(after.files)}
        if self._machine and gone:
            try:
                with about(self._column.app, "stopping units"):
                    self._machine.drop(self._folder / name for name in sorted(gone))
            except BackupError as error:
                # Without their files the next roll-out would not know that these units still run.
                failures.append(error)
                after = wanted_state({**after.files, **gone})
        apply(self._folder, self._before, after)
        if self._machine:
            self._use(self._machine, failures)

    def _use(self, machine: systemd.Systemd, failures: list[BackupError]) -> None:
        before, after = self._before.files, self._after.files
        outdated = any(before[name].text != after[name].text for name in _units(after) & _units(before))
        for name in self._column.thread_names:
            prefix = f"{UNITS}/{unit_name(name)}."
            with self._gathered(f"{prefix}timer", failures):
                if outdated:
                    machine.reload()
                    outdated = False
                machine.use(self._folder / name for name in sorted(self._unused) if name.startswith(prefix))

    @contextlib.contextmanager
    def _gathered(self, unit: str, failures: list[BackupError]) -> Iterator[None]:
        """Let an error be one of the thread whose unit this is."""
        source, destination = Path(unit).name.split(".")[1:3]
        try:
            with about(str(ThreadName(self._column.app, source, destination)), "handing it to systemd"):
                yield
        except BackupError as error:
            failures.append(error)


def _units(files: Mapping[str, File]) -> set[str]:
    return {name for name in files if name.startswith(f"{UNITS}/fanout-")}


def _mapping(value: object) -> dict[str, object]:
    return dict(value) if isinstance(value, Mapping) else {}
