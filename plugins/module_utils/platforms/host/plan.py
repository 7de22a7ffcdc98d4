# SPDX-License-Identifier: GPL-3.0-or-later
"""What the files of a column have to be. Every thread is planned for itself: one that cannot be keeps back no other."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import ClassVar

from ...contract import key_file, thread
from ...contract.codec import decode_json, encode_json
from ...contract.destination import B2Destination, S3Destination
from ...contract.errors import ConfigurationError
from ...contract.key_file import KeyFile
from ...contract.object_names import OWNER
from ...contract.thread import IDENTITY_FILE, KEY_FILE, DrillKeys, Thread, ThreadName
from ...inventory.column import CA_FILE, PASSWORD_FILE, Column, ColumnSource
from ...local.certificates import certificates_in
from ...local.files import write_private
from ...local.identities import new_identity
from ...local.signatures import drill_keys
from ..column_plan import ColumnPlan
from ..probe_record import NOTHING, ProbeRecord, key_ids, logins, record_after
from .column_files import COLUMN_FILE, ONBOARDED_FILE, THREAD_FILE, UNITS, File, Files, path_of
from .onboarding import Newcomer, OnboardingResult, onboard
from .siblings import check_apart, places_of_others
from .units import unit_files, unit_name

# What a diff shows before a roll-out has made it.
UNBORN = "<made at roll-out>"


@dataclass(frozen=True)
class Mark:
    """column.json: what makes a folder a column, for whoever looks for columns that no inventory claims, and what of it
    was proved."""

    FORMAT: ClassVar[int] = 1

    format: int
    app: str
    platform: str
    threads: tuple[str, ...]
    proved: ProbeRecord = NOTHING


@dataclass
class FilePlan(ColumnPlan):
    """The wanted files, and the owner.json that a roll-out writes."""

    files: dict[str, File] = field(default_factory=dict)
    claimed: list[str] = field(default_factory=list)


def plan(
    column: Column, found: Files, fanout: Path, *, take_over: bool, check_mode: bool, ask: bool = True
) -> FilePlan:
    """Return what a roll-out of `column` makes out of the files `found`.

    New threads are onboarded here, but not in check mode, which only looks; unless `ask`, no destination is even asked.
    Raise ConfigurationError when the drill identity is damaged: it is never replaced, since older copies can be
    decrypted by it alone.
    """
    planned = FilePlan(files=kept_records(found))
    keys = _identity(column, found, planned, check_mode)
    for source, given in column.sources.items():
        planned.files |= {f"{source}/{file}": File(text) for file, text in _source_files(given).items()}
    others = places_of_others(column)
    able: dict[ThreadName, tuple[Thread, dict[str, File]]] = {}
    for rendered in column.threads(keys):
        with planned.gathered(rendered.name):
            check_apart(column, rendered.name, others)
            able[rendered.name] = (rendered, _thread_files(column, rendered, found, fanout))
    newcomers = [_newcomer(rendered, files, found) for rendered, files in able.values()]
    if ask:
        onboarded = onboard(column, newcomers, fanout, take_over=take_over, check_mode=check_mode)
    else:
        onboarded = {one.thread.name: OnboardingResult(one.recorded) for one in newcomers}
    for name in column.thread_names:
        onboarding = onboarded.get(name)
        if onboarding is not None and onboarding.failure is not None:
            planned.fail(name, onboarding.failure)
        if onboarding is None or name in planned.kept:
            _keep(name, found, planned)
            continue
        planned.files |= able[name][1]
        if onboarding.record is not None:
            planned.files[path_of(name, ONBOARDED_FILE)] = File(onboarding.record)
        if onboarding.new:
            planned.claimed.append(f"{name.source}/{name.destination}: {OWNER}")
        planned.warnings += [f"{name}: {onboarding.warning}"] if onboarding.warning else []
    _leave_minted_keys(column, found, planned)
    tried = keys_in(column, {**found, **planned.files})
    planned.proved = record_after(proved_in(found), tried, _logins(found), _logins(planned.files))
    planned.files[COLUMN_FILE] = mark_of(column, planned.proved)
    return planned


def _source_files(source: ColumnSource) -> dict[str, str]:
    files = {} if source.password is None else {PASSWORD_FILE: f"{source.password}\n"}
    return files | ({} if source.ca is None else {CA_FILE: certificates_in(source.ca)})


def _newcomer(rendered: Thread, files: Files, found: Files) -> Newcomer:
    """Return a thread with what onboarding needs of it. A key that is not whole yet is none."""
    place = path_of(rendered.name, KEY_FILE)
    key = (files.get(place) or found.get(place) or File("")).text
    with contextlib.suppress(ConfigurationError):
        if key_file.parse(key.encode(), place).current is None:
            key = ""
    recorded = found.get(path_of(rendered.name, ONBOARDED_FILE))
    return Newcomer(rendered, key or None, recorded.text if recorded else None)


def mark_of(column: Column, proved: ProbeRecord) -> File:
    """Return column.json."""
    threads = tuple(map(str, column.thread_names))
    return File(encode_json(Mark(Mark.FORMAT, column.app, column.platform, threads, proved)))


def keys_in(column: Column, files: Files) -> dict[str, str]:
    """Return the id of each thread's key."""
    paths = {name: path_of(name, KEY_FILE) for name in column.thread_names}
    return key_ids(column, {name: files[path].text for name, path in paths.items() if path in files})


