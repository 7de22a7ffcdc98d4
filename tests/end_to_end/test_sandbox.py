# SPDX-License-Identifier: GPL-3.0-or-later
"""What the home lab promises to other tests: databases that can be dumped and restored, and the same rows each time."""

from __future__ import annotations

import hashlib
import stat
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from tests.sandbox import apps, lab, state
from tests.sandbox.errors import SandboxError
from tests.sandbox.postgresql import PostgresServer, throwaway
from tests.support.needs import needs

APPS = ("nextcloud", "forgejo", "paperless", "gitlab", "immich")

TABLES = """
    SELECT pg_class.oid::regclass::text FROM pg_class
    WHERE relkind = 'r' AND relnamespace::regnamespace::text !~ '^(pg_|information_schema)' ORDER BY 1"""

# Each must find something in at least one app's database.
KINDS = {
    "foreign key": "SELECT FROM pg_constraint WHERE contype = 'f'",
    "deferred foreign key": "SELECT FROM pg_constraint WHERE contype = 'f' AND condeferred",
    "check": "SELECT FROM pg_constraint WHERE contype = 'c' AND conrelid > 0",
    "check that was never validated": "SELECT FROM pg_constraint WHERE NOT convalidated",
    "exclusion": "SELECT FROM pg_constraint WHERE contype = 'x'",
    "serial": "SELECT FROM pg_depend WHERE deptype = 'a' AND classid = 'pg_class'::regclass AND refobjsubid > 0",
    "identity": "SELECT FROM pg_attribute WHERE attidentity <> ''",
    "sequence that counts down": "SELECT FROM pg_sequence WHERE seqincrement < 0",
    "enum": "SELECT FROM pg_enum",
    "domain": "SELECT FROM pg_type WHERE typtype = 'd' AND typnamespace > 16383",
    "composite type": "SELECT FROM pg_class WHERE relkind = 'c' AND oid > 16383",
    "range type": "SELECT FROM pg_range WHERE rngtypid > 16383",
    "list partition": "SELECT FROM pg_partitioned_table WHERE partstrat = 'l'",
    "range partition": "SELECT FROM pg_partitioned_table WHERE partstrat = 'r'",
    "hash partition": "SELECT FROM pg_partitioned_table WHERE partstrat = 'h'",
    "partition of a partition": "SELECT FROM pg_class WHERE relkind = 'p' AND relispartition",
    "child of two parents": "SELECT FROM pg_inherits WHERE inhseqno = 2",
    "view": "SELECT FROM pg_class WHERE relkind = 'v' AND oid > 16383",
    "materialized view": "SELECT FROM pg_class WHERE relkind = 'm' AND relispopulated",
    "trigger": "SELECT FROM pg_trigger WHERE NOT tgisinternal",
    "procedure": "SELECT FROM pg_proc WHERE prokind = 'p'",
    "row security": "SELECT FROM pg_class WHERE relrowsecurity AND NOT relforcerowsecurity",
    "policy": "SELECT FROM pg_policy",
    "grant": "SELECT FROM pg_class, aclexplode(relacl) WHERE grantee = 'reporting'::regrole",
    "grant on a column": "SELECT FROM pg_attribute, aclexplode(attacl)",
    "default privilege": "SELECT FROM pg_default_acl",
    "large object": "SELECT FROM pg_largeobject_metadata WHERE lomowner = current_user::regrole",
    "bytea": "SELECT FROM pg_attribute WHERE atttypid = 'bytea'::regtype AND attrelid > 16383",
    "jsonb": "SELECT FROM pg_attribute WHERE atttypid = 'jsonb'::regtype AND attrelid > 16383",
    "array": "SELECT FROM pg_attribute WHERE attndims > 0 AND attrelid > 16383",
    "vector": "SELECT FROM pg_attribute WHERE format_type(atttypid, atttypmod) = 'vector(512)'",
    "vector index": "SELECT FROM pg_class JOIN pg_am ON pg_am.oid = relam WHERE amname IN ('hnsw', 'ivfflat')",
    "generated column": "SELECT FROM pg_attribute WHERE attgenerated = 's'",
    "unlogged table": "SELECT FROM pg_class WHERE relpersistence = 'u' AND relkind = 'r'",
    "partial index": "SELECT FROM pg_index WHERE indpred IS NOT NULL",
    "expression index": "SELECT FROM pg_index WHERE indexprs IS NOT NULL",
    "GIN index": "SELECT FROM pg_class JOIN pg_am ON pg_am.oid = relam WHERE amname = 'gin' AND pg_class.oid > 16383",
    "comment": "SELECT FROM pg_description WHERE objoid > 16383",
    "name with a quote, a blank and a letter that is not ASCII": "SELECT FROM pg_class WHERE relname ~ '\".* .*Ä'",
    "name that is a reserved word": "SELECT FROM pg_class WHERE relname IN ('user', 'order') AND relkind = 'r'",
    "setting of a database": "SELECT FROM pg_db_role_setting JOIN pg_database ON pg_database.oid = setdatabase"
    " WHERE datname = current_database()",
}


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[state.Sandbox]:
    folder = tmp_path_factory.mktemp("sandbox") / "state"
    lab.up(folder)
    try:
        yield state.load(folder)
    finally:
        lab.down(folder)


def dump(sandbox: state.Sandbox, app: str, target: Path) -> None:
    """Dump an app's database as its own user, with the clients of the server's major."""
    database, server = sandbox.apps[app], sandbox.postgresql[sandbox.apps[app].server]
    command = [f"{server.binaries}/pg_dump", "--format=custom", f"--file={target}", f"--username={database.user}"]
    command += [f"--host={server.host}", f"--port={server.port}", database.database]
    answer = subprocess.run(
        command, env={"PGPASSWORD": database.password}, capture_output=True, text=True, timeout=120, check=False
    )
    assert (answer.returncode, answer.stderr) == (0, "")


