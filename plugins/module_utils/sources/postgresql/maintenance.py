# SPDX-License-Identifier: GPL-3.0-or-later
"""A session that makes a new database on the live one's server, from a database that is there anyhow."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

from ...contract.errors import ConfigurationError, NoPermission
from ...contract.source import PostgresqlSource
from ..base import RestoreTarget
from . import client
from .connection import check_direct, connect, hurried, translated
from .target import RESTORE, Target

if TYPE_CHECKING:
    import psycopg

NewDatabase: TypeAlias = RestoreTarget[PostgresqlSource]

_SUPERUSER = "SELECT rolsuper FROM pg_roles WHERE rolname = session_user"


@contextlib.contextmanager
def maintenance(new: NewDatabase) -> Iterator[tuple[psycopg.Connection[Any], Target]]:
    """Yield a session beside the new database, and that database as a target. Both belong to the server itself."""
    where = f"{new.source.host}:{new.source.port}"
    source, connection = _connected(new.source)
    with contextlib.closing(connection), translated():
        major = check_direct(connection, source, RESTORE)
        programs = client.find(major, new.source.binaries)
        (superuser,) = connection.execute(_SUPERUSER).fetchone() or (False,)
        login = replace(new.source, database=new.name)
        with hurried(connection):
            yield connection, Target(programs, login, where, scratch=False, superuser=superuser)


def _connected(login: PostgresqlSource) -> tuple[PostgresqlSource, psycopg.Connection[Any]]:
    """Return a session on a database that is there anyhow: the live one may be what was lost."""
    try:
        for name in ("postgres", "template1"):
            with contextlib.suppress(ConfigurationError, NoPermission):
                there = replace(login, database=name)
                return there, connect(there, RESTORE, guarded=True)
        return login, connect(login, RESTORE, guarded=True)
    except NoPermission as error:
        raise NoPermission(
            error.problem,
            remedy="correct app_restore_user and app_restore_password, or app_database_password if they are not set",
        ) from None
