# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a server's error may be shown: messages that can only name objects. All else may quote a row."""

from __future__ import annotations

import re

# Classes of SQLSTATE whose messages name objects, settings and files of the server, and never a value of a row.
_NAMING = ("0A", "28", "3D", "3F", "42", "53", "55", "57", "58")
# Of these also where a statement asked a function for an object by what it had read: the server itself was in need.
_ITSELF = ("53", "55", "57")
# A syntax error quotes what it stumbles over, which may be a value that a function of the database put into SQL.
_QUOTING = ("42601",)
# Where the words are those of somebody's function, whatever the SQLSTATE: RAISE of PL/pgSQL, and other languages.
_RAISE = ("exec_stmt_raise",)
_LANGUAGES = ("plpy_elog.c", "plperl.c", "pltcl.c")


def is_raised(function: str | None, file: str | None) -> bool:
    """Whether an error from this place in the server's source is in the words of somebody's function."""
    return function in _RAISE or file in _LANGUAGES


def only_names(code: str, context: str | None) -> bool:
    """Whether the message of an error of this SQLSTATE names objects only. What comes out of a COPY or of a function
    may name the object that a row names."""
    return code.startswith(_NAMING) and code not in _QUOTING and (not context or code.startswith(_ITSELF))


def named(code: str) -> str:
    """Return an SQLSTATE with its name, such as "22P02 invalid_text_representation"."""
    import psycopg

    try:
        condition = psycopg.errors.lookup(code).__name__
    except KeyError:
        return code
    return f"{code} {re.sub('(?<=[a-z])(?=[A-Z])', '_', condition).lower()}"


def known_only(code: str) -> str:
    """Return an SQLSTATE with its name, or "" for one that nobody knows: its letters are somebody's words."""
    text = named(code)
    return text if text != code else ""
