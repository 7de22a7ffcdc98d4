# SPDX-License-Identifier: GPL-3.0-or-later
"""What a server has to have that restores a database: libraries, settings, files. Asked of the source."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from . import client
from .identifiers import shown, unquoted

if TYPE_CHECKING:
    import psycopg

_PRELOADS = ("shared_preload_libraries", "session_preload_libraries", "local_preload_libraries")
# Extensions that work only where their library was loaded before: what the server loads is hidden from an ordinary
# login.
_LIBRARIES = {
    "age": "age",
    "anon": "anon",
    "citus": "citus",
    "documentdb": "pg_documentdb",
    "documentdb_core": "pg_documentdb_core",
    "pg_cron": "pg_cron",
    "pg_net": "pg_net",
    "pg_search": "pg_search",
    "pg_squeeze": "pg_squeeze",
    "pg_stat_statements": "pg_stat_statements",
    "pgaudit": "pgaudit",
    "pglogical": "pglogical",
    "pgsodium": "pgsodium",
    "timescaledb": "timescaledb",
    "vchord": "vchord",
    "vectors": "vectors",
}
_OWN_SETTINGS = """
SELECT unnest(s.setconfig) FROM pg_db_role_setting s, pg_database d
WHERE d.datname = current_database() AND s.setdatabase IN (0, d.oid) AND s.setrole IN (0, d.datdba)
"""
# They change how text is read or written, or what a function returns. Locales are not among them: the database has its
# own, and a server without one of those that a setting names would not start.
_READING = (
    "array_nulls", "backslash_quote", "bytea_output", "DateStyle", "default_text_search_config",
    "default_toast_compression", "escape_string_warning", "extra_float_digits", "IntervalStyle",
    "standard_conforming_strings", "TimeZone", "transform_null_equals", "xmlbinary", "xmloption",
)  # fmt: skip
_SETTINGS = """
SELECT name, setting FROM pg_settings
WHERE name = ANY (%s) AND setting IS DISTINCT FROM boot_val
  AND source IN ('configuration file', 'command line', 'environment variable', 'global')
"""
_MEMBERS = """
SELECT e.extname, o.type || ' ' || o.identity FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
CROSS JOIN pg_identify_object(d.classid, d.objid, 0) o
WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND o.identity IS NOT NULL ORDER BY 1, 2
"""
_DICTIONARIES = """
SELECT t.tmplname, d.dictinitoption FROM pg_ts_dict d JOIN pg_ts_template t ON t.oid = d.dicttemplate
WHERE d.oid >= 16384 AND d.dictinitoption IS NOT NULL
  AND NOT EXISTS (SELECT FROM pg_depend p WHERE p.classid = 'pg_ts_dict'::regclass AND p.objid = d.oid
                  AND p.deptype = 'e')
"""
# A name has 63 characters: no more are read from each place that one may begin at.
_OPTION = re.compile(r"(\"(?:[^\"]|\"\"){1,63}\"|(?<!\w)\w+) = E?'((?:[^']|'')*)'")
_ENDINGS = {
    "stopwords": "stop",
    "dictfile": "dict",
    "afffile": "affix",
    "synonyms": "syn",
    "rules": "rules",
}
_THESAURUS = {**_ENDINGS, "dictfile": "ths"}
_LIBRARY_FUNCTIONS = """
SELECT DISTINCT probin FROM pg_proc f
WHERE f.oid >= 16384 AND f.probin IS NOT NULL
  AND NOT EXISTS (SELECT FROM pg_depend p WHERE p.classid = 'pg_proc'::regclass AND p.objid = f.oid
                  AND p.deptype = 'e')
"""
_INVALID_INDEXES = """
SELECT n.nspname, c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE NOT (i.indisvalid AND i.indisready AND i.indislive) AND c.relpersistence <> 't' AND n.nspname <> 'pg_toast'
ORDER BY 1, 2
"""


def preload(connection: psycopg.Connection[Any]) -> tuple[str, ...]:
    """Return the libraries that sessions of the server, of this database or of its owner load before anything else: as
    names, without folder and ending, in lower case.

    Where the login may not know them, they are those that the database's extensions are known to need.
    """
    values = dict(
        connection.execute("SELECT name, setting FROM pg_settings WHERE name = ANY (%s)", [list(_PRELOADS)]).fetchall()
    )
    texts = list(values.values())
    for (setting,) in connection.execute(_OWN_SETTINGS).fetchall():
        name, _equals, value = setting.partition("=")
        if name in _PRELOADS:
            texts.append(value)
    found = [library_name(word) for text in texts for word in (text or "").split(",") if word.strip()]
    if _PRELOADS[0] not in values:
        extensions = connection.execute("SELECT extname FROM pg_extension ORDER BY 1").fetchall()
        found += [_LIBRARIES[extension] for (extension,) in extensions if extension in _LIBRARIES]
    return tuple(dict.fromkeys(found))


def library_name(word: str) -> str:
    """Return the name of a library as a list of libraries spells it: "$libdir/Own.so" is own."""
    return word.strip().strip('"').rpartition("/")[2].removesuffix(".so").lower()


def settings(connection: psycopg.Connection[Any]) -> dict[str, str]:
    """Given an open transaction, return {setting: value} of those that the server's own configuration sets otherwise
    than PostgreSQL does, and that change how values are read or written.

    Those that a database or a role has of its own are none of them.
    """
    with connection.transaction(force_rollback=True):
        connection.execute(";".join(f"RESET {name}" for name in client.TEXT).encode())
        return dict(connection.execute(_SETTINGS, [list(_READING)]).fetchall())


def extension_schemas(connection: psycopg.Connection[Any]) -> dict[str, str]:
    """Return {extension: schema}."""
    query = "SELECT extname, nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = extnamespace ORDER BY 1"
    return dict(connection.execute(query).fetchall())


def extension_members(connection: psycopg.Connection[Any]) -> dict[str, tuple[str, ...]]:
    """Return {extension: its members, as "function public.levenshtein(text,text)"}."""
    members: dict[str, list[str]] = {}
    for extension, member in connection.execute(_MEMBERS):
        members.setdefault(extension, []).append(member)
    return {extension: tuple(found) for extension, found in members.items()}


def files(connection: psycopg.Connection[Any]) -> tuple[str, ...]:
    """Return the files beside the server's own that objects name: of text search as "tsearch_data/own.stop", libraries
    of functions as the functions name them. What extensions bring is none of them."""
    found = {library for (library,) in connection.execute(_LIBRARY_FUNCTIONS)}
    for template, options in connection.execute(_DICTIONARIES):
        found.update(dictionary_files(template, options))
    return tuple(sorted(found))


def dictionary_files(template: str, options: str) -> Iterable[str]:
    """Yield the files of a dictionary, given the name of its template and its options as pg_ts_dict has them."""
    endings = _THESAURUS if template == "thesaurus" else _ENDINGS
    for name, value in _OPTION.findall(options):
        ending = endings.get(unquoted(name).lower())
        if ending:
            yield f"tsearch_data/{value}.{ending}"


def invalid_indexes(connection: psycopg.Connection[Any]) -> tuple[str, ...]:
    """Return the indexes that are not whole: being built, left behind by one that failed, or without all of their
    partitions."""
    return tuple(shown(*name) for name in connection.execute(_INVALID_INDEXES).fetchall())
