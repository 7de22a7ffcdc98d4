# SPDX-License-Identifier: GPL-3.0-or-later
"""The role's documentation and its lists of names agree with the contract, where variables stand once."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import yaml

from fanout.contract.codec import encode
from fanout.inventory.variables import LonghornVariables, Secrets, Variables
from tools import variables

ROLE = Path(__file__).resolve().parents[3] / "roles/app"
ENTRY_POINTS = yaml.safe_load((ROLE / "meta/argument_specs.yml").read_text())["argument_specs"]
NAMES = yaml.safe_load((ROLE / "vars/main.yml").read_text())
OPEN = {field.name: field for field in dataclasses.fields(Variables)}
SECRET = {field.name: field for field in dataclasses.fields(Secrets)}

# What a type of the contract begins with, and how an argument spec says it.
TYPES = {
    "str": "str",
    "int": "int",
    "bool": "bool",
    "tuple": "list",
    "dict": "dict",
    "Literal": "str",
    "Keep": "dict",
    "ShrinkLimit": "dict",
    "Network": "dict",
    "DatabaseSecret": "dict",
    "Resources": "dict",
}


def required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def default(field: dataclasses.Field[Any]) -> Any:
    """The field's default as plain data, None if it has none."""
    if field.default_factory is not dataclasses.MISSING:
        return encode(field.default_factory())
    return None if field.default is dataclasses.MISSING else encode(field.default)


def test_the_generated_files_are_up_to_date() -> None:
    assert variables.main(["--check"]) == 0


def test_a_file_that_is_out_of_date_is_named_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(variables, "CHECKOUT", tmp_path)
    monkeypatch.setattr(variables, "TABLE", tmp_path / "variables.md")
    monkeypatch.setattr(variables, "SPECS", tmp_path / "argument_specs.yml")
    monkeypatch.setattr(variables, "LONGHORN_SPECS", tmp_path / "longhorn_specs.yml")
    assert variables.main([]) == 0
    assert variables.main(["--check"]) == 0
    (tmp_path / "variables.md").write_text("old")

    assert variables.main(["--check"]) == 1
    assert capsys.readouterr().err == "variables.md is out of date. Remedy: python -m tools.variables\n"


@pytest.mark.parametrize("entry_point", ENTRY_POINTS)
def test_every_entry_point_takes_all_variables_of_the_contract_with_their_meaning_and_type(entry_point: str) -> None:
    options = ENTRY_POINTS[entry_point]["options"]

    for name, field in {**OPEN, **SECRET}.items():
        begins_with = str(field.type).split("[", maxsplit=1)[0].split(" |", maxsplit=1)[0]
        assert options[name]["type"] == TYPES[begins_with], name
        assert options[name]["description"][0] == field.metadata["meaning"]
        # The role itself sets the app's name.
        assert options[name].get("required", False) == (required(field) and name != "app_name"), name
        assert options[name].get("default") == ("{{ inventory_hostname }}" if name == "app_name" else default(field)), (
            name
        )
        assert options[name].get("no_log", False) == (name in SECRET), name


def test_every_entry_point_has_its_tasks_and_no_tasks_are_without_an_entry_point() -> None:
    assert set(ENTRY_POINTS) == {path.stem for path in (ROLE / "tasks").glob("*.yml")}


def test_the_role_of_servers_documents_all_their_variables_at_each_of_its_entry_points() -> None:
    role = ROLE.parent / "longhorn"
    entry_points = yaml.safe_load((role / "meta/argument_specs.yml").read_text())["argument_specs"]

    assert set(entry_points) == {path.stem for path in (role / "tasks").glob("*.yml")}
    for entry_point in entry_points.values():
        for field in dataclasses.fields(LonghornVariables):
            option = entry_point["options"][field.name]
            assert option["description"][0] == field.metadata["meaning"]
            assert option.get("required", False) == required(field)
            assert option.get("default") == default(field)


def test_the_role_keeps_the_contract_s_secrets_apart() -> None:
    assert NAMES["__app_secret_names"] == list(SECRET)


def test_what_only_steers_a_run_is_not_taken_for_a_variable_of_the_app() -> None:
    documented = {name for entry_point in ENTRY_POINTS.values() for name in entry_point["options"]}

    assert set(NAMES["__app_run_names"]) == documented - set(OPEN) - set(SECRET)


def test_the_table_shows_every_variable_once() -> None:
    table = variables.TABLE.read_text()

    of_servers = {field.name: field for field in dataclasses.fields(LonghornVariables)}
    for name in {**OPEN, **SECRET, **of_servers, **dict.fromkeys(NAMES["__app_run_names"])}:
        assert table.count(f"\n| `{name}` |") == 1, name
