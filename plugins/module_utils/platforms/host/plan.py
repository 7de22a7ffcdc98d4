# SPDX-License-Identifier: GPL-3.0-or-later
"""What the files of a column have to be. Every thread is planned for itself: one that cannot be keeps back no other."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from ...certificates import certificates_of
from ...contract import keys, thread
from ...contract.app import Column
from ...contract.errors import BackupError, ConfigurationError, about
from ...contract.keys import KeyFile
from ...contract.record import decode_json, encode_json
from ...contract.thread import (
    IDENTITY_FILE,
    KEY_FILE,
    B2Destination,
    DirectoryDestination,
    DrillKeys,
    S3Destination,
    Thread,
)
from ...destinations.marker import NAME as MARKER
from ...identities import new_identity
from ...signatures import drill_keys
from ..proof import Proof, logins, proof_after
from .files import COLUMN_FILE, MARKER_FILE, THREAD_FILE, UNITS, File, Files
from .markers import UNBORN, Onboarding, onboard
from .siblings import check_apart, places_of_others
from .units import unit_files, unit_name

FORMAT = 1


@dataclass(frozen=True)
class Mark:
    """column.json: what makes a folder a column, for whoever looks for columns that no inventory claims, and what of it
    was proved."""

    format: int
    app: str
    platform: str
    destinations: tuple[str, ...]
    proof: Proof = "nothing"


@dataclass(frozen=True)
class Marked:
    """marker.json: the marker `id` that was found or made at a destination's `path`. Without it, a NAS that is away
    when a column comes back would be taken for a new one."""

    format: int
    path: str
    id: str


@dataclass
class Plan:
    """The wanted files; what stays proved; the paths of markers that a roll-out makes; what a user should know; threads
    that fail."""

    files: dict[str, File] = field(default_factory=dict)
    proof: Proof = "nothing"
    markers: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    failures: list[BackupError] = field(default_factory=list)


def plan(column: Column, found: Files, fanout: Path, *, check_mode: bool, ask: bool = True) -> Plan:
    """Return what a roll-out of `column` makes out of the files `found`.

    Markers of new directory destinations are made here, but not in check mode; unless `ask`, destinations are not even
    asked for theirs. Raise ConfigurationError when the drill identity is damaged: it is never replaced, since older
    copies can be decrypted by it alone.
    """
    planned = Plan(files=kept_markers(found))
    keys = _identity(column, found, planned, check_mode)
    if (password := column.secrets.app_database_password) is not None:
        planned.files.update({f"{source.name}.password": File(password + "\n") for source in column.sources})
    planned.files.update({name: File(text) for name, text in certificates_of(column).items()})
    onboarded = _onboarded(column, found, planned, check_mode, ask)
    markers = {name: onboarding.id for name, onboarding in onboarded.items()}
    others = places_of_others(column)
    for rendered in column.threads(keys, {**dict.fromkeys(column.destinations, ""), **markers}):
        if not isinstance(rendered.destination, DirectoryDestination) or rendered.destination.marker:
            with _gathered(column, rendered.name, planned):
                check_apart(column, rendered.name, others)
                planned.files |= _thread_files(column, rendered, found, fanout)
                continue
        _keep(column, rendered.name, found, planned)
    _leave_minted_keys(column, found, planned)
    planned.proof = proof_after(proof_in(found), _logins(found), _logins(planned.files))
    planned.files[COLUMN_FILE] = mark_of(column, planned.proof)
    return planned


def mark_of(column: Column, proof: Proof) -> File:
    """Return column.json."""
    return File(encode_json(Mark(FORMAT, column.app, column.platform, tuple(column.destinations), proof)))


def proof_in(found: Files) -> Proof:
    """Return what an earlier probe has proved."""
    try:
        return decode_json(Mark, found[COLUMN_FILE].text, COLUMN_FILE).proof
    except (KeyError, ConfigurationError):
        return "nothing"


def _logins(files: Files) -> frozenset[str]:
    threads = [file.text for path, file in files.items() if path.endswith(f"/{THREAD_FILE}")]
    return logins(threads, [file.text for path, file in files.items() if path.endswith((".password", ".ca.pem"))])


@contextlib.contextmanager
def _gathered(column: Column, destination: str, planned: Plan) -> Iterator[None]:
    try:
        with about(f"{column.app}/{destination}", "rolling out"):
            yield
    except BackupError as error:
        planned.failures.append(error)


def _identity(column: Column, found: Files, planned: Plan, check_mode: bool) -> DrillKeys:
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
    return DrillKeys(UNBORN, UNBORN) if check_mode else drill_keys(text, IDENTITY_FILE)


def _onboarded(column: Column, found: Files, planned: Plan, check_mode: bool, ask: bool) -> dict[str, Onboarding]:
    """Return what is known of each directory destination. One that is not as it was keeps the id that it had."""
    known = {}
    for name, where in column.destinations.items():
        if not isinstance(where, DirectoryDestination):
            continue
        place = f"{name}/{MARKER_FILE}"
        with _gathered(column, name, planned):
            recorded = _recorded(found.get(place), where.path)
            if recorded is not None:
                known[name] = Onboarding(recorded)
            known[name] = onboard(Path(where.path), recorded, check_mode) if ask else Onboarding(recorded or UNBORN)
            if known[name].new:
                planned.markers.append(str(PurePosixPath(where.path) / MARKER))
            planned.warnings += [f"{column.app}/{name}: {warning}" for warning in known[name].warnings]
        if name in known:
            planned.files[place] = File(encode_json(Marked(FORMAT, where.path, known[name].id)))
    return known


def kept_markers(found: Files) -> dict[str, File]:
    """Return the files that say which folder each destination is: also of one that left the inventory."""
    return {path: file for path, file in found.items() if path.endswith(f"/{MARKER_FILE}")}


def _recorded(earlier: File | None, path: str) -> str | None:
    """Return the marker id that an earlier roll-out found at the same path. Raise ConfigurationError if it cannot be
    read any more: nobody knows then whether the folder is the one that it was."""
    if earlier is None:
        return None
    known = decode_json(Marked, earlier.text, MARKER_FILE)
    return known.id if known.path == path else None


def _thread_files(column: Column, rendered: Thread, found: Files, fanout: Path) -> dict[str, File]:
    name = rendered.name
    files = {f"{name}/{THREAD_FILE}": File(thread.render(rendered))}
    files |= unit_files(column, name, fanout)
    if isinstance(rendered.destination, S3Destination):
        place = f"{name}/{KEY_FILE}"
        if place in found and _minted(found[place]):
            raise ConfigurationError(
                f"{place} holds a key of Backblaze B2, and the destination is now of kind s3",
                remedy="run b2_application_key first, as playbooks/site.yml does: it deletes that key",
            )
        files[place] = File(keys.render(KeyFile(current=column.s3_key(name))))
    return files


def _keep(column: Column, name: str, found: Files, planned: Plan) -> None:
    """A thread that cannot be rolled out stays as it is."""
    ours = (f"{name}/{THREAD_FILE}", f"{name}/{KEY_FILE}")
    unit = f"{UNITS}/{unit_name(column, name)}."
    planned.files |= {path: file for path, file in found.items() if path in ours or path.startswith(unit)}


def _leave_minted_keys(column: Column, found: Files, planned: Plan) -> None:
    """What b2_application_key wrote is its own: it stays, also where the destination left the inventory."""
    planned.files |= minted_keys(found)
    for path in minted_keys(found):
        name = str(PurePosixPath(path).parent)
        if not isinstance(column.destinations.get(name), B2Destination):
            warning = unreadable_key(path, found[path]) or _left_key(path, found[path])
            planned.warnings.append(f"{column.app}/{name}: {warning}")


def minted_keys(found: Files) -> dict[str, File]:
    """Return the key files that only b2_application_key may change, and those that nobody can read."""
    return {path: file for path, file in found.items() if path.endswith(f"/{KEY_FILE}") and _minted(file)}


def unreadable_key(path: str, file: File) -> str:
    """Return what to tell a user about a key file that nobody can use any more, or "" if it can be read."""
    try:
        keys.parse(file.text.encode(), path)
    except ConfigurationError:
        return f"{path} stays and cannot be read. Remedy: look for its key at Backblaze and delete both"
    return ""


def _left_key(path: str, file: File) -> str:
    current = keys.parse(file.text.encode(), path).current
    key_id = current.key_id if current else "none"
    return f"{path} stays with the key {key_id}. Remedy: run b2_application_key, which deletes both"


def _minted(file: File) -> bool:
    try:
        return keys.parse(file.text.encode(), KEY_FILE).api_url is not None
    except ConfigurationError:
        return True
