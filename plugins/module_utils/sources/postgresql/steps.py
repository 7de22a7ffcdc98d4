# SPDX-License-Identifier: GPL-3.0-or-later
"""The way back, which docs/recovery.md prints for people and a drill and a restore walk themselves: the same options,
the same parts of the archive in the same order, the same SQL. A test holds that the document has these very texts.

SQL names the evidence as psql does, :'evidence'; `with_evidence` puts it in for a session of ours.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ...contract.codec import encode_json
from ...contract.evidence import PostgresqlEvidence
from .archive_toc import TocEntry
from .globals import HEADER, STATEMENTS
from .identifiers import literal

# What a database, its owner or its server may have set so that rows would be refused, or read as something else. The
# dump is written with the same lc_monetary (see client.py).
OPTIONS = "-c default_transaction_read_only=off -c array_nulls=on -c lc_monetary=C -c idle_session_timeout=0"

# Parts of the archive in the order in which they are restored, each by its own pg_restore with one job: the order of
# the archive, whatever the machine. Schemas come first, so that extensions can be made in the version that the source
# had; event triggers last, so that none fires on what is restored.
DATABASE, SCHEMAS, CONTENT, EVENT_TRIGGERS = "database", "schemas", "content", "event-triggers"

# How the lines of `pg_restore --list` are told apart, as extended regular expressions.
LINE = "^[0-9]+; [0-9]+ [0-9]+ "
LINES = {
    DATABASE: f"{LINE}(DATABASE|(ACL|COMMENT|SECURITY LABEL) - DATABASE) ",
    SCHEMAS: f"{LINE}SCHEMA ",
    EVENT_TRIGGERS: f"{LINE}(EVENT TRIGGER|(COMMENT|SECURITY LABEL) - EVENT TRIGGER) ",
}
_ABOUT = {"ACL", "COMMENT", "SECURITY LABEL"}

# The lines of the roles' file, whole, as extended regular expressions, where groups have no names and a repetition may
# give back what it took: what else stands in one was not written by a backup.
_GROUP = re.compile(r"\(\?(?::|P<\w+>)")
ROLES = (
    f"^({HEADER.replace('.', '[.]')})?$",
    *(f"^{_GROUP.sub('(', statement).replace('*+', '*')}$" for statement in STATEMENTS),
)

# What the server has to have. Of libraries a drill decides itself which the data need.
NEEDS = """\
WITH source AS (SELECT :'evidence'::json -> 'source' AS said)
SELECT 'extension ' || key AS what, value AS wanted, coalesce(default_version, 'MISSING') AS here
FROM source, json_each_text(said -> 'extensions') LEFT JOIN pg_available_extensions ON name = key
UNION ALL
SELECT 'file ' || file, 'there',
       CASE WHEN (pg_stat_file(CASE WHEN file LIKE '$libdir/%' THEN replace(file, '$libdir', library.setting) || '.so'
                                    ELSE share.setting || '/' || file END, true)).size IS NULL
            THEN 'MISSING' ELSE 'there' END
FROM source, json_array_elements_text(said -> 'files') file, pg_config share, pg_config library
WHERE share.name = 'SHAREDIR' AND library.name = 'PKGLIBDIR'"""

# Statements that make extensions in the source's version, where the server would make another one and has that, too.
# What others require comes first.
EXTENSIONS = """\
WITH source AS (SELECT :'evidence'::json -> 'source' AS said)
SELECT format('CREATE EXTENSION IF NOT EXISTS %I WITH SCHEMA %I VERSION %L CASCADE', name, schemas.value, version)
FROM source CROSS JOIN json_each_text(said -> 'extensions') wanted
JOIN json_each_text((SELECT said -> 'extension_schemas' FROM source)) schemas USING (key)
JOIN pg_available_extension_versions ON name = key AND version = wanted.value
JOIN pg_available_extensions USING (name) WHERE default_version <> version
ORDER BY coalesce(cardinality(requires), 0)"""

# A function that names another one without its schema works where the search_path has that schema, and pg_restore has
# none. For a second pass every function of the database's own gets the search_path of the source, and gives it back.
_ROUTINES = """\
FROM (SELECT string_agg(quote_ident(value), ', ') AS path
      FROM json_array_elements_text(:'evidence'::json #> '{source,search_path}')) source,
     pg_proc p JOIN pg_namespace n ON n.oid = pronamespace JOIN pg_language l ON l.oid = prolang
WHERE path <> '' AND nspname NOT IN ('pg_catalog', 'information_schema') AND lanname NOT IN ('c', 'internal')
  AND prokind <> 'a'
  AND NOT EXISTS (SELECT FROM unnest(proconfig) setting WHERE setting LIKE 'search_path=%')"""
SEARCH_PATH_SET = f"SELECT format('ALTER ROUTINE %s SET search_path = %s', p.oid::regprocedure, path)\n{_ROUTINES}"
SEARCH_PATH_RESET = f"SELECT format('ALTER ROUTINE %s RESET search_path', p.oid::regprocedure)\n{_ROUTINES}"


def part_of(entry: TocEntry) -> str:
    """Return the part of the archive in which an entry is restored."""
    about = entry.tag if entry.description in _ABOUT and not entry.schema else ""
    if entry.description in ("DATABASE", "DATABASE PROPERTIES") or about.startswith("DATABASE "):
        return DATABASE
    if entry.description == "EVENT TRIGGER" or about.startswith("EVENT TRIGGER "):
        return EVENT_TRIGGERS
    return SCHEMAS if entry.description == "SCHEMA" else CONTENT


def parts(entries: Iterable[TocEntry]) -> dict[str, list[TocEntry]]:
    """Return {part: its entries in the archive's order}."""
    found: dict[str, list[TocEntry]] = {part: [] for part in (DATABASE, SCHEMAS, CONTENT, EVENT_TRIGGERS)}
    for entry in entries:
        found[part_of(entry)].append(entry)
    return found


def list_of(entries: Sequence[TocEntry]) -> str:
    """Return entries as pg_restore's --use-list takes them."""
    return "".join(f"{entry.dump_id};\n" for entry in entries)


def with_evidence(sql: str, evidence: PostgresqlEvidence) -> bytes:
    """Return one of the statements above for a session of ours."""
    text = encode_json({"source": evidence})
    return sql.replace(":'evidence'", literal(text)).encode(errors="surrogateescape")
