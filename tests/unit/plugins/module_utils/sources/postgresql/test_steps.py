# SPDX-License-Identifier: GPL-3.0-or-later
"""What a drill does is what docs/recovery.md tells a person to type."""

from __future__ import annotations

from pathlib import Path

import pytest

from fanout.sources.postgresql import client, steps

GUIDE = (Path(__file__).parents[6] / "docs/recovery.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "text",
    [
        f"export PGOPTIONS='{steps.OPTIONS} {steps.ITSELF}'",
        *(f"/{pattern}/p" for pattern in steps.LINES.values()),
        *(f"{part}.list" for part in (steps.DATABASE, steps.SCHEMAS, steps.CONTENT, steps.EVENT_TRIGGERS)),
        client.ENDING,
        steps.NEEDS,
        steps.EXTENSIONS,
        steps.SEARCH_PATH_SET,
        steps.SEARCH_PATH_RESET,
    ],
)
def test_the_guide_has_the_very_text_that_drill_and_restore_use(text: str) -> None:
    assert text in GUIDE


def test_the_guide_restores_the_parts_in_the_drill_s_order() -> None:
    order = [GUIDE.index(f"--use-list={part}.list") for part in steps.parts([])]
    assert order == sorted(order)
