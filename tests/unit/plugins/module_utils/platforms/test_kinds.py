# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import inspect
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from fanout.contract.variables import Variables
from fanout.platforms.kinds import Platform, platform_of

from .host.columns import column, directory

FUNCTIONS = [name for name, value in vars(Platform).items() if inspect.isfunction(value) and not name.startswith("_")]


@pytest.mark.parametrize("name", get_args(get_type_hints(Variables)["app_platform"]))
def test_every_platform_that_an_inventory_may_name_has_every_function_with_the_same_arguments(
    name: str, tmp_path: Path
) -> None:
    destinations = {"nas": {**directory(tmp_path / "nas"), "claim": "nas"}}
    images = {"app_image": "fanout:1", "app_drill_image": "postgres:17", "app_database_host": "192.0.2.1"}
    platform = platform_of(column(tmp_path, destinations, app_platform=name, **images))

    for function in FUNCTIONS:
        wanted = list(inspect.signature(getattr(Platform, function)).parameters)[1:]
        assert list(inspect.signature(getattr(platform, function)).parameters) == wanted
