# SPDX-License-Identifier: GPL-3.0-or-later
"""Names that are not the same everywhere.

In a database without an encoding (SQL_ASCII) whatever bytes a client sends are a name. Rows of that kind are dumped and
read back as they are; names go into evidence and messages, which are UTF-8. The names of databases and roles are the
whole server's and have no encoding at all: each database reads their bytes by its own, so that one in LATIN1 and one in
UTF8 know the same role by two names, as do a dump of the one and the server on which it is restored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...contract.errors import ConfigurationError
from . import catalog

if TYPE_CHECKING:
    import psycopg

_NAMES = """
SELECT kind, convert_to(name::text, 'SQL_ASCII') FROM (
  SELECT 'database' AS kind, datname AS name FROM pg_database WHERE datname = current_database()
  UNION ALL SELECT 'role', rolname FROM pg_roles
  UNION ALL SELECT 'schema', nspname FROM pg_namespace
  UNION ALL SELECT CASE relkind WHEN 'i' THEN 'index' WHEN 'I' THEN 'index' WHEN 'S' THEN 'sequence'
    WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'c' THEN 'type' ELSE 'table' END, relname
    FROM pg_class WHERE oid >= 16384 AND relpersistence <> 't'
  UNION ALL SELECT 'column', attname FROM pg_attribute WHERE attrelid >= 16384 AND NOT attisdropped
  UNION ALL SELECT 'type', typname FROM pg_type WHERE oid >= 16384
  UNION ALL SELECT 'function', proname FROM pg_proc WHERE oid >= 16384
  UNION ALL SELECT 'constraint', conname FROM pg_constraint WHERE oid >= 16384
  UNION ALL SELECT 'trigger', tgname FROM pg_trigger
  UNION ALL SELECT 'rule', rulename FROM pg_rewrite WHERE oid >= 16384
  UNION ALL SELECT 'policy', polname FROM pg_policy) names
"""


def check_names(connection: psycopg.Connection[Any]) -> None:
    """Raise ConfigurationError, naming one, if a name that the copy needs could not be told anywhere else: in a
    database without an encoding one that is not UTF-8, in one that is not UTF8 a database's or a role's that is not
    ASCII."""
    encoding = connection.info.parameter_status("server_encoding")
    if encoding == "SQL_ASCII":
        _check_bytes(connection)
    elif encoding != "UTF8":
        _check_shared(connection, encoding)


def _check_shared(connection: psycopg.Connection[Any], encoding: str | None) -> None:
    (database,) = connection.execute("SELECT current_database()").fetchone() or ("",)
    names = [("database", database), *(("role", name) for name in catalog.roles(connection))]
    for kind, name in names:
        if not name.isascii():
            raise ConfigurationError(
                f"the name of the {kind} {name} is not ASCII, and this database is in {encoding}: a server whose"
                " databases are in another encoding knows it by another name",
                remedy=f"rename it (ALTER {kind.upper()} ... RENAME TO ...), or move the database to one in UTF8",
            )


def _check_bytes(connection: psycopg.Connection[Any]) -> None:
    for kind, name in connection.execute(_NAMES):
        try:
            name.decode()
        except UnicodeDecodeError:
            shown = name.decode("ascii", "backslashreplace")
            raise ConfigurationError(
                f"the database has no encoding (SQL_ASCII), and the name of the {kind} {shown} is not UTF-8",
                remedy="rename it with a client in its own encoding, or move the database to one with an encoding",
            ) from None
