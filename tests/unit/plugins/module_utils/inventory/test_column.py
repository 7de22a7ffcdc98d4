# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from fanout.contract.errors import ConfigurationError
from fanout.contract.thread import DrillKeys, load, render
from fanout.inventory.column import parse

RECIPIENT = "age1" + "q" * 58
PASSWORD = "a-long-password-of-the-test"


def variables(**changes: Any) -> dict[str, Any]:
    given = {
        "app_name": "forgejo",
        "app_database": "forgejo",
        "app_destinations": {
            "nas": {"kind": "directory", "path": "/mnt/nas"},
            "b2": {"kind": "b2", "bucket": "backups"},
        },
        "app_recovery_recipients": [RECIPIENT],
    }
    return {name: value for name, value in {**given, **changes}.items() if value is not None}


def refusal(secrets: dict[str, Any] | None = None, **changes: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        parse(variables(**changes), secrets or {})
    line = str(caught.value)
    assert "\n" not in line
    assert "Remedy: " in line
    return line


def test_the_four_needed_variables_make_a_column_with_one_thread_per_destination() -> None:
    column = parse(variables(), {"app_database_password": PASSWORD})
    threads = column.threads(DrillKeys("age1drill", "ab12"))
    assert [thread.id for thread in threads] == ["forgejo/database/nas", "forgejo/database/b2"]
    assert column.drill_destinations == ("b2",), "the off-site copy is the one that is drilled"
    assert [thread.drilled for thread in threads] == [False, True]
    assert threads[0].recipients.all() == ("age1drill", RECIPIENT)


def test_no_secret_is_in_a_repr_or_in_thread_json() -> None:
    column = parse(variables(), {"app_database_password": PASSWORD})
    assert PASSWORD not in repr(column)
    assert all(PASSWORD not in render(thread) for thread in column.threads(DrillKeys("age1drill", "ab12")))


def test_a_thread_is_read_back_as_it_was_written_with_files_beside_it(tmp_path: Any) -> None:
    (thread, _b2) = parse(variables(), {"app_database_password": PASSWORD}).threads(DrillKeys("age1drill", "ab12"))
    folder = tmp_path / "database/nas"
    folder.mkdir(parents=True)
    (folder / "thread.json").write_text(render(thread))
    read = load(folder / "thread.json")
    assert read.source.password_file == str(tmp_path / "database/password")
    assert read.identity_file == str(tmp_path / "drill-identity.txt")
    assert read.destination == thread.destination


def test_a_thread_of_a_newer_format_asks_for_an_update(tmp_path: Any) -> None:
    file = tmp_path / "thread.json"
    file.write_text('{"format": 99, "something": "new"}')
    with pytest.raises(ConfigurationError, match=r"has format 99.*Remedy: update the fanout command"):
        load(file)


def test_a_misspelt_variable_is_refused_with_the_nearest_right_name() -> None:
    assert "app_databse is unknown (did you mean 'app_database'?)" in refusal(app_databse="x")


def test_a_password_among_the_open_variables_is_refused_without_its_value() -> None:
    line = refusal(app_database_password=PASSWORD)
    assert "belongs in the option 'secrets'" in line
    assert PASSWORD not in line


def test_a_missing_variable_is_named() -> None:
    assert "app_recovery_recipients is missing" in refusal(app_recovery_recipients=None)


def test_without_a_recovery_recipient_only_the_cluster_could_decrypt_and_that_is_refused() -> None:
    assert "app_recovery_recipients is empty" in refusal(app_recovery_recipients=[])


def test_a_private_identity_in_place_of_a_recipient_is_refused_and_not_shown() -> None:
    identity = "AGE-SECRET-KEY-1" + "Q" * 58
    line = refusal(app_recovery_recipients=[identity])
    assert "private identity" in line
    assert identity not in line


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"app_database": 5}, "app_database must be a string"),
        ({"app_database_port": "5432"}, "app_database_port must be a whole number"),
        ({"app_database_port": True}, "app_database_port must be a whole number"),
        ({"app_name": "Forge_jo"}, "app_name 'Forge_jo' is not a DNS label"),
        ({"app_name": "f" * 41}, "not a DNS label"),
        ({"app_prefix": "forgejo"}, "app_prefix 'forgejo'"),
        ({"app_prefix": "../x/"}, "app_prefix '../x/'"),
        ({"app_prefix": "/"}, "app_prefix '/'"),
        ({"app_period": "7h"}, "no timer can express. Remedy: set app_period to 6h or 8h"),
        ({"app_period": "hourly"}, "app_period must be a number and a unit"),
        ({"app_destinations": {}}, "app_destinations is empty"),
        ({"app_destinations": {"b2": {"kind": "b3", "bucket": "x"}}}, "must be one of b2, s3, directory, not 'b3'"),
        ({"app_destinations": {"b2": {"kind": "b2"}}}, "app_destinations.b2.bucket is missing"),
        ({"app_destinations": {"b2": {"kind": "b2", "buckt": "x"}}}, "did you mean 'bucket'?"),
        ({"app_destinations": {"B_2": {"kind": "b2", "bucket": "x"}}}, "is not a DNS label"),
        (
            {"app_destinations": {"a": {"kind": "b2", "bucket": "x"}, "b": {"kind": "b2", "bucket": "x"}}},
            "app_destinations.b overlaps app_destinations.a",
        ),
        ({"app_destinations": {"nas": {"kind": "directory", "path": "nas"}}}, "is not an absolute path"),
        ({"app_drill_destinations": ["b3"]}, "names 'b3', which is not a destination (did you mean 'b2'?)"),
        ({"app_keep": {"hourly": 1.5}}, "app_keep.hourly must be a whole number"),
        ({"app_drill_queries": [{"name": "n", "sql": "SELECT 1", "compare": "equals"}]}, "has no value"),
        ({"app_drill_queries": [{"name": "n", "sql": "SELECT 1", "value": 3}]}, "compares with the snapshot"),
        ({"app_drill_queries": [{"name": "n", "sql": "SELECT 1", "compare": "equal"}]}, "did you mean 'equals'?"),
        ({"app_keep": {"hourly": -1}}, "app_keep.hourly is -1, but must be between 0 and 87840"),
        ({"app_keep": {"daily": 99999999}}, "app_keep.daily"),
        ({"app_shrink_limit": {"bytes": 1000}}, "app_shrink_limit.bytes is 1000, but must be between 0 and 99"),
        ({"app_shrink_limit": {"tables": -3}}, "app_shrink_limit.tables"),
        ({"app_deadline": "30d"}, "app_deadline is too long"),
        ({"app_deadline": "48h"}, "app_deadline is too long"),
        ({"app_database_port": 0}, "app_database_port"),
        ({"app_database_port": 70000}, "app_database_port"),
        ({"app_database": " "}, "app_database is empty"),
    ],
)
def test_what_cannot_work_is_refused_by_name(changes: dict[str, Any], part: str) -> None:
    assert part in refusal(**changes)


def test_an_s3_key_for_an_unknown_destination_is_refused() -> None:
    key = {"access_key_id": "id", "secret_access_key": "secret-of-the-test"}
    line = refusal(secrets={"app_s3_keys": {"nass": key}})
    assert "app_s3_keys.nass does not name a destination (did you mean 'nas'?)" in line
    assert "secret-of-the-test" not in line


def test_every_error_names_the_app() -> None:
    assert refusal(app_period="7h").startswith("forgejo: ")
