# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of tables and roles in SQL."""

from __future__ import annotations

import re
from collections.abc import Sequence

LONGEST = 63  # bytes of a name; the server cuts off what follows
_SIMPLE = re.compile(r"[a-z_][a-z0-9_]*")


def quoted(name: str) -> str:
    """Return an identifier as SQL must write it. Always quoted: beside a table "user" an unquoted user is a
    function."""
    return '"' + name.replace('"', '""') + '"'


def unquoted(identifier: str) -> str:
    """Return the name that an identifier of SQL spells, quoted or not."""
    return identifier[1:-1].replace('""', '"') if identifier.startswith('"') else identifier


def literal(text: str) -> str:
    """Return a string as SQL writes it, in one line, whatever standard_conforming_strings says."""
    escaped = text.replace("\\", "\\\\").replace("'", "''").replace("\n", "\\n").replace("\r", "\\r")
    return f"E'{escaped}'" if "\\" in escaped else f"'{escaped}'"


def qualified(schema: str, name: str) -> str:
    """Return schema and name for SQL."""
    return f"{quoted(schema)}.{quoted(name)}"


def shown(schema: str, name: str) -> str:
    """Return schema and name for people and evidence: quoted only where a part is not a plain lower-case word."""
    return ".".join(part if _SIMPLE.fullmatch(part) else quoted(part) for part in (schema, name))


def listed(found: Sequence[str], number: int, most: int) -> str:
    """Return the first `most` of names for people, and how many more there are of the `number`: "a, b and 3 more"."""
    more = f" and {number - most} more" if number > most else ""
    return f"{', '.join(found[:most])}{more}"
