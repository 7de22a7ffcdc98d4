# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from fractions import Fraction

import pytest

from fanout.inventory.pods import amount, as_served


@pytest.mark.parametrize(
    ("written", "served", "much"),
    [
        ("1024Mi", "1Gi", 1 << 30),
        ("1000Mi", "1000Mi", 1000 << 20),
        ("134217728", "134217728", 1 << 27),
        ("2000", "2k", 2000),
        ("1000m", "1", 1),
        ("0.5", "500m", Fraction(1, 2)),
        ("1.000", "1", 1),
        ("1500m", "1500m", Fraction(3, 2)),
        ("1000M", "1G", 10**9),
        ("0Mi", "0", 0),
    ],
)
def test_a_quantity_is_sent_as_the_api_server_writes_it(written: str, served: str, much: Fraction) -> None:
    assert as_served(written) == served
    assert amount(written) == amount(served) == much
