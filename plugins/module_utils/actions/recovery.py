# SPDX-License-Identifier: GPL-3.0-or-later
"""Proof that the owner can still decrypt: challenges encrypted to recovery recipients, and when each was answered.

<app_host_directory>/recovery/
    <digest of the recipient>.json   the record: when it was challenged and when the answer came
    <digest of the recipient>.age    the open challenge, which only the offline identity decrypts

A recipient has one record, whichever apps name it. An answer proves one recipient, and one is enough for an app.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

from ..contract.codec import decode_json, encode_json
from ..contract.durations import spoken
from ..contract.errors import BackupError, ConfigurationError, DataRefused
from ..contract.manifest import moment, timestamp
from ..inventory.column import Column
from ..local.encryption import encrypt_bytes
from ..local.files import make_private_folder, remove_file, write_private

VALID_FOR = timedelta(days=365)
# Out of reach for guessing, and its 16 letters can be typed from the screen of a machine that has no network.
_ANSWER_BYTES = 10
_GROUP = 4
_RUN = "run fanout.backup.recovery_check"


@dataclass(frozen=True)
class Challenge:
    """A random answer, encrypted and armored. Of the answer itself only the digest is kept."""

    encrypted: str
    answer_sha256: str
    made: str


@dataclass(frozen=True)
class RightAnswer:
    """The last right answer: when it came, and its digest, by which the next app knows the same answer again."""

    answered: str
    answer_sha256: str


@dataclass(frozen=True)
class RecipientRecord:
    """What is known of one recovery recipient. `challenge` is the one that waits for its answer."""

    FORMAT: ClassVar[int] = 1

    format: int
    recipient: str
    challenge: Challenge | None = None
    proof: RightAnswer | None = None

    @property
    def name(self) -> str:
        """The name of the record's files, without their ending."""
        return hashlib.sha256(self.recipient.encode()).hexdigest()[:16]

    def age(self, now: datetime) -> timedelta | None:
        """How long ago the last right answer came; None if there was none."""
        return None if self.proof is None else now - moment(self.proof.answered)


def records_of(column: Column) -> tuple[Path, tuple[RecipientRecord, ...]]:
    """Return the folder of the records, and one record for each of the column's recovery recipients, new or as stored.

    Raise ConfigurationError if one cannot be read.
    """
    folder = Path(column.folder).parent / "recovery"
    recipients = dict.fromkeys(column.variables.app_recovery_recipients)
    return folder, tuple(_read(folder, RecipientRecord(RecipientRecord.FORMAT, recipient)) for recipient in recipients)


def _read(folder: Path, new: RecipientRecord) -> RecipientRecord:
    path = folder / f"{new.name}.json"
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return new
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be read ({error.strerror})", remedy="run as the user who owns it"
        ) from None
    record = decode_json(RecipientRecord, text, str(path))
    if record.recipient != new.recipient:
        raise ConfigurationError(f"{path} belongs to another recipient", remedy=f"remove it, then {_RUN}")
    try:
        record.age(datetime.now(UTC))
    except DataRefused as error:
        raise ConfigurationError(f"{path}: {error.problem}", remedy=f"remove it, then {_RUN}") from None
    return record


def challenged(record: RecipientRecord, now: datetime) -> RecipientRecord:
    """Return the record with an open challenge: the one that it has, or else a new one."""
    if record.challenge is not None:
        return record
    letters = base64.b32encode(secrets.token_bytes(_ANSWER_BYTES)).decode().lower()
    answer = "-".join(letters[start : start + _GROUP] for start in range(0, len(letters), _GROUP))
    encrypted = encrypt_bytes(f"{answer}\n".encode(), [record.recipient], armored=True).decode()
    return dataclasses.replace(record, challenge=Challenge(encrypted, _digest(answer), timestamp(now)))


def answered(records: Sequence[RecipientRecord], answer: str, now: datetime) -> tuple[RecipientRecord, ...]:
    """Return the records, with the proof in the one whose challenge `answer` answers.

    Until the next challenge the same answer can be given again, for one app after the other: it changes nothing.
    Raise DataRefused for one that answers no challenge.
    """
    digest = _digest(answer)
    if not any(digest == _right_answer(record) for record in records):
        if not any(record.challenge for record in records):
            raise DataRefused("there is no challenge to answer", remedy=f"{_RUN} without an answer first")
        raise DataRefused(
            "this does not answer any challenge to its recovery recipients",
            remedy="decrypt the challenge that fanout.backup.recovery_check names and give what it says; where apps"
            " have different owners, name the apps with --limit",
        )
    return tuple(
        dataclasses.replace(record, challenge=None, proof=RightAnswer(timestamp(now), digest))
        if record.challenge is not None and record.challenge.answer_sha256 == digest
        else record
        for record in records
    )


def _right_answer(record: RecipientRecord) -> str | None:
    known = record.challenge or record.proof
    return None if known is None else known.answer_sha256


def _digest(answer: str) -> str:
    return hashlib.sha256(answer.strip().lower().encode()).hexdigest()


def challenge_file(folder: Path, record: RecipientRecord) -> Path:
    """Return the path of the file that `store` keeps an open challenge in."""
    return folder / f"{record.name}.age"


def store(folder: Path, record: RecipientRecord) -> None:
    """Write the record and its open challenge with mode 0600, and remove a challenge that was answered."""
    make_private_folder(folder)
    write_private(folder / f"{record.name}.json", encode_json(record))
    if record.challenge is None:
        remove_file(challenge_file(folder, record))
    else:
        write_private(challenge_file(folder, record), record.challenge.encrypted)


def lines(folder: Path, records: Sequence[RecipientRecord]) -> tuple[str, ...]:
    """Return what the owner has to know or to do."""
    told = [_line(folder, record) for record in records]
    if any(record.challenge for record in records):
        told.append("With what age prints: ansible-playbook fanout.backup.recovery_check -e recovery_answer=ANSWER")
    return tuple(told)


def _line(folder: Path, record: RecipientRecord) -> str:
    if record.challenge is not None:
        command = f"age -d -i recovery-identity.txt {challenge_file(folder, record)}"
        return f"{record.recipient}: challenged at {record.challenge.made}. Where its identity is, type: {command}"
    return f"{record.recipient}: {f'answered at {record.proof.answered}' if record.proof else 'never challenged'}"


def warnings_of(column: Column, now: datetime) -> tuple[str, ...]:
    """Return what the owner should know of the column's recovery recipients: nothing while one of them has answered
    within VALID_FOR. A record that cannot be read is a warning, too: looking at copies must not fail for it."""
    try:
        _folder, records = records_of(column)
        return warnings(records, now)
    except BackupError as error:
        return (str(error),)


def warnings(records: Sequence[RecipientRecord], now: datetime) -> tuple[str, ...]:
    """Return what `warnings_of` does, for records at hand."""
    ages = [age for record in records if (age := record.age(now)) is not None]
    if not ages:
        shown = ", ".join(record.recipient for record in records)
        return (f"nobody has shown yet that the recovery identity of {shown} can be used: {_RUN}",)
    if min(ages) > VALID_FOR:
        ago, limit = (spoken(age.total_seconds()) for age in (min(ages), VALID_FOR))
        return (f"a recovery identity was last shown to be usable {ago} ago, the limit is {limit}: {_RUN}",)
    return ()
