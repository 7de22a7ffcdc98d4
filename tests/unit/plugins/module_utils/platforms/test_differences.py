# SPDX-License-Identifier: GPL-3.0-or-later
"""What differs is named by its path, and its value is never shown."""

from __future__ import annotations

from typing import Any

import pytest

from fanout.platforms.differences import differing, fields_of_json, listed, told


@pytest.mark.parametrize(
    ("live", "wanted", "paths"),
    [
        ({"a": 1, "default": 2}, {"a": 1}, []),
        ({}, {"empty": {}, "none": [], "nothing": None, "text": ""}, []),
        ({"spec": {"schedule": "1 * * * *"}}, {"spec": {"schedule": "2 * * * *"}}, ["spec.schedule"]),
        ({"list": [{"name": "a"}, {"name": "b"}]}, {"list": [{"name": "a"}, {"name": "c"}]}, ["list[1].name"]),
        ({"rules": [{}]}, {"rules": []}, ["rules"]),
        ({"rules": []}, {"rules": [{}]}, ["rules"]),
        ({"a": None}, {"a": {"b": 1}}, ["a"]),
    ],
)
def test_every_value_that_is_not_so_is_named_and_what_a_server_adds_is_none(
    live: Any, wanted: Any, paths: list[str]
) -> None:
    assert list(differing(live, wanted)) == paths


def test_texts_that_are_json_differ_field_by_field_in_both_directions() -> None:
    assert fields_of_json('{"a": 1, "more": 2}', '{"a": 2, "b": 3}') == ["a", "b", "more"]
    assert fields_of_json("no JSON", "{}") == []


def test_a_long_list_is_cut() -> None:
    assert listed("abcd") == "a, b, c, d"
    assert listed("abcdef") == "a, b, c, d and 2 more"


def test_a_name_that_somebody_made_up_breaks_no_line() -> None:
    (field,) = fields_of_json('{"a\\nGATE OPEN": 1}', "{}")

    assert "\n" not in told(f"thread.json differs: {field}")
