# SPDX-License-Identifier: GPL-3.0-or-later
"""Two looks at a catalogue."""

from __future__ import annotations

import pytest

from fanout.sources.postgresql.moving import Catalogue, Moved, check

BEFORE: Catalogue = {
    ("table", 20000): ("public.t", "", ["id", "name"]),
    ("function", 20001): ("public.f", "731", []),
}


@pytest.mark.parametrize(
    "now",
    [
        BEFORE,
        {**BEFORE, ("table", 20002): ("public.new", "", ["id"])},
        {**BEFORE, ("table", 20000): ("public.t", "", ["id", "name", "added"])},
    ],
    ids=["the same", "a new table", "a new column"],
)
def test_what_is_new_does_not_matter(now: Catalogue) -> None:
    check(BEFORE, now)


@pytest.mark.parametrize(
    ("now", "said"),
    [
        ({("table", 20000): BEFORE["table", 20000]}, "the function public.f disappeared"),
        ({**BEFORE, ("function", 20001): ("public.f", "732", [])}, "the function public.f was changed"),
        ({**BEFORE, ("table", 20000): ("other.t", "", ["id", "name"])}, "the table public.t was changed"),
        ({**BEFORE, ("table", 20000): ("public.t", "", ["id", "renamed"])}, "the table public.t was changed"),
        ({**BEFORE, ("table", 20000): ("public.t", "", ["id"])}, "the table public.t was changed"),
        ({**BEFORE, ("view", 20000): BEFORE["table", 20000], ("table", 20000): ("public.t", "9", [])}, "was changed"),
    ],
)
def test_what_is_no_longer_as_it_was_is_named(now: Catalogue, said: str) -> None:
    with pytest.raises(Moved, match=said):
        check(BEFORE, now)
