# SPDX-License-Identifier: GPL-3.0-or-later
"""Real archives for the tests: a database with everything that could mislead a reader, dumped by real pg_dump."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator

import psycopg

from fanout.sources.postgresql.archive import Block
from fanout.sources.postgresql.archive_toc import Cursor, TocEntry, read_entry, read_header
from tests.sandbox.postgresql import PostgresServer

from .synthetic import COMPRESSION, chunks, integer

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

DATABASE = 'od"d näme; --'

SCHEMA = r'''
CREATE SCHEMA "Weird ""schema""";
CREATE TYPE mood AS ENUM ('fine', 'not fine');
CREATE TABLE users
    (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, feels mood, born timestamptz);
COMMENT ON TABLE users IS E'two\nlines and a backslash \\';
INSERT INTO users (name, feels, born) SELECT 'user ' || n, 'fine', timestamptz '2020-01-01 UTC' + n * interval '1 hour'
    FROM generate_series(1, 5000) n;
CREATE TABLE "user" (id serial, "from" text);
INSERT INTO "user" ("from") VALUES ('one'), ('two');

-- text that looks like the end of the data, as it is and with the line ends around it
CREATE TABLE "Weird ""schema"""."end of; rows FROM stdin;" (t text);
INSERT INTO "Weird ""schema"""."end of; rows FROM stdin;" VALUES
    (E'\\.'), (E'\\.\n\n\n'), (E'\n\\.\n'), (''), (NULL), (E'a\tb\\n'),
    (E'\\'), (E'.'), (E'\\N'), (E'\r\n'), ('ünïcödé'), (E'ends with the marker\n\\.\n\n\n');
CREATE TABLE blank_lines (t text);
INSERT INTO blank_lines VALUES (''), (''), (''), ('');
CREATE TABLE no_rows (a integer, b text);
CREATE TABLE no_columns ();
INSERT INTO no_columns DEFAULT VALUES;
INSERT INTO no_columns DEFAULT VALUES;
CREATE TABLE only_generated (a integer GENERATED ALWAYS AS (1) STORED);
INSERT INTO only_generated DEFAULT VALUES;
CREATE TABLE dropped (a integer, b text, c integer GENERATED ALWAYS AS (a * 2) STORED, d float8);
ALTER TABLE dropped DROP COLUMN b;
INSERT INTO dropped (a, d) VALUES (1, 0.1 + 0.2), (2, 'NaN'), (3, 1e-300);

-- a row larger than any buffer, one that compresses to almost nothing, and bytes that do not compress at all
CREATE TABLE big_rows (t text, b bytea);
INSERT INTO big_rows VALUES (repeat(E'line\n\\', 100000), NULL), (repeat(' ', 3000000), NULL);
INSERT INTO big_rows SELECT NULL, decode(string_agg(md5(n::text), ''), 'hex') FROM generate_series(1, 10000) n;

CREATE TABLE measures (at date NOT NULL, value integer) PARTITION BY RANGE (at);
CREATE TABLE measures_2024 PARTITION OF measures FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE measures_2025 PARTITION OF measures FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
INSERT INTO measures SELECT date '2024-12-01' + n, n FROM generate_series(0, 59) n;
CREATE TABLE parent (a integer);
CREATE TABLE child (b integer) INHERITS (parent);
INSERT INTO parent VALUES (1);
INSERT INTO child VALUES (2, 3), (4, 5);
CREATE UNLOGGED TABLE unlogged (a integer);
INSERT INTO unlogged VALUES (1);

CREATE MATERIALIZED VIEW many_users AS SELECT count(*) FROM users;
CREATE VIEW all_users AS SELECT * FROM users;
CREATE INDEX ON users (name);
CREATE SEQUENCE lonely START 7;
SELECT nextval('lonely');
CREATE ROLE "re ader";
GRANT SELECT ON users TO "re ader";
CREATE FUNCTION twice(a integer) RETURNS integer LANGUAGE sql AS 'SELECT a * 2';

