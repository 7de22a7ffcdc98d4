# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a server refused, in words that hold no row and no statement."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psycopg

# Classes of SQLSTATE whose messages can only name identifiers, libraries and limits.
_NAMING = ("0A", "28", "3D", "3F", "42", "53", "55", "57", "58")


def reason(error: psycopg.Error) -> str:
    """Return the server's message where it can hold no row, else only SQLSTATE, its name and the object's name."""
    message, state = error.diag.message_primary, error.sqlstate or ""
    if message and state[:2] in _NAMING and error.diag.source_function != "exec_stmt_raise":
        return message
    if not state:
        return "the connection broke"
    parts = (error.diag.schema_name, error.diag.table_name, error.diag.constraint_name)
    return " ".join([state, type(error).__name__, ".".join(filter(None, parts))]).strip()