def rows(connection: psycopg.Connection) -> dict[str, int]:
    """Count every table's own rows."""
    names = [name for (name,) in connection.execute(TABLES)]
    return {name: connection.execute(f"SELECT count(*) FROM ONLY {name}").fetchone()[0] for name in names}


def digests(connection: psycopg.Connection) -> dict[str, str]:
    """Digest every table's COPY text, which holds the rows in the order in which they lie."""
    found = {}
    for (name,) in connection.execute(TABLES).fetchall():
        with connection.cursor().copy(f"COPY {name} TO STDOUT") as stream:
            found[name] = hashlib.sha256(b"".join(bytes(part) for part in stream)).hexdigest()
    return found


def ready(server: PostgresServer, user: str) -> None:
    """Make what an archive refers to but does not carry."""
    apps.make_roles(server)
    with server.connect(autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(user)))
        connection.execute("CREATE DATABASE scratch TEMPLATE template0")


@pytest.mark.parametrize("app", APPS)
def test_the_apps_user_dumps_everything_and_the_archive_restores_without_a_word(sandbox, app, tmp_path):
    archive = tmp_path / "archive"
    dump(sandbox, app, archive)
    database = sandbox.apps[app]
    with throwaway(sandbox.postgresql[database.server].major) as server:
        ready(server, database.user)
        command = [f"{server.binaries}/pg_restore", "--exit-on-error", "--dbname=scratch", "--username=postgres"]
        command += [f"--host={server.host}", f"--port={server.port}", str(archive)]
        environment = {"PGPASSWORD": server.superuser_password}
        answer = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
        assert (answer.returncode, answer.stderr) == (0, "")
        with server.connect("scratch") as restored, sandbox.connect(app) as live:
            assert rows(restored) == rows(live)


def test_every_kind_of_object_is_in_some_app(sandbox):
    missing = set(KINDS)
    for app in APPS:
        with sandbox.connect(app) as connection:
            missing -= {kind for kind in missing if connection.execute(KINDS[kind]).fetchone() is not None}
    assert missing == set()


@pytest.mark.parametrize("app", APPS)
def test_each_app_has_rows_enough_and_empty_tables(sandbox, app):
    with sandbox.connect(app) as connection:
        counts = rows(connection)
    assert 10_000 <= sum(counts.values()) <= 100_000
    assert 0 in counts.values()


def test_forgejo_has_four_users_in_a_table_that_needs_quotes_among_more_than_a_hundred(sandbox):
    with sandbox.connect("forgejo") as connection:
        assert connection.execute('SELECT count(*) FROM "user"').fetchone() == (4,)
        assert len(rows(connection)) > 100


@pytest.mark.parametrize("app", APPS)
def test_the_same_seed_gives_the_same_rows_in_the_same_order(sandbox, app):
    with sandbox.connect(app) as connection:
        first = digests(connection)
    assert again(sandbox, app) == first


def test_another_seed_gives_other_rows(sandbox):
    with sandbox.connect("forgejo") as connection:
        first = digests(connection)
    assert again(sandbox, "forgejo", 8)["issue"] != first["issue"]


def again(sandbox: state.Sandbox, app: str, *seed: int) -> dict[str, str]:
    """Make the app's database once more, on a server of its own, and digest it."""
    with throwaway(sandbox.postgresql[sandbox.apps[app].server].major) as server:
        apps.make_roles(server)
        database = apps.make_app(server, app, "secret", *seed)
        with server.connect(database.database) as connection:
            return digests(connection)


@pytest.mark.parametrize("app", APPS)
def test_no_app_can_open_the_database_of_a_sibling(sandbox, app):
    own = sandbox.apps[app]
    server = sandbox.postgresql[own.server]
    for sibling in {other.database for other in sandbox.apps.values() if other.server == own.server} - {own.database}:
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            psycopg.connect(
                host=server.host,
                port=server.port,
                user=own.user,
                password=own.password,
                dbname=sibling,
                connect_timeout=10,
            )


def test_a_server_listens_on_loopback_only_and_asks_for_a_password(sandbox):
    server = sandbox.postgresql["shared"]
    with sandbox.connect("forgejo", superuser=True) as connection:
        assert connection.execute("SHOW listen_addresses").fetchone() == ("127.0.0.1",)
        (sockets,) = connection.execute("SHOW unix_socket_directories").fetchone()
    for host in (server.host, sockets):
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(host=host, port=server.port, user="postgres", password="wrong", connect_timeout=10)


def test_what_sandbox_json_says_of_nas_b2_and_identity_is_there(sandbox):
    assert Path(sandbox.nas.path).is_dir()
    assert stat.S_IMODE(Path(sandbox.recovery.identity_file).stat().st_mode) == 0o600
    with urllib.request.urlopen(f"{sandbox.b2.control_url}/calls", timeout=10) as answer:
        assert answer.status == 200


@needs("postgresql-15")
def test_a_server_of_debians_major_runs_and_is_gone_afterwards():
    with throwaway(15) as server:
        assert server.binaries == Path("/usr/lib/postgresql/15/bin")
        with server.connect() as connection:
            assert connection.info.server_version // 10000 == 15
        server.stop()
        server.start()
        server.connect().close()
    assert not server.directory.exists()
    with pytest.raises(psycopg.OperationalError):
        server.connect()


def test_a_server_that_cannot_start_names_its_log():
    with throwaway(16) as server:
        server.stop()
        (server.data / "postgresql.conf").write_text("no_such_setting = 1\n")
        with pytest.raises(SandboxError, match=f"does not start. Remedy: read {server.log}"):
            server.start()
        assert "no_such_setting" in server.log.read_text()