SELECT lo_from_bytea(1000, E'\\x'::bytea);
SELECT lo_from_bytea(1001, E'\\x5c2e0a0a0a');
SELECT lo_from_bytea(4000000000, decode(repeat('00ff', 100000), 'hex'));
SELECT lo_from_bytea(2000 + n, convert_to('large object ' || n, 'UTF8')) FROM generate_series(1, 1100) n;
COMMENT ON LARGE OBJECT 1001 IS 'commented';
'''

# What pg_dump sets in its session, and what it leaves to the settings of the database.
OPTIONS = "-c timezone=UTC -c bytea_output=hex -c datestyle=ISO -c intervalstyle=postgres -c extra_float_digits=3"
OPTIONS += " -c synchronize_seqscans=off -c row_security=off"


def create_database(server: PostgresServer) -> None:
    """Make DATABASE with SCHEMA in it."""
    with server.connect(autocommit=True) as connection:
        connection.execute(psycopg.sql.SQL("CREATE DATABASE {}").format(psycopg.sql.Identifier(DATABASE)))
    with server.connect(DATABASE) as connection:
        connection.execute(SCHEMA)


def dump(server: PostgresServer, *options: str) -> bytes:
    """Return what pg_dump writes to a pipe."""
    command = (server.binaries / "pg_dump", "--format=custom", "--host", server.host, "--port", str(server.port))
    command += ("--username", server.superuser, *options, DATABASE)
    environment = {**os.environ, "PGPASSWORD": server.superuser_password, "PGOPTIONS": OPTIONS}
    return subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, timeout=60).stdout


def listing(server: PostgresServer, archive: bytes) -> str:
    """Return the table of contents as pg_restore prints it."""
    command = (server.binaries / "pg_restore", "--list")
    return subprocess.run(command, input=archive, stdout=subprocess.PIPE, check=True, timeout=60).stdout.decode()


def table_of(connection: psycopg.Connection, entry: TocEntry) -> Block:
    """Return what the server says about a table, read with the archive's own statement."""
    rows, text = 0, b""
    with connection.cursor().copy(entry.copy_out_statement) as copy:
        for row in copy:
            rows += 1
            text += row
    return Block(rows, len(text), hashlib.sha256(text).hexdigest())


def large_objects_of(connection: psycopg.Connection) -> dict[int, Block]:
    """Return what the server says about all large objects."""
    answer = connection.execute("SELECT oid, lo_get(oid) FROM pg_largeobject_metadata")
    return {oid: Block(0, len(data), hashlib.sha256(data).hexdigest()) for oid, data in answer}


def data_offset(archive: bytes) -> int:
    """Return where the table of contents ends and the first data block begins."""
    cursor = Cursor()
    cursor.append(archive)
    version = read_header(cursor).version
    for _ in range(cursor.integer()):
        read_entry(cursor, version)
    return cursor.position


def recompressed(archive: bytes) -> bytes:
    """Return an uncompressed archive as pg_dump --compress=zstd:1 would have written it.

    Most pg_dump here are built without zstd. One frame for each stream, fed write by write; what comes out is a chunk.
    Only archives from 1.15 on name a method, in one byte."""
    start = data_offset(archive)
    parts = [archive[:COMPRESSION], bytes([3]), archive[COMPRESSION + 1 : start]]
    for head, writes in streams(archive[start:]):
        parts.append(head)
        if writes is not None:
            compressor = zstd.ZstdCompressor(level=1)
            written = [compressor.compress(write) for write in writes] + [compressor.flush()]
            parts.append(chunks(*(part for part in written if part)))
    return b"".join(parts)


def streams(data: bytes) -> Iterator[tuple[bytes, list[bytes] | None]]:
    """Take data blocks apart: yield the bytes before each stream and its chunks; None where no stream follows."""
    cursor = Cursor()
    cursor.append(data)
    while cursor.left:
        head = cursor.take(6)  # type and dump id
        if head[0] == 1:
            yield head, list(_chunks(cursor))
            continue
        yield head, None
        while (object_id := cursor.take(5)) != integer(0):
            yield object_id, list(_chunks(cursor))
        yield object_id, None


def _chunks(cursor: Cursor) -> Iterator[bytes]:
    while length := cursor.integer():
        yield cursor.take(length)
