# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows beside rows: their order and the portions in which they come mean nothing, each of them counts."""

from __future__ import annotations

import contextlib
import io
import random
import tracemalloc

import pytest

from fanout.sources.postgresql.rows import TableComparison

_ROWS = [b"%d\t%s\n" % (i, b"x" * (i * 37 % 90)) for i in range(200)] + [b"\n", b"\n", b"same\n", b"same\n"]


def beside(dumped: bytes, restored: bytes, portion: int) -> TableComparison:
    """Return the comparison of two texts, the first of which comes in portions of up to so many bytes."""
    compared = TableComparison(contextlib.nullcontext(io.BytesIO(restored)), contextlib.ExitStack())
    for start in range(0, len(dumped), portion):
        compared.update(dumped[start : start + portion])
    compared.end()
    return compared


@pytest.mark.parametrize("portion", [1, 7, 64, 1000, 1 << 20])
def test_the_same_rows_in_another_order_are_the_same_whatever_the_portions(portion: int) -> None:
    shuffled = _ROWS.copy()
    for seed in range(5):
        random.Random(seed).shuffle(shuffled)
        assert beside(b"".join(_ROWS), b"".join(shuffled), portion).same


@pytest.mark.parametrize("portion", [1, 7, 64, 1000, 1 << 20])
@pytest.mark.parametrize("at", [0, 1, 100, 202, 203])
def test_each_row_counts_wherever_it_lies(portion: int, at: int) -> None:
    other = [*_ROWS[:at], b"other\n", *_ROWS[at + 1 :]]
    random.Random(at).shuffle(other)
    changed = beside(b"".join(_ROWS), b"".join(other), portion)
    assert (changed.same, changed.surplus) == (False, 0)
    fewer = beside(b"".join(_ROWS), b"".join(_ROWS[:at] + _ROWS[at + 1 :]), portion)
    assert (fewer.same, fewer.surplus) == (False, -1)
    more = beside(b"".join(_ROWS), b"".join([*_ROWS[:at], b"other\n", *_ROWS[at:]]), portion)
    assert (more.same, more.surplus) == (False, 1)


def test_a_row_twice_is_not_two_others() -> None:
    assert not beside(b"a\nb\nc\n", b"a\na\nc\n", 4).same
    assert not beside(b"a\na\nb\nb\n", b"a\nc\na\nc\n", 4).same


def test_a_table_that_is_empty_on_one_side_differs() -> None:
    assert beside(b"", b"", 4).same
    assert beside(b"", b"a\nb\n", 4).surplus == 2
    assert beside(b"a\nb\n", b"", 4).surplus == -2


def test_memory_does_not_grow_with_the_table() -> None:
    portion, other_order = (
        b"".join([first * 63 + b"\n", second * 63 + b"\n"] * 500) for first, second in ((b"a", b"b"), (b"b", b"a"))
    )

    class Endless(io.RawIOBase):
        left = 100

        def read(self, _size: int = -1, /) -> bytes:
            self.left -= 1
            return other_order if self.left >= 0 else b""

    compared = TableComparison(contextlib.nullcontext(Endless()), contextlib.ExitStack())
    tracemalloc.start()
    for _portion in range(100):
        compared.update(portion)
    compared.end()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert compared.same
    assert peak < 10 * len(portion)
