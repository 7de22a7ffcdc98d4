# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever expressions a schema holds and however PostgreSQL prints them: a healthy copy passes its drill."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest

from fanout.actions.backup import backup
from fanout.actions.drill import drill
from fanout.contract.thread import Thread
from tests.support.whole_database import Everything, everything

from .generated import statements

_SEEDS = range(3)


@pytest.fixture(scope="module", params=[15, 16, 17, 18])
def lab(request: pytest.FixtureRequest) -> Iterator[Everything]:
    with everything(request.param) as made:
        yield made


def by_superuser(lab: Everything) -> Thread:
    """Return a thread of the lab's that backs up as superuser."""
    (lab.folder / "superuser").write_text(lab.server.superuser_password)
    thread = lab.thread()
    source = thread.source
    login = dataclasses.replace(source, user=lab.server.superuser, password_file=str(lab.folder / "superuser"))
    return dataclasses.replace(thread, source=login)


def test_definitions_that_are_printed_otherwise_after_a_restore_are_no_difference(lab: Everything) -> None:
    with lab.server.connect("everything", autocommit=True) as connection:
        xml = connection.execute(
            "SELECT FROM pg_config WHERE name = 'CONFIGURE' AND setting LIKE '%libxml%'"
        ).fetchone()
        for seed in _SEEDS:
            for statement in statements(seed, lab.server.major, xml=xml is not None):
                connection.execute(statement.encode())
    thread = by_superuser(lab)
    backup(thread)
    result = drill(thread)
    assert [str(finding) for finding in result.findings] == []
    assert [note for note in result.notes if "amcheck" not in note] == [], "all of them were compared"
    assert result.verdict.result == "pass"
