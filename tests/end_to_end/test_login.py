# SPDX-License-Identifier: GPL-3.0-or-later
"""A login that is refused says why, by what the server's SQLSTATE says and never by a word of its text."""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from fanout.contract.errors import BackupError, ConfigurationError, NoPermission, TryAgain, Unavailable
from fanout.contract.source import PostgresqlSource
from fanout.sources.postgresql.connection import connect, reason, translated
from tests.sandbox import postgresql
from tests.sandbox.cluster.certificates import Authority
from tests.sandbox.postgresql import PostgresServer, throwaway

from .relay import relay
from .tls import reload, with_tls

SECRET = "value-of-a-row-that-nobody-may-see"


@dataclasses.dataclass(frozen=True)
class Lab:
    """A server, and the login of its superuser as a source."""

    server: PostgresServer
    source: PostgresqlSource

    def refusal(self, **changes: Any) -> BackupError:
        """Why nobody is let in with this source, changed."""
        with pytest.raises(BackupError) as caught:
            connect(dataclasses.replace(self.source, **changes), "fanout test").close()
        return caught.value

    def execute(self, *statements: str, database: str = "postgres") -> None:
        """Run statements as superuser."""
        with self.server.connect(database, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    @contextlib.contextmanager
    def let_in_by(self, line: str) -> Iterator[None]:
        """Put a line in front of pg_hba.conf meanwhile."""
        file = self.server.data / "pg_hba.conf"
        before = file.read_text()
        file.write_text(f"{line}\n{before}")
        reload(self.server)
        try:
            yield
        finally:
            file.write_text(before)
            reload(self.server)


@pytest.fixture(scope="module", params=["de", "en"])
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Debian's server speaks the user's language, where its messages are installed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(postgresql._ENVIRONMENT, "LANGUAGE", request.param)
        with throwaway(15) as server:
            password = tmp_path_factory.mktemp("login") / "password"
            password.write_text(server.superuser_password)
            source = PostgresqlSource(
                kind="postgresql",
                name="database",
                database="postgres",
                host=server.host,
                port=server.port,
                user="postgres",
                password_file=str(password),
            )
            made = Lab(server, source)
            made.execute("CREATE DATABASE app", "CREATE ROLE app LOGIN PASSWORD 'pw'", "CREATE ROLE nobody")
            yield made


def test_a_password_that_is_wrong_or_missing_is_named_without_showing_it(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "wrong").write_text(SECRET)

    for changes in ({"password_file": str(tmp_path / "wrong")}, {"password_file": None}, {"user": "unknown"}):
        error = lab.refusal(**changes)

        assert isinstance(error, NoPermission)
        assert "refused the password of" in error.problem
        assert "app_database_password" in error.remedy
        assert SECRET not in str(error)


def test_a_database_that_is_missing_closed_or_out_of_reach_is_a_database_to_correct(lab: Lab, tmp_path: Path) -> None:
    lab.execute("CREATE DATABASE shut ALLOW_CONNECTIONS false", "REVOKE CONNECT ON DATABASE app FROM PUBLIC")
    (tmp_path / "password").write_text("pw")
    try:
        missing = lab.refusal(database="does not exist")
        shut = lab.refusal(database="shut")
        kept_out = lab.refusal(database="app", user="app", password_file=str(tmp_path / "password"))
    finally:
        lab.execute("DROP DATABASE shut", "GRANT CONNECT ON DATABASE app TO PUBLIC")

    assert isinstance(missing, ConfigurationError)
    assert missing.problem.endswith("has no database does not exist")
    assert isinstance(shut, ConfigurationError)
    assert 'ALTER DATABASE "shut" ALLOW_CONNECTIONS true' in shut.remedy
    assert isinstance(kept_out, NoPermission)
    assert 'GRANT CONNECT ON DATABASE "app" TO "app"' in kept_out.remedy


def test_peer_and_ident_are_refusals_with_the_way_in_and_not_a_server_that_does_not_answer(lab: Lab) -> None:
    with lab.let_in_by("local all all peer"):
        error = lab.refusal(host=str(lab.server.directory / "s"), user="app")

    assert isinstance(error, NoPermission)
    assert "run as that user, or let it in with a password (scram-sha-256) in pg_hba.conf" in error.remedy


def test_a_login_without_a_line_in_pg_hba_or_without_the_right_to_log_in_is_refused_with_its_own_remedy(
    lab: Lab,
) -> None:
    with lab.let_in_by("host all app 127.0.0.1/32 reject"):
        rejected = lab.refusal(user="app")
    with lab.let_in_by("host all nobody,ghost 127.0.0.1/32 trust"):
        no_login = lab.refusal(user="nobody")
        no_role = lab.refusal(user="ghost")

    assert isinstance(rejected, NoPermission)
    assert "pg_hba.conf" in rejected.remedy
    for error in (no_login, no_role):
        assert isinstance(error, NoPermission)
        assert "correct app_database_user" in error.remedy


def test_a_limit_of_connections_is_a_limit_to_raise(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("pw")
    lab.execute("ALTER ROLE app CONNECTION LIMIT 0")
    try:
        error = lab.refusal(database="app", user="app", password_file=str(tmp_path / "password"))
    finally:
        lab.execute("ALTER ROLE app CONNECTION LIMIT -1")

    assert isinstance(error, TryAgain)
    assert "raise the CONNECTION LIMIT of app" in error.remedy


def test_a_server_that_cannot_start_yet_is_tried_again(lab: Lab) -> None:
    """A server in another language that says 57P03, by a relay that puts it into the mouth of the real one."""

    def starting(data: bytes) -> bytes:
        text = b"SFATAL\0VFATAL\0C57P03\0Mder Server startet noch\0Fpostmaster.c\0L1\0RProcessStartupPacket\0\0"
        return b"E" + (len(text) + 4).to_bytes(4, "big") + text if data[:1] == b"R" else data

    with relay([lab.server.port], starting) as port:
        error = lab.refusal(port=port)

    assert isinstance(error, TryAgain)
    assert "accepts no connections now" in error.problem


def test_nobody_at_the_port_is_a_server_that_does_not_answer(lab: Lab) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    error = lab.refusal(port=port)

    assert isinstance(error, Unavailable)
    assert "does not answer" in error.problem


def test_a_network_that_refuses_a_pod_for_its_first_seconds_keeps_nobody_out(lab: Lab) -> None:
    with relay([lab.server.port], late=3) as port:
        connect(dataclasses.replace(lab.source, port=port), "fanout test").close()


@pytest.mark.parametrize("asks", [struct.pack("!II", 8, 3), struct.pack("!II", 12, 5) + b"salt"])
def test_a_password_is_never_sent_to_whoever_asks_for_it(lab: Lab, tmp_path: Path, asks: bytes) -> None:
    """In clear, or as a digest that says as much."""
    received: list[bytes] = []
    password = tmp_path / "password"
    password.write_text("the-password-of-the-app")

    def answer(listener: socket.socket) -> None:
        while True:
            try:
                connection, _address = listener.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                connection.settimeout(10)
                if connection.recv(8) == struct.pack("!II", 8, 80877103):  # may it be TLS?
                    connection.sendall(b"N")
                received.append(connection.recv(10_000))
                connection.sendall(b"R" + asks)
                received.append(connection.recv(10_000))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = threading.Thread(target=answer, args=(listener,), daemon=True)
        serving.start()
        port = listener.getsockname()[1]
        error = lab.refusal(host="127.0.0.1", port=port, user="app", password_file=str(password))
        listener.shutdown(socket.SHUT_RDWR)
        serving.join(30)

    assert isinstance(error, NoPermission)
    assert "asks for the password of app in a way that could give it away" in str(error)
    assert all(b"the-password" not in message and b"md5" not in message for message in received)
    assert received[1] == b""


def test_what_a_trigger_on_logins_says_stays_in_the_servers_log(tmp_path: Path) -> None:
    with throwaway(17) as server:
        (tmp_path / "password").write_text("pw")
        source = PostgresqlSource(
            kind="postgresql",
            name="database",
            database="app",
            host=server.host,
            port=server.port,
            user="app",
            password_file=str(tmp_path / "password"),
        )
        lab = Lab(server, source)
        lab.execute("CREATE DATABASE app", "CREATE ROLE app LOGIN PASSWORD 'pw'")
        lab.execute(
            "CREATE FUNCTION no() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN IF session_user = 'app' THEN"
            f" RAISE EXCEPTION 'not with {SECRET}' USING ERRCODE = '28000'; END IF; END $$",
            "CREATE EVENT TRIGGER no ON login EXECUTE FUNCTION no()",
            database="app",
        )

        error = lab.refusal()

    assert isinstance(error, Unavailable)
    assert "28000 invalid_authorization_specification" in error.problem
    assert "login trigger" in error.remedy
    assert SECRET not in str(error)


# Trust


def test_what_keeps_a_client_from_trusting_the_server_names_the_two_variables(lab: Lab, tmp_path: Path) -> None:
    for name in ("ours", "another"):
        (tmp_path / name).mkdir()
    ours, other = Authority(tmp_path / "ours"), Authority(tmp_path / "another")
    strict: dict[str, Any] = {"sslmode": "verify-full", "ca_file": str(ours.files.certificate)}

    without = lab.refusal(sslmode="require")
    with with_tls(lab.server, ours.issue("server", names=("localhost",))):
        connect(dataclasses.replace(lab.source, **strict, host="localhost"), "fanout test").close()
        errors = [
            lab.refusal(**strict | {"ca_file": str(other.files.certificate)}, host="localhost"),
            lab.refusal(**strict | {"ca_file": str(tmp_path / "missing")}, host="localhost"),
            lab.refusal(**strict, host="127.0.0.1"),
        ]

    assert isinstance(without, ConfigurationError)
    assert "has no TLS, which app_database_sslmode require demands" in without.problem
    for error in errors:
        assert isinstance(error, ConfigurationError), error
        assert "app_database_ca" in error.remedy
        assert "app_database_sslmode" in error.remedy


# While a session works


def failure(lab: Lab, sql: str) -> psycopg.Error:
    with lab.server.connect(autocommit=True) as connection, pytest.raises(psycopg.Error) as caught:
        connection.execute(sql.encode())
    return caught.value


def test_a_reason_names_objects_and_never_a_value_of_a_row(lab: Lab) -> None:
    lab.execute("CREATE TABLE people (name text PRIMARY KEY, born date, age int CHECK (age > 0))")
    lab.execute(f"INSERT INTO people VALUES ('{SECRET}')")
    try:
        unique = failure(lab, f"INSERT INTO people VALUES ('{SECRET}')")
        cast = failure(lab, "SELECT name::int FROM people")
        raised = failure(
            lab, f"DO $$ BEGIN RAISE EXCEPTION 'no {SECRET}' USING ERRCODE = '42501', HINT = '{SECRET}'; END $$"
        )
        syntax = failure(lab, f"DO $$ BEGIN EXECUTE 'SELECT 1 ' || quote_literal('{SECRET}') || ' FRM'; END $$")
        missing = failure(lab, "SELECT * FROM nothing_here")
        asked = failure(lab, "DO $$ BEGIN PERFORM name::regclass FROM people; END $$")
        file = failure(lab, "DO $$ BEGIN PERFORM pg_read_file(name) FROM people; END $$")
        called = failure(lab, f"DO $$ BEGIN RAISE 'no' USING ERRCODE = '23514', TABLE = '{SECRET}'; END $$")
        told = {error: reason(error) for error in (unique, cast, raised, syntax, missing, asked, file, called)}
        with pytest.raises(BackupError) as caught, translated("reading"):
            raise raised
    finally:
        lab.execute("DROP TABLE people")

    assert [text for text in [*told.values(), str(caught.value)] if SECRET in text] == []
    assert told[unique] == "23505 unique_violation (public.people, people_pkey)"
    assert told[cast] == "22P02 invalid_text_representation"
    assert told[raised] == "42501 insufficient_privilege"
    assert told[syntax] == "42601 syntax_error"
    assert told[asked] == "42P01 undefined_table"
    assert told[file] == "58P01 undefined_file"
    assert told[called] == "23514 check_violation"
    assert "nothing_here" in told[missing], "what an object is called is no secret"


@pytest.mark.parametrize(
    ("sql", "error"),
    [
        ("SET ROLE nobody; SELECT * FROM pg_authid", NoPermission),
        ("SET statement_timeout = 1; SELECT pg_sleep(5)", TryAgain),
        ("SELECT pg_terminate_backend(pg_backend_pid())", Unavailable),
        ("SELECT * FROM went_away", TryAgain),
        ("SELECT 1/0", TryAgain),
    ],
)
def test_what_ends_a_statement_is_told_by_its_sqlstate(lab: Lab, sql: str, error: type[BackupError]) -> None:
    with lab.server.connect(autocommit=True) as connection, pytest.raises(error) as caught, translated("counting"):
        connection.execute(sql.encode())

    assert caught.value.doing == "counting"
    assert "FATAL" not in caught.value.problem
