# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from fanout.inventory.column import Column
from fanout.inventory.variables import Variables
from fanout.platforms.registry import Acts, Keys, RollOut, acts_of, keys_of, roll_out_of
from tests.support.host_columns import column, directory


@pytest.mark.parametrize(("protocol", "part_of"), [(RollOut, roll_out_of), (Acts, acts_of), (Keys, keys_of)])
@pytest.mark.parametrize("name", get_args(get_type_hints(Variables)["app_platform"]))
def test_every_platform_that_an_inventory_may_name_has_every_function_with_the_same_arguments(
    name: str, protocol: type, part_of: Callable[[Column], object], tmp_path: Path
) -> None:
    destinations = {"nas": {**directory(tmp_path / "nas"), "claim": "nas"}}
    images = {"app_image": "fanout:1", "app_drill_image": "postgres:17", "app_database_host": "192.0.2.1"}
    part = part_of(column(tmp_path, destinations, app_platform=name, **images))
    functions = [key for key, value in vars(protocol).items() if inspect.isfunction(value) and not key.startswith("_")]

    assert functions
    for function in functions:
        wanted = list(inspect.signature(getattr(protocol, function)).parameters)[1:]
        assert list(inspect.signature(getattr(part, function)).parameters) == wanted
