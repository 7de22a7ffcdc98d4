# SPDX-License-Identifier: GPL-3.0-or-later
"""What a backup lacks, and what its source suffers from, is said: to whoever runs it, in the evidence, and in clear."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest

from fanout.actions.backup import BackupResult, backup
from fanout.actions.drill import drill
from fanout.actions.freshness import freshness
from fanout.contract.errors import ConfigurationError, NoPermission
from tests.support.whole_database import with_program

from .small import Small, quiet, small


@pytest.fixture
def lab() -> Iterator[Small]:
    """Version 15 comes from the distribution, with all of contrib and ICU."""
    with small(15) as made:
        made.run("CREATE TABLE thing (id int PRIMARY KEY);;INSERT INTO thing VALUES (1), (2)", owner=True)
        yield made


def said(made: BackupResult, words: str, *, but_not: str) -> None:
    """Check that a warning and a notice say so, and that the notice does not give a name away."""
    assert [warning for warning in made.warnings if words in warning and "Remedy: " in warning], made.warnings
    (notice,) = made.manifest.notices
    assert words in notice
    assert but_not not in notice


def test_a_subscription_that_the_login_cannot_dump_is_missed(lab: Small) -> None:
    lab.run(
        "CREATE SUBSCRIPTION head_office CONNECTION 'host=127.0.0.1 port=1 dbname=no password=secret' PUBLICATION news"
        " WITH (connect = false, slot_name = NONE)"
    )
    made = backup(quiet(lab))
    said(made, "1 subscription which only a superuser can dump", but_not="head_office")
    assert any("pg_dump: warning: subscriptions not dumped" in warning for warning in made.warnings)
    assert lab.evidence(made)["left_out"] == ["1 subscription which only a superuser can dump"]
    assert "secret" not in str(made)
    assert freshness(quiet(lab), drills_expected=False).notices == made.manifest.notices
    assert freshness(quiet(lab), drills_expected=False).problems == ()
    assert backup(lab.as_superuser()).manifest.notices == ()


def test_options_of_user_mappings_that_the_login_cannot_see_are_missed(lab: Small) -> None:
    lab.run(
        "CREATE EXTENSION postgres_fdw;;CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw;;"
        "CREATE ROLE other;;CREATE USER MAPPING FOR other SERVER far OPTIONS (user 'x', password 'secret');;"
        "GRANT USAGE ON FOREIGN SERVER far TO owner;;CREATE USER MAPPING FOR owner SERVER far OPTIONS (user 'me')"
    )
    made = backup(quiet(lab))
    said(made, "1 user mapping whose options", but_not="far")
    assert "secret" not in str(made)
    assert backup(lab.as_superuser()).manifest.notices == ()


def test_what_lies_among_the_servers_own_objects_is_missed(lab: Small) -> None:
    lab.run(
        "CREATE TABLE information_schema.prices (id int);;INSERT INTO information_schema.prices VALUES (1);;"
        "CREATE FUNCTION pg_catalog.tax(int) RETURNS int LANGUAGE sql AS 'SELECT $1';;CREATE EXTENSION pg_buffercache"
    )
    made = backup(quiet(lab))
    said(made, "2 objects in pg_catalog or information_schema", but_not="prices")


def test_everybodys_right_to_set_a_parameter_is_missed(lab: Small) -> None:
    lab.run("CREATE ROLE stranger;;GRANT SET ON PARAMETER log_statement TO stranger, owner")
    assert backup(quiet(lab)).manifest.notices == ()
    lab.run("GRANT SET ON PARAMETER log_duration TO PUBLIC")
    said(backup(quiet(lab)), "1 grant of everybody's right to set a parameter", but_not="log_duration")


def test_what_was_made_a_part_of_an_extension_is_told_by_the_drill(lab: Small) -> None:
    lab.run(
        "CREATE EXTENSION pg_trgm;;CREATE FUNCTION own() RETURNS int LANGUAGE sql AS 'SELECT 1';;"
        "ALTER EXTENSION pg_trgm ADD FUNCTION own()"
    )
    thread = quiet(lab)
    backup(thread)
    done = drill(thread)
    assert done.verdict.result == "pass"
    assert [note for note in done.notes if "function public.own() belong to the extension pg_trgm" in note]


def test_rows_of_an_extensions_own_tables_are_counted_as_the_dump_filters_them(lab: Small) -> None:
    lab.run(
        "CREATE EXTENSION pg_trgm;;CREATE TABLE config (a int);;INSERT INTO config VALUES (1), (2), (3);;"
        "CREATE TABLE fixed (a int);;INSERT INTO fixed VALUES (1);;CREATE TABLE hidden (a int);;"
        "GRANT SELECT ON config, fixed TO owner;;ALTER EXTENSION pg_trgm ADD TABLE config;;"
        "ALTER EXTENSION pg_trgm ADD TABLE fixed;;ALTER EXTENSION pg_trgm ADD TABLE hidden;;"
        "UPDATE pg_extension SET extconfig = ARRAY['config'::regclass::oid], extcondition = ARRAY['WHERE a > 1']"
        " WHERE extname = 'pg_trgm'"
    )
    made = backup(quiet(lab))
    evidence = lab.evidence(made)
    assert evidence["configuration"] == {"public.config": 2}
    assert evidence["excluded_rows"] == {"public.fixed": 1}
    assert (made.manifest.measures["tables"], made.manifest.measures["rows"]) == (1, 2)
    said(made, "1 table of extensions, in which the login of backups cannot look", but_not="hidden")
    lab.run("REVOKE SELECT ON config FROM owner")
    with pytest.raises(NoPermission, match=r"may not read the table public\.config"):
        backup(quiet(lab))


def test_a_dump_with_fewer_large_objects_than_the_snapshot_is_no_backup(lab: Small) -> None:
    lab.run("SELECT lo_from_bytea(0, 'one');;SELECT lo_from_bytea(0, 'two')", owner=True)
    assert lab.evidence(backup(quiet(lab)))["large_objects"] == 2
    thread = with_program(quiet(lab), lab.folder / "programs", "pg_dump", 'exec $REAL "$@" --no-blobs')
    with pytest.raises(Exception, match="2 large objects in the snapshot and 0 in the dump"):
        backup(thread)


def test_what_pg_dump_warns_of_is_a_warning_of_the_backup(lab: Small) -> None:
    thread = with_program(
        quiet(lab), lab.folder / "programs", "pg_dump", 'echo "pg_dump: warning: mind the gap" >&2; exec $REAL "$@"'
    )
    assert backup(thread).warnings == ("pg_dump: warning: mind the gap",)


def test_a_collation_whose_library_changed_is_told_with_every_backup_and_closes_no_gate(lab: Small) -> None:
    with lab.server.connect(autocommit=True) as connection:
        connection.execute("DROP DATABASE everything")
        connection.execute(
            "CREATE DATABASE everything OWNER owner TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en'"
        )
    lab.run('CREATE TABLE thing (name text COLLATE "de-x-icu");;CREATE INDEX ON thing (name)', owner=True)
    assert backup(quiet(lab)).warnings == ()
    lab.run("UPDATE pg_database SET datcollversion = '2.28' WHERE datname = 'everything'")
    lab.run("UPDATE pg_collation SET collversion = '1.2' WHERE collname IN ('de-x-icu', 'fr-x-icu')")
    made = backup(quiet(lab))
    said(made, "the library that sorts text has changed under the data", but_not="de-x-icu")
    (warning,) = made.warnings
    assert "the database (2.28, now " in warning
    assert 'pg_catalog."de-x-icu" (1.2, now ' in warning
    assert 'ALTER DATABASE "everything" REFRESH COLLATION VERSION' in warning
    assert set(lab.evidence(made)["collations"]) == {"the database", 'pg_catalog."de-x-icu"'}
    found = freshness(quiet(lab), drills_expected=False)
    assert (found.notices, found.problems) == (made.manifest.notices, ())


def test_a_built_in_collation_that_changed_is_told_where_a_column_or_an_index_uses_it() -> None:
    """The server lets nobody depend on it: the one of ICU is "unicode", which builds without ICU do not have."""
    with small(17) as lab:
        lab.run(
            "CREATE TABLE thing (name text);;UPDATE pg_collation SET collversion = '0' WHERE collname = 'ucs_basic'"
        )
        lab.run("ALTER TABLE thing OWNER TO owner")
        assert backup(quiet(lab)).warnings == ()
        lab.run('CREATE INDEX ON thing (name COLLATE "ucs_basic")')
        assert "pg_catalog.ucs_basic (0, now 1)" in backup(quiet(lab)).warnings[0]


def test_who_logs_in_as_a_member_of_the_owner_belongs_to_the_copy_and_so_does_a_role_with_a_right_here(
    lab: Small,
) -> None:
    lab.run(
        "CREATE ROLE owners NOLOGIN;;CREATE ROLE team;;GRANT owners TO team;;GRANT team TO owner;;"
        "CREATE ROLE app LOGIN VALID UNTIL '2031-05-06 07:08:09+02' IN ROLE team;;"
        "ALTER DATABASE everything OWNER TO owners;;ALTER TABLE thing OWNER TO owners;;"
        "CREATE ROLE metrics LOGIN VALID UNTIL 'infinity' IN ROLE pg_read_all_data;;"
        "GRANT CONNECT ON DATABASE everything TO metrics;;"
        "ALTER ROLE metrics IN DATABASE everything SET statement_timeout = '30s';;"
        "ALTER ROLE app SET application_name = E'two\\nlines';;CREATE ROLE stranger LOGIN"
    )
    made = backup(quiet(lab))
    evidence, lines = lab.evidence(made), lab.roles(made)
    assert {"owners", "team", "owner", "app", "metrics"} <= set(evidence["roles"])
    assert "stranger" not in evidence["roles"]
    assert evidence["login"] == "owner"
    (app,) = [line for line in lines if line.startswith('CREATE ROLE "app"')]
    assert app.endswith("VALID UNTIL '2031-05-06 05:08:09.000000+00';")
    (metrics,) = [line for line in lines if line.startswith('CREATE ROLE "metrics"')]
    assert metrics.endswith("VALID UNTIL 'infinity';")
    assert r"""ALTER ROLE "app" SET "application_name" TO E'two\nlines';""" in lines
    assert 'GRANT "pg_read_all_data" TO "metrics";' in lines
    assert drill(quiet(lab)).findings == ()


def test_a_role_whose_name_has_two_lines_is_refused_with_the_cure(lab: Small) -> None:
    lab.run('CREATE ROLE "two\nlines";;GRANT SELECT ON thing TO "two\nlines"')
    with pytest.raises(ConfigurationError, match=r"the role 'two\\nlines' holds a line break .* ALTER ROLE"):
        backup(quiet(lab))


def test_the_evidence_names_what_a_server_needs_that_restores(lab: Small) -> None:
    lab.run(
        "ALTER DATABASE everything SET session_preload_libraries = '$libdir/auto_explain.so', 'plpgsql';;"
        "CREATE SCHEMA extra;;CREATE EXTENSION pg_trgm SCHEMA extra;;CREATE EXTENSION unaccent;;"
        "CREATE TEXT SEARCH DICTIONARY own_stem (TEMPLATE = snowball, Language = english, StopWords = english);;"
        "CREATE TEXT SEARCH DICTIONARY own_words (TEMPLATE = synonym, Synonyms = synonym_sample);;"
        "CREATE FUNCTION plain(text) RETURNS text LANGUAGE c AS '$libdir/pg_trgm', 'show_trgm';;"
        "INSERT INTO thing VALUES (3)"
    )
    lab.run("DROP INDEX IF EXISTS broken")
    with (
        lab.server.connect("everything", autocommit=True) as connection,
        pytest.raises(Exception, match="could not create"),
    ):
        connection.execute("CREATE UNIQUE INDEX CONCURRENTLY broken ON thing ((id / 100))")
    evidence = lab.evidence(backup(quiet(lab)))
    assert evidence["preload"] == ["auto_explain", "plpgsql"]
    assert evidence["extension_schemas"] == {"pg_trgm": "extra", "plpgsql": "pg_catalog", "unaccent": "public"}
    assert evidence["files"] == ["$libdir/pg_trgm", "tsearch_data/english.stop", "tsearch_data/synonym_sample.syn"]
    assert evidence["invalid_indexes"] == ["public.broken"]


def test_settings_of_the_server_are_told_apart_from_those_of_the_database_and_from_ours() -> None:
    settings = {"timezone": "Europe/Berlin", "bytea_output": "escape", "datestyle": "SQL, DMY", "xmlbinary": "hex"}
    with small(15, {**settings, "shared_preload_libraries": "$libdir/auto_explain.so"}) as lab:
        lab.run("ALTER DATABASE everything SET intervalstyle = 'iso_8601'")
        for thread, preload in ((quiet(lab), []), (lab.as_superuser(), ["auto_explain"])):
            evidence = lab.evidence(backup(thread))
            assert evidence["settings"] == {
                "TimeZone": "Europe/Berlin", "bytea_output": "escape", "DateStyle": "SQL, DMY", "xmlbinary": "hex",
                "default_text_search_config": "pg_catalog.english",
            }  # fmt: skip
            assert evidence["preload"] == preload


def test_a_name_that_is_not_utf8_is_refused_before_anything_is_counted(lab: Small) -> None:
    with lab.server.connect(autocommit=True) as connection:
        connection.execute("DROP DATABASE everything")
        connection.execute(
            "CREATE DATABASE everything OWNER owner TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'"
        )
    lab.run("CREATE TABLE plain (body text);;INSERT INTO plain VALUES (E'M\\xfcller')", owner=True)
    assert backup(quiet(lab)).manifest.measures["rows"] == 1
    assert drill(quiet(lab)).findings == ()
    lab.run("DO $$ BEGIN EXECUTE 'CREATE TABLE ' || quote_ident(E'B\\xfccher') || ' (id int)'; END $$", owner=True)
    with pytest.raises(ConfigurationError) as caught:
        backup(quiet(lab))
    assert str(caught.value).startswith(
        "everything/database/nas: check: the database has no encoding (SQL_ASCII), and the name"
    )
    assert "table B\\xfccher is not UTF-8" in str(caught.value)


@pytest.mark.parametrize("renamed", ["DATABASE everything", "ROLE owner"])
def test_a_database_or_role_that_other_databases_know_by_another_name_is_refused_with_the_cure(
    lab: Small, renamed: str
) -> None:
    """A copy of it passes no drill, or passes and is not found again by docs/recovery.md."""
    with lab.server.connect(autocommit=True) as connection:
        connection.execute("DROP DATABASE everything")
        connection.execute(
            "CREATE DATABASE everything OWNER owner TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'"
        )
    lab.run('CREATE ROLE "stränger";;CREATE TABLE "Bücher" (id int);;INSERT INTO "Bücher" VALUES (1)')
    thread = lab.as_superuser()
    assert backup(thread).manifest.measures["rows"] == 1
    assert drill(thread).findings == ()
    kind = renamed.partition(" ")[0]
    with lab.server.connect(autocommit=True) as connection:
        connection.execute(f'ALTER {renamed} RENAME TO "bücher"'.encode())
    source = thread.source
    if kind == "DATABASE":
        thread = dataclasses.replace(thread, source=dataclasses.replace(source, database="bücher"))
    with pytest.raises(ConfigurationError) as caught:
        backup(thread)
    assert f"the name of the {kind.lower()} b" in caught.value.problem
    assert "is not ASCII" in caught.value.problem
    assert f"ALTER {kind} ... RENAME TO" in caught.value.remedy


def test_a_value_too_large_for_text_is_named_with_the_way_to_it(lab: Small) -> None:
    """The server's words for 600 MB in a row, without the 3 GB of memory that it takes to hear them."""
    words = (
        'pg_dump: error: Dumping the contents of table "attachment" failed: PQgetResult() failed.\n'
        "pg_dump: detail: Error message from server: ERROR:  invalid memory alloc request size 1200000003\n"
        "CONTEXT:  a row that nobody may read\n"
        'pg_dump: detail: Command was: COPY public."Attachment" (id, content) TO stdout;'
    )
    script = f"cat >&2 <<'END'\n{words}\nEND\nexit 1"
    thread = with_program(quiet(lab), lab.folder / "programs", "pg_dump", script)
    with pytest.raises(ConfigurationError) as caught:
        backup(thread)
    assert 'SELECT ... FROM public."Attachment" WHERE octet_length(column) > 500000000' in caught.value.remedy
    assert "there can be no backup until it is gone" in caught.value.problem
    assert "nobody may read" not in str(caught.value)
