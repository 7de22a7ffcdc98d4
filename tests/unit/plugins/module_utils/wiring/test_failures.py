# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args

from ansible_collections.fanout.backup.plugins.module_utils.contract.errors import NoPermission
from ansible_collections.fanout.backup.plugins.module_utils.wiring.failures import LIBRARIES, Outcome, hide, run

SECRET = "K004-very-secret"


def result_of(act: Any, capsys: pytest.CaptureFixture[str], *, diff: bool = False) -> tuple[dict[str, Any], int]:
    with patch_module_args({"_ansible_diff": diff}), pytest.raises(SystemExit) as exit_:
        run(AnsibleModule(argument_spec={}), act)
    return json.loads(capsys.readouterr().out), exit_.value.code


def test_changed_and_the_diff_come_from_the_same_two_values(capsys: pytest.CaptureFixture[str]) -> None:
    outcome = Outcome({"days": 7}, {"days": 14}, {"name": "x"})

    result, _code = result_of(lambda _module: outcome, capsys, diff=True)
    assert (result["changed"], result["diff"]) == (True, {"before": {"days": 7}, "after": {"days": 14}})
    result, _code = result_of(lambda _module: outcome, capsys)
    assert "diff" not in result
    assert result["name"] == "x"


def test_equal_values_are_no_change(capsys: pytest.CaptureFixture[str]) -> None:
    result, _code = result_of(lambda _module: Outcome({"days": 7}, {"days": 7}), capsys, diff=True)

    assert result["changed"] is False
    assert "diff" not in result


def test_a_failure_is_one_line_for_people_and_a_mapping_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    def act(_module: AnsibleModule) -> Outcome:
        raise NoPermission("refused\nby B2", remedy="use another key", doing="minting", subject="forgejo/database/b2")

    result, code = result_of(act, capsys)

    assert code == 1
    assert result["msg"] == "forgejo/database/b2: minting: refused by B2. Remedy: use another key"
    assert (result["failure"]["code"], result["failure"]["exit_code"]) == ("no_permission", 77)


def test_a_bug_shows_its_place_and_nothing_that_it_held(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def act(_module: AnsibleModule) -> Outcome:
        raise ValueError(f"cannot use {SECRET}")

    result, _code = result_of(act, capsys)

    assert "this is a bug in fanout.backup: ValueError at test_failures.py:" in result["msg"]
    assert result["failure"]["exit_code"] == 70
    assert SECRET not in json.dumps(result)


def test_a_missing_library_is_named_with_the_command_that_installs_it(capsys: pytest.CaptureFixture[str]) -> None:
    def act(_module: AnsibleModule) -> Outcome:
        raise ModuleNotFoundError("No module named 'boto3'", name="boto3")

    result, _code = result_of(act, capsys)

    assert "the Python library boto3 is missing" in result["msg"]
    assert f"{sys.executable} -m pip install" in result["msg"]


def test_the_command_installs_what_an_execution_environment_gets() -> None:
    requirements = Path(__file__).parents[5] / "meta" / "ee-requirements.txt"
    lines = [line for line in requirements.read_text().splitlines() if line and not line.startswith("#")]
    assert len(lines) == len(LIBRARIES)
    for library, line in zip(LIBRARIES, lines, strict=True):
        assert line.startswith(library)


def test_a_hidden_secret_is_masked_wherever_it_comes_back(capsys: pytest.CaptureFixture[str]) -> None:
    def act(module: AnsibleModule) -> Outcome:
        hide(module)(SECRET)
        return Outcome({}, {"key": SECRET}, {"text": f"the key is {SECRET}"})

    result, _code = result_of(act, capsys, diff=True)

    assert SECRET not in json.dumps(result)
