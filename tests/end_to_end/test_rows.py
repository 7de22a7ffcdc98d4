# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows of a restored database are read as pg_dump reads them, and compared whatever their order."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fanout.actions.backup import backup
from fanout.actions.drill import drill
from tests.support.whole_database import PASSWORD, Everything, everything

# Text that depends on settings of the session: the search path, the styles, the places of a float.
_TEXTS = """
CREATE TABLE public.registered (id int, what regclass, made regtype, by regprocedure);
INSERT INTO public.registered VALUES (1, 'shop.orders', 'shop.state', 'shop.add(int, int)'),
  (2, 'public.user', 'int', NULL);
CREATE TABLE public.styled (day date, span interval, number float8, moment timestamptz);
INSERT INTO public.styled VALUES ('2026-02-03', '1 year 2 days -3 hours', 0.1 + 0.2, '2026-02-03 04:05:06+07');
"""
# Rows of very different lengths that are updated lie in gaps, in another order than they were inserted.
_LENGTHS = """
CREATE TABLE public.lengths (id int PRIMARY KEY, body text);
INSERT INTO public.lengths SELECT n, repeat('x', (n * 37) % 3000) FROM generate_series(1, 3000) AS n;
UPDATE public.lengths SET body = repeat('y', (id * 91) % 5000) WHERE id % 3 = 0;
VACUUM public.lengths;
INSERT INTO public.lengths SELECT n, repeat('z', (n * 7) % 1000) FROM generate_series(3001, 6000) AS n;
"""


@pytest.fixture(scope="module", params=[15, 18])
def lab(request: pytest.FixtureRequest) -> Iterator[Everything]:
    with everything(request.param) as made:
        with made.server.connect("everything", "owner", PASSWORD, autocommit=True) as connection:
            for statement in (*_TEXTS.split(";\n"), *_LENGTHS.split(";\n")):
                connection.execute(statement.encode())
        with made.server.connect(autocommit=True) as connection:
            connection.execute("ALTER DATABASE everything SET datestyle = 'German'")
            connection.execute("ALTER DATABASE everything SET search_path = shop")
        yield made


def test_values_that_print_by_settings_and_rows_of_all_lengths_are_no_damage(lab: Everything) -> None:
    thread = lab.thread()
    backup(thread)
    result = drill(thread)
    assert [str(finding) for finding in result.findings] == []
    assert result.verdict.result == "pass"
