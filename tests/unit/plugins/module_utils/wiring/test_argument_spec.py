# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.fanout.backup.plugins.module_utils.wiring.argument_spec import ArgumentSpec


def test_merged_groups_keep_all_options_and_rules() -> None:
    one = ArgumentSpec({"a": {"type": "str"}}, (("a", "b"),), (("a", "x", ("b",)),))
    merged = one.merge(ArgumentSpec({"b": {}}, (("b", "c"),)))

    assert merged.to_kwargs() == {
        "argument_spec": {"a": {"type": "str"}, "b": {}},
        "required_together": [["a", "b"], ["b", "c"]],
        "required_if": [["a", "x", ["b"]]],
    }


def test_two_groups_cannot_mean_different_things_by_one_name() -> None:
    with pytest.raises(ValueError, match="both groups define"):
        ArgumentSpec({"a": {}}).merge(ArgumentSpec({"a": {}}))