def proved_in(found: Files) -> ProbeRecord:
    """Return what an earlier probe has proved."""
    try:
        return decode_json(Mark, found[COLUMN_FILE].text, COLUMN_FILE).proved
    except (KeyError, ConfigurationError):
        return NOTHING


def _logins(files: Files) -> frozenset[str]:
    threads = [file.text for path, file in files.items() if path.endswith(f"/{THREAD_FILE}")]
    beside = (f"/{PASSWORD_FILE}", f"/{CA_FILE}")
    return logins(threads, [file.text for path, file in files.items() if path.endswith(beside)])


def _identity(column: Column, found: Files, planned: FilePlan, check_mode: bool) -> DrillKeys:
    """Plan the drill identity and return its public halves."""
    known = found.get(IDENTITY_FILE)
    if known is not None:
        # Its mode is put right, its text never touched.
        planned.files[IDENTITY_FILE] = File(known.text)
        return drill_keys(known.text, str(PurePosixPath(column.folder) / IDENTITY_FILE))
    if any(name.endswith(f"/{THREAD_FILE}") for name in found):
        planned.warnings.append(
            f"{column.app}: {IDENTITY_FILE} is gone, and a new one is made: older copies can only be decrypted with the"
            " recovery identity"
        )
    text = new_identity()
    planned.files[IDENTITY_FILE] = File(text)
    if check_mode:
        return DrillKeys(UNBORN, UNBORN)
    # Before anything is onboarded: what belongs to an identity that is gone again belongs to nobody.
    write_private(Path(column.folder) / IDENTITY_FILE, text)
    return drill_keys(text, IDENTITY_FILE)


def kept_records(found: Files) -> dict[str, File]:
    """Return the records of what was onboarded where: also of a thread that left the inventory."""
    return {path: file for path, file in found.items() if path.endswith(f"/{ONBOARDED_FILE}")}


def _thread_files(column: Column, rendered: Thread, found: Files, fanout: Path) -> dict[str, File]:
    name = rendered.name
    files = {path_of(name, THREAD_FILE): File(thread.render(rendered))}
    files |= unit_files(column, name, fanout)
    if isinstance(rendered.destination, S3Destination):
        place = path_of(name, KEY_FILE)
        if place in found and _minted(found[place]):
            raise ConfigurationError(
                f"{place} holds a key of Backblaze B2, and the destination is now of kind s3",
                remedy="run b2_application_key first, as fanout.backup.site does: it deletes that key",
            )
        files[place] = File(key_file.render(KeyFile(current=column.s3_key(name))))
    return files


def _keep(name: ThreadName, found: Files, planned: FilePlan) -> None:
    """A thread that cannot be rolled out stays as it is."""
    ours = (path_of(name, THREAD_FILE), path_of(name, KEY_FILE))
    unit = f"{UNITS}/{unit_name(name)}."
    planned.files |= {path: file for path, file in found.items() if path in ours or path.startswith(unit)}


def _leave_minted_keys(column: Column, found: Files, planned: FilePlan) -> None:
    """What b2_application_key wrote is its own: it stays, also where the thread left the inventory."""
    planned.files |= minted_keys(found)
    for path in minted_keys(found):
        name = ThreadName(column.app, *PurePosixPath(path).parts[:2])
        where = column.destinations.get(name.destination)
        if name.source not in column.sources or not isinstance(where, B2Destination):
            warning = unreadable_key(path, found[path]) or _left_key(path, found[path])
            planned.warnings.append(f"{name}: {warning}")


def minted_keys(found: Files) -> dict[str, File]:
    """Return the key files that only b2_application_key may change, and those that nobody can read."""
    return {path: file for path, file in found.items() if path.endswith(f"/{KEY_FILE}") and _minted(file)}


def unreadable_key(path: str, file: File) -> str:
    """Return what to tell a user about a key file that nobody can use any more, or "" if it can be read."""
    try:
        key_file.parse(file.text.encode(), path)
    except ConfigurationError:
        return f"{path} stays and cannot be read. Remedy: look for its key at Backblaze and delete both"
    return ""


def _left_key(path: str, file: File) -> str:
    current = key_file.parse(file.text.encode(), path).current
    key_id = current.key_id if current else "none"
    return f"{path} stays with the key {key_id}. Remedy: run b2_application_key, which deletes both"


def _minted(file: File) -> bool:
    try:
        return key_file.parse(file.text.encode(), KEY_FILE).api_url is not None
    except ConfigurationError:
        return True
