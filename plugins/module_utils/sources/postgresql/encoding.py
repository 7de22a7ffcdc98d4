# SPDX-License-Identifier: GPL-3.0-or-later
"""Names in a database without an encoding (SQL_ASCII), where whatever bytes a client sends are a name.

Rows of that kind are dumped and read back as they are. Names go into evidence and messages, which are UTF-8.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...contract.errors import ConfigurationError

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
    """Raise ConfigurationError, naming one, if the database has no encoding and a name in it is not UTF-8."""
    if connection.info.parameter_status("server_encoding") != "SQL_ASCII":
        return
    for kind, name in connection.execute(_NAMES):
        try:
            name.decode()
        except UnicodeDecodeError:
            shown = name.decode("ascii", "backslashreplace")
            raise ConfigurationError(
                f"the database has no encoding (SQL_ASCII), and the name of the {kind} {shown} is not UTF-8",
                remedy="rename it with a client in its own encoding, or move the database to one with an encoding",
            ) from None
