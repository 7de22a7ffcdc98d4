# SPDX-License-Identifier: GPL-3.0-or-later
"""Damage for any schema: what the catalogue offers first is damaged, and what a drill has to say of it is known."""

from __future__ import annotations

import psycopg

# Each asks for one object that damage can be done to, and answers with the statement that does it, the check that has
# to find it and the name that it has to be found by. An application without such an object has no row. All of them stay
# clear of what an extension brings, of partitions, and of each other's objects.
_OWN = "NOT EXISTS (SELECT FROM pg_depend e WHERE e.objid = {} AND e.deptype = 'e')"
_TABLE = f"""
t.relkind = 'r' AND NOT t.relispartition AND t.relnamespace = 'public'::regnamespace AND {_OWN.format("t.oid")}
AND NOT EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = t.oid)
"""
_PLAIN = "'^[a-z_][a-z0-9_]*$'"  # a name that is shown without quotes; `user` and the like are left alone
DAMAGES = {
    "a row of the largest table is deleted": f"""
        SELECT format('DELETE FROM %1$s WHERE ctid = (SELECT min(ctid) FROM %1$s)', t.oid::regclass),
               'rows', 'public.' || t.relname
        FROM pg_class t WHERE {_TABLE} AND t.relname ~ {_PLAIN} ORDER BY t.reltuples DESC, t.relname LIMIT 1""",
    "an index is dropped": f"""
        SELECT format('DROP INDEX %s', i.indexrelid::regclass), 'schema', 'INDEX public.' || c.relname
        FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid
        WHERE {_TABLE} AND c.relname ~ {_PLAIN} AND NOT i.indisreplident
          AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = c.oid)
        ORDER BY length(pg_get_expr(i.indpred, i.indrelid)) DESC NULLS LAST, c.relname LIMIT 1""",
    "a foreign key is dropped": f"""
        SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', t.oid::regclass, k.conname),
               'schema', format('FK CONSTRAINT public."%s %s"', t.relname, k.conname)
        FROM pg_constraint k JOIN pg_class t ON t.oid = k.conrelid
        WHERE {_TABLE} AND k.contype = 'f' AND k.conparentid = 0 ORDER BY t.relname, k.conname LIMIT 1""",
    "a check is dropped": f"""
        SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', t.oid::regclass, k.conname),
               'schema', 'TABLE public.' || t.relname
        FROM pg_constraint k JOIN pg_class t ON t.oid = k.conrelid
        WHERE {_TABLE} AND k.contype = 'c' AND k.convalidated AND t.relname ~ {_PLAIN} ORDER BY t.relname LIMIT 1""",
    "a column has another default": f"""
        SELECT format('ALTER TABLE %s ALTER COLUMN %I DROP DEFAULT', t.oid::regclass, a.attname),
               'schema', 'TABLE public.' || t.relname
        FROM pg_attrdef d JOIN pg_class t ON t.oid = d.adrelid
        JOIN pg_attribute a ON (a.attrelid, a.attnum) = (d.adrelid, d.adnum)
        WHERE {_TABLE} AND a.attgenerated = '' AND t.relname ~ {_PLAIN}
          AND pg_get_expr(d.adbin, d.adrelid) NOT LIKE 'nextval(%' ORDER BY t.relname DESC, a.attnum LIMIT 1""",
    "a sequence is moved": f"""
        SELECT format('SELECT setval(%L, coalesce(pg_sequence_last_value(s.oid), 0) + 1000) FROM pg_class s'
                      ' WHERE s.oid = %L::regclass', s.oid::regclass, s.oid::regclass),
               'sequence', 'public.' || s.relname
        FROM pg_class s JOIN pg_sequence q ON q.seqrelid = s.oid
        WHERE s.relkind = 'S' AND s.relnamespace = 'public'::regnamespace AND s.relname ~ {_PLAIN}
          AND q.seqtypid = 'bigint'::regtype AND {_OWN.format("s.oid")} ORDER BY s.relname LIMIT 1""",
    "a function has another body": f"""
        SELECT replace(pg_get_functiondef(p.oid), 'BEGIN', 'BEGIN /* nothing */'), 'schema',
               format('FUNCTION public."%s(%s)"', p.proname, pg_get_function_identity_arguments(p.oid))
        FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
        WHERE p.pronamespace = 'public'::regnamespace AND l.lanname = 'plpgsql' AND p.prosrc LIKE '%BEGIN%'
          AND {_OWN.format("p.oid")} ORDER BY p.proname LIMIT 1""",
    "a trigger is disabled": f"""
        SELECT format('ALTER TABLE %s DISABLE TRIGGER %I', t.oid::regclass, g.tgname),
               'schema', format('TRIGGER public."%s %s"', t.relname, g.tgname)
        FROM pg_trigger g JOIN pg_class t ON t.oid = g.tgrelid
        WHERE {_TABLE} AND NOT g.tgisinternal AND g.tgenabled = 'O' ORDER BY t.relname, g.tgname LIMIT 1""",
    "a view shows less": f"""
        SELECT format('CREATE OR REPLACE VIEW %s AS SELECT * FROM (%s) whole OFFSET 1', v.oid::regclass,
                      rtrim(pg_get_viewdef(v.oid), ';')), 'schema', 'VIEW public.' || v.relname
        FROM pg_class v WHERE v.relkind = 'v' AND v.relnamespace = 'public'::regnamespace AND v.relname ~ {_PLAIN}
          AND {_OWN.format("v.oid")} ORDER BY v.relname LIMIT 1""",
    "a comment is gone": f"""
        SELECT format('COMMENT ON TABLE %s IS NULL', t.oid::regclass), 'schema',
               format('COMMENT public."TABLE %s"', t.relname)
        FROM pg_description d JOIN pg_class t ON t.oid = d.objoid AND d.classoid = 'pg_class'::regclass
        WHERE {_TABLE} AND d.objsubid = 0 ORDER BY t.relname LIMIT 1""",
}


def plan(connection: psycopg.Connection) -> tuple[str, set[tuple[str, str]]]:
    """Given the undamaged database, return the statements that damage a copy of it, separated by `;;`, and the check
    and subject of all findings that have to come of it."""
    connection.execute("SET search_path = ''")  # so that the server names each object with its schema
    statements = ["SET session_replication_role = replica"]
    expected = set()
    for question in DAMAGES.values():
        if row := connection.execute(question.encode()).fetchone():
            statement, check, subject = row
            statements.append(statement)
            expected.add((check, subject))
    return ";;".join(statements), expected
