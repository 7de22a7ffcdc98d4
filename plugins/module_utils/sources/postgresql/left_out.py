# SPDX-License-Identifier: GPL-3.0-or-later
"""What a backup lacks although it succeeds, and what its source suffers from: nothing of it is left unsaid.

Each is said three times: in the evidence, which is encrypted; as a warning to whoever runs the backup; and as a notice
in the manifest, which anybody may read and which therefore names nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .catalog import UNLOGGED, Tables
from .identifiers import quoted, shown

if TYPE_CHECKING:
    import psycopg

_SUBSCRIPTIONS = """
SELECT count(s.oid) FROM pg_subscription s, pg_database d WHERE s.subdbid = d.oid AND d.datname = current_database()
  AND NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
"""
# Who sees the options of a user mapping, in PostgreSQL's own words (the view pg_user_mappings). What is hidden looks
# like a mapping without options.
_MAPPINGS = """
SELECT count(*) FROM pg_user_mappings m JOIN pg_foreign_server s ON s.oid = m.srvid
WHERE m.umoptions IS NULL AND NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
  AND NOT (m.umuser <> 0 AND m.usename = current_user
           AND (pg_has_role(s.srvowner, 'USAGE') OR has_server_privilege(s.oid, 'USAGE')))
  AND NOT (m.umuser = 0 AND pg_has_role(s.srvowner, 'USAGE'))
"""
# pg_dump takes these schemas for the server's own, whoever made something there. What extensions have there is theirs.
_AMONG_THE_SERVERS_OWN = """
SELECT count(*) FROM (
  SELECT tableoid, oid FROM pg_class
  WHERE relnamespace IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
    AND relkind IN ('r', 'p', 'f', 'v', 'm', 'S') AND oid >= 16384
  UNION ALL SELECT tableoid, oid FROM pg_proc
  WHERE pronamespace IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace) AND oid >= 16384
) made
WHERE NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = made.tableoid AND d.objid = made.oid AND d.deptype = 'e')
"""
# Those of the copy's own roles are in their file.
_PARAMETERS = "SELECT count(*) FROM pg_parameter_acl p, aclexplode(p.paracl) a WHERE a.grantee = 0"
_STRANGERS = """
SELECT count(*) FROM pg_db_role_setting s
JOIN pg_roles r ON r.oid = s.setrole JOIN pg_database d ON d.oid = s.setdatabase
WHERE d.datname = current_database() AND r.rolname <> ALL (%s)
"""
_DATABASE_COLLATION = """
SELECT datcollversion, pg_database_collation_actual_version(oid) FROM pg_database WHERE datname = current_database()
"""
# Nobody depends on what is built in ("unicode" of ICU): of those only the columns, also of indexes, tell who uses them.
_COLLATIONS = """
SELECT n.nspname, c.collname, c.collversion, pg_collation_actual_version(c.oid)
FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace
WHERE c.collversion IS NOT NULL AND (
  EXISTS (SELECT FROM pg_attribute a WHERE a.attcollation = c.oid AND a.attrelid >= 16384 AND NOT a.attisdropped)
  OR EXISTS (
    SELECT FROM pg_depend d WHERE d.refclassid = 'pg_collation'::regclass AND d.refobjid = c.oid AND d.deptype <> 'i'))
ORDER BY 1, 2
"""
DATABASE = "the database"


def left_out(connection: psycopg.Connection[Any], tables: Tables) -> tuple[str, ...]:
    """Return what the dump silently lacks, in words with numbers and without names."""
    (subscriptions,) = connection.execute(_SUBSCRIPTIONS).fetchone() or (0,)
    (mappings,) = connection.execute(_MAPPINGS).fetchone() or (0,)
    (misplaced,) = connection.execute(_AMONG_THE_SERVERS_OWN).fetchone() or (0,)
    parameters = 0
    if connection.info.server_version >= 150000:
        (parameters,) = connection.execute(_PARAMETERS).fetchone() or (0,)
    unlogged = sum(reason == UNLOGGED for reason in tables.excluded.values())
    counted = (
        (subscriptions, "subscription", "which only a superuser can dump"),
        (mappings, "user mapping", "whose options, such as passwords, the login of backups may not see"),
        (tables.hidden, "table", "of extensions, in which the login of backups cannot look for rows of yours"),
        (unlogged, "unlogged table", "whose rows a standby does not have"),
        (misplaced, "object", "in pg_catalog or information_schema, where no dump looks for one of yours"),
        (parameters, "grant", "of everybody's right to set a parameter, which belongs to the server"),
    )
    return tuple(f"{number} {name}{'s' * (number > 1)} {why}" for number, name, why in counted if number)


def strangers(connection: psycopg.Connection[Any], roles: Sequence[str]) -> list[str]:
    """Return a notice, if any role but the copy's `roles` has settings in the database: it may be anybody's."""
    (number,) = connection.execute(_STRANGERS, [list(roles)]).fetchone() or (0,)
    what = "settings in the database of roles that have nothing else in it"
    return [f"not in the newest backup: {what} ({number})"] if number else []


def collations(connection: psycopg.Connection[Any]) -> dict[str, str]:
    """Return {object: "version, now version"} where the library that sorts text is no longer the one under which the
    database, or a collation that it uses, was made."""
    pairs: list[tuple[str, str | None, str | None]] = []
    if connection.info.server_version >= 150000:
        pairs += [(DATABASE, *row) for row in connection.execute(_DATABASE_COLLATION)]
    pairs += [(shown(schema, name), *versions) for schema, name, *versions in connection.execute(_COLLATIONS)]
    return {name: f"{then}, now {now}" for name, then, now in pairs if then and now and then != now}


def remarks(database: str, missing: tuple[str, ...], changed: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Return warnings, which may name objects, and notices, which name none, for what `left_out` and `collations`
    found."""
    remedy = "Remedy: back up with a login that sees all of it, or note elsewhere how to make it again"
    warnings = [f"not in this backup: {what}. {remedy}" for what in missing]
    notices = [f"not in the newest backup: {what}" for what in missing]
    if changed:
        problem = "the library that sorts text has changed under the data, so indexes may miss rows or hold duplicates"
        check = "check the indexes with the extension amcheck, then"
        names = ", ".join(f"{name} ({versions})" for name, versions in changed.items())
        refresh = [
            f"ALTER DATABASE {quoted(database)} REFRESH COLLATION VERSION"
            if name == DATABASE
            else f"ALTER COLLATION {name} REFRESH VERSION"
            for name in changed
        ]
        warnings.append(
            f"{problem}: {names}. Remedy: {check} REINDEX DATABASE {quoted(database)}; {'; '.join(refresh)}"
        )
        notices.append(f"{problem}: {check} REINDEX DATABASE, then ALTER DATABASE ... REFRESH COLLATION VERSION")
    return warnings, notices
