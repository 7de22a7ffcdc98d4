# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from fanout.contract.text import printable


@pytest.mark.parametrize(
    "text", ["forgejo/database/b2: 124 tables", "51\N{NO-BREAK SPACE}153 rows, \u00fcbung, \u65e5\u672c"]
)
def test_plain_text_stays_what_it_is(text: str) -> None:
    assert printable(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "a\nBACKUP OK",
        "a\r\n",
        "a\u2028b",
        "a\u2029b",
        "a\x85b",
        "\x1b[1A\x1b[2K",
        "\u202eKO",
        "a\x00b",
        "\ufeff",
        "\x9b1A",
    ],
)
def test_what_breaks_a_line_commands_a_terminal_or_turns_letters_round_is_escaped(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    assert len(shown.splitlines()) == 1
