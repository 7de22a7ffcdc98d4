# SPDX-License-Identifier: GPL-3.0-or-later
"""An answer proves one recipient for a year; whoever cannot decrypt learns nothing from the records."""

from __future__ import annotations

import dataclasses
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyrage
import pytest

from fanout.actions import recovery
from fanout.actions.recovery import RecipientRecord
from fanout.contract.errors import ConfigurationError, DataRefused
from fanout.inventory.column import Column, parse
from fanout.local.identities import new_identity, read_identity, recipient_of

NOW = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)
DAY = timedelta(days=1)


class Owner:
    """Who keeps an identity, and decrypts with it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.file = folder / "recovery-identity.txt"
        self.file.write_text(new_identity())
        self.recipient = recipient_of(self.file.read_text(), "test")

    def decrypts(self, record: RecipientRecord) -> str:
        assert record.challenge is not None
        return pyrage.decrypt(record.challenge.encrypted.encode(), [read_identity(self.file)]).decode()


@pytest.fixture
def owner(tmp_path: Path) -> Owner:
    return Owner(tmp_path / "owner")


@pytest.fixture
def other(tmp_path: Path) -> Owner:
    return Owner(tmp_path / "other")


def column(folder: Path, *owners: Owner) -> Column:
    variables = {
        "app_name": "forgejo",
        "app_database": "forgejo",
        "app_destinations": {"nas": {"kind": "directory", "path": "/mnt/nas"}},
        "app_recovery_recipients": [owner.recipient for owner in owners],
        "app_host_directory": str(folder / "columns"),
    }
    return parse(variables, {})


def challenge(owner: Owner) -> RecipientRecord:
    return recovery.challenged(RecipientRecord(RecipientRecord.FORMAT, owner.recipient), NOW)


def test_a_challenge_waits_until_it_is_answered_and_then_a_new_one_is_made(owner: Owner) -> None:
    first = challenge(owner)
    assert recovery.challenged(first, NOW + DAY) is first

    (answered,) = recovery.answered([first], owner.decrypts(first), NOW)
    second = recovery.challenged(answered, NOW + DAY)

    assert second.challenge is not None
    assert second.challenge.made == "2026-11-26T09:30:00Z"
    assert owner.decrypts(second) != owner.decrypts(first)
    assert second.proof == answered.proof, "a new question does not undo the last answer"


def test_the_answer_counts_whatever_its_case_and_the_spaces_around_it(owner: Owner) -> None:
    record = challenge(owner)
    (answered,) = recovery.answered([record], f"  {owner.decrypts(record).upper()}\n", NOW)
    assert answered.age(NOW + DAY) == DAY


def test_an_answer_proves_the_recipient_that_was_asked_and_no_other(owner: Owner, other: Owner) -> None:
    asked = [challenge(owner), challenge(other)]

    left, right = recovery.answered(asked, other.decrypts(asked[1]), NOW)

    assert left == asked[0]
    assert right.age(NOW) == timedelta()
    assert right.challenge is None


def test_an_answer_that_is_given_again_changes_nothing_and_answers_no_later_challenge(owner: Owner) -> None:
    record = challenge(owner)
    answer = owner.decrypts(record)
    answered = recovery.answered([record], answer, NOW)

    assert recovery.answered(answered, answer, NOW + DAY) == answered
    with pytest.raises(DataRefused, match="this does not answer any challenge"):
        recovery.answered([recovery.challenged(answered[0], NOW + DAY)], answer, NOW + 2 * DAY)


@pytest.mark.parametrize("wrong", ["", "aaaa-bbbb-cccc-dddd", "AGE-SECRET-KEY-1"])
def test_a_wrong_answer_is_refused_and_not_repeated(owner: Owner, wrong: str) -> None:
    with pytest.raises(DataRefused, match="this does not answer any challenge") as caught:
        recovery.answered([challenge(owner)], wrong, NOW)
    assert not wrong or wrong not in str(caught.value)


def test_an_answer_without_a_question_is_refused_with_the_way_to_get_one(owner: Owner) -> None:
    with pytest.raises(DataRefused, match=r"there is no challenge .* without an answer first"):
        recovery.answered([RecipientRecord(RecipientRecord.FORMAT, owner.recipient)], "aaaa-bbbb-cccc-dddd", NOW)


@pytest.mark.parametrize(
    ("days", "warned"),
    [
        pytest.param(0, False, id="today"),
        pytest.param(365, False, id="on the last day"),
        pytest.param(366, True, id="a day later"),
    ],
)
def test_an_answer_counts_for_a_year(owner: Owner, days: int, warned: bool) -> None:
    record = challenge(owner)
    answered = recovery.answered([record], owner.decrypts(record), NOW)

    warnings = recovery.warnings(answered, NOW + days * DAY)

    assert bool(warnings) == warned
    assert (
        not warned
        or "last shown to be usable 366 d ago, the limit is 365 d: run fanout.backup.recovery_check" in warnings[0]
    )


def test_one_of_several_recipients_is_enough(owner: Owner, other: Owner) -> None:
    asked = [challenge(owner), challenge(other)]
    (warning,) = recovery.warnings(asked, NOW)
    assert owner.recipient in warning
    assert other.recipient in warning

    assert not recovery.warnings(recovery.answered(asked, owner.decrypts(asked[0]), NOW), NOW)


def test_what_is_stored_is_read_back_private_and_holds_no_answer(owner: Owner, tmp_path: Path) -> None:
    folder, (record,) = recovery.records_of(column(tmp_path, owner, owner))
    record = recovery.challenged(record, NOW)

    recovery.store(folder, record)

    files = sorted(folder.iterdir())
    assert [file.suffix for file in files] == [".age", ".json"]
    assert recovery.records_of(column(tmp_path, owner)) == (folder, (record,))
    assert pyrage.decrypt(files[0].read_bytes(), [read_identity(owner.file)]).decode() == owner.decrypts(record)
    assert {stat.S_IMODE(path.stat().st_mode) for path in (folder, *files)} == {0o700, 0o600}
    assert not any(owner.decrypts(record).strip() in file.read_text() for file in files)

    recovery.store(folder, recovery.answered([record], owner.decrypts(record), NOW)[0])
    assert [file.suffix for file in folder.iterdir()] == [".json"]


def test_a_record_of_another_recipient_or_format_is_refused_with_its_path(
    owner: Owner, other: Owner, tmp_path: Path
) -> None:
    folder, (record,) = recovery.records_of(column(tmp_path, owner))
    recovery.store(folder, record)
    (file,) = folder.iterdir()
    for wrong, why in (
        (
            file.read_text().replace(owner.recipient, other.recipient),
            "belongs to another recipient.* Remedy: remove it",
        ),
        (file.read_text().replace('"format": 1', '"format": 2'), "has format 2.* Remedy: update"),
    ):
        file.write_text(wrong)
        with pytest.raises(ConfigurationError, match=rf"{file} {why}"):
            recovery.records_of(column(tmp_path, owner))


def test_a_record_whose_proof_has_no_time_is_refused_with_its_path(owner: Owner, tmp_path: Path) -> None:
    folder, (record,) = recovery.records_of(column(tmp_path, owner))
    recovery.store(folder, dataclasses.replace(record, proof=recovery.RightAnswer("soon", "0")))
    (file,) = folder.iterdir()
    with pytest.raises(ConfigurationError, match=rf"{file}: 'soon' is not a UTC time.* Remedy: remove it"):
        recovery.records_of(column(tmp_path, owner))


def test_lines_name_the_command_for_the_owner_and_how_to_give_the_answer(owner: Owner, tmp_path: Path) -> None:
    folder, (record,) = recovery.records_of(column(tmp_path, owner))
    assert recovery.lines(folder, [record]) == (f"{owner.recipient}: never challenged",)

    asked = recovery.challenged(record, NOW)
    first, last = recovery.lines(folder, [asked])
    assert first.endswith(f"age -d -i recovery-identity.txt {recovery.challenge_file(folder, asked)}")
    assert last.endswith("ansible-playbook fanout.backup.recovery_check -e recovery_answer=ANSWER")

    answered = dataclasses.replace(record, proof=recovery.answered([asked], owner.decrypts(asked), NOW)[0].proof)
    assert recovery.lines(folder, [answered]) == (f"{owner.recipient}: answered at 2026-11-25T09:30:00Z",)
