# SPDX-License-Identifier: GPL-3.0-or-later
"""The owner's two steps, through the module, and what another module says about them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyrage
import pytest

from fanout.local.identities import new_identity, read_identity, recipient_of
from tests.support.modules import call


class Owner:
    """Calls the modules for one app, and decrypts what they challenge with."""

    def __init__(self, folder: Path) -> None:
        self.identity = folder / "recovery-identity.txt"
        self.identity.write_text(new_identity())
        self.recipient = recipient_of(self.identity.read_text(), "test")
        self.folder = folder / "columns/recovery"
        self.app = {
            "app_name": "forgejo",
            "app_database": "forgejo",
            "app_destinations": {"nas": {"kind": "directory", "path": str(folder)}},
            "app_recovery_recipients": [self.recipient],
            "app_host_directory": str(folder / "columns"),
        }

    def check(self, **options: Any) -> dict[str, Any]:
        return call("recovery_check", app=self.app, **options)

    def decrypt(self, result: dict[str, Any]) -> str:
        sealed = result["recipients"][0]["challenge"].encode()
        return pyrage.decrypt(sealed, [read_identity(self.identity)]).decode().strip()

    def warnings(self) -> list[str]:
        result = call("column_info", app=self.app)
        assert "failure" not in result, result
        return list(result["warnings"])

    def record(self) -> dict[str, Any]:
        (file,) = self.folder.glob("*.json")
        return dict(json.loads(file.read_text()))

    def answered_at(self, time: str) -> None:
        (file,) = self.folder.glob("*.json")
        record = self.record()
        record["proof"]["answered"] = time
        file.write_text(json.dumps(record))


@pytest.fixture
def owner(tmp_path: Path) -> Owner:
    return Owner(tmp_path)


def test_a_challenge_is_made_once_and_named_with_the_command_that_decrypts_it(owner: Owner) -> None:
    first, second = owner.check(), owner.check()

    assert (first["changed"], second["changed"]) == (True, False)
    assert first["recipients"] == second["recipients"]
    assert first["diff"]["before"] == {owner.recipient: {"challenged": None, "answered": None}}
    (recipient,) = first["recipients"]
    assert Path(recipient["challenge_file"]).read_text() == recipient["challenge"]
    assert f"age -d -i recovery-identity.txt {recipient['challenge_file']}" in first["lines"][0]
    assert owner.decrypt(first) not in first["printed"]


def test_the_right_answer_is_recorded_and_shown_nowhere(owner: Owner) -> None:
    answer = owner.decrypt(owner.check())

    result = owner.check(answer=answer)

    assert result["changed"]
    assert result["recipients"][0]["answered"] == owner.record()["proof"]["answered"]
    assert result["recipients"][0]["challenge"] is None
    assert answer not in result["printed"].replace("VALUE_SPECIFIED_IN_NO_LOG_PARAMETER", "")
    again = owner.check(answer=answer)
    assert not again["changed"], "the next app of the same owner gives the same answer"


def test_a_wrong_answer_fails_in_one_line_and_the_challenge_stays(owner: Owner) -> None:
    owner.check()
    before = owner.record()

    result = owner.check(answer="aaaa-bbbb-cccc-dddd")

    assert result["failure"]["code"] == "data_refused"
    assert result["msg"].startswith("forgejo: recovery check: this does not answer any challenge")
    assert "aaaa-bbbb" not in result["printed"]
    assert owner.record() == before


def test_check_mode_names_no_challenge_that_nobody_could_answer_and_writes_nothing(owner: Owner) -> None:
    foreseen = owner.check(check=True)

    assert foreseen["changed"]
    assert foreseen["recipients"][0]["challenge"] is None
    assert not owner.folder.exists()

    answer = owner.decrypt(owner.check())
    before = owner.record()
    assert owner.check(check=True, answer=answer)["changed"]
    assert "failure" in owner.check(check=True, answer="aaaa-bbbb-cccc-dddd")
    assert owner.record() == before


def test_column_info_warns_until_there_is_an_answer_and_again_after_a_year(owner: Owner) -> None:
    (warning,) = owner.warnings()
    assert "nobody has shown yet" in warning
    answer = owner.decrypt(owner.check())
    assert owner.warnings() == [warning], "a challenge proves nothing"

    owner.check(answer=answer)
    assert owner.warnings() == []

    owner.answered_at("2020-01-01T00:00:00Z")
    (late,) = owner.warnings()
    assert "the limit is 365 d: run fanout.backup.recovery_check" in late


def test_a_damaged_record_is_a_warning_with_its_remedy_and_hides_no_copy(owner: Owner) -> None:
    owner.check(answer=owner.decrypt(owner.check()))
    owner.answered_at("yesterday")
    (warning,) = owner.warnings()
    assert "'yesterday' is not a UTC time" in warning

    (file,) = owner.folder.glob("*.json")
    file.write_text("{")
    (warning,) = owner.warnings()

    assert f"{file} is not JSON" in warning
    assert "Remedy: " in warning
    assert str(file) in owner.check()["msg"]


def test_of_a_column_that_is_absent_nothing_is_expected(owner: Owner) -> None:
    owner.app["app_state"] = "absent"
    assert owner.warnings() == []
