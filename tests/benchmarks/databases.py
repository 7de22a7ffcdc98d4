# SPDX-License-Identifier: GPL-3.0-or-later
"""Databases that are the same in every run: each value is computed from its row's number and a seed.

Three shapes, because what a backup costs depends on them: `app` is mostly indexes, as most apps' databases are, `docs`
holds what hardly compresses, `bench` is pgbench's table of short rows and blank filler, which compresses to nothing.
"""

from __future__ import annotations

from tests.sandbox.postgresql import PostgresServer

OWNER = "owner"
PASSWORD = "pw-of-the-owner-in-benchmarks"

# Rows of the largest table at size 1: 100 to 250 MB with indexes, so that neither the start of a program nor the time
# that a benchmark may take decides.
ROWS = {"app": 400_000, "docs": 24_000, "bench": 1_500_000}

# The seed of all values: a multiplier that scatters numbers (Knuth's), and a part of every text that is hashed.
_FUNCTIONS = """
CREATE FUNCTION scattered(n bigint, below bigint) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS 'SELECT n * 2654435761 / 64 % below';
CREATE FUNCTION hash(n bigint) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$SELECT md5('2654435761 ' || n)$$;
"""

_APP = """
CREATE TABLE account (id int PRIMARY KEY, login text NOT NULL UNIQUE, mail text NOT NULL, created timestamptz NOT NULL);
CREATE TABLE event (id bigint PRIMARY KEY, account int NOT NULL, session uuid NOT NULL, address inet NOT NULL,
    at timestamptz NOT NULL, kind text NOT NULL, detail jsonb NOT NULL, note text);
INSERT INTO account
SELECT n, 'user-' || n, hash(n) || '@example.org', timestamptz '2024-01-01 UTC' + n * interval '7 min'
FROM generate_series(1, {rows} / 20) AS n;
INSERT INTO event
SELECT n, 1 + scattered(n, {rows} / 20), hash::uuid, inet '10.0.0.0' + scattered(n, 1 << 24),
    timestamptz '2025-01-01 UTC' + scattered(n, 31536000) * interval '1 s',
    (ARRAY['login', 'push', 'comment', 'merge', 'download'])[1 + scattered(n, 5)],
    jsonb_build_object('ref', left(hash, 12), 'size', scattered(n, 100000), 'ok', n % 7 > 0),
    CASE WHEN n % 3 = 0 THEN 'merged ' || right(hash, 7) || ' of user-' || scattered(n, 997) || ' into main' END
FROM generate_series(1, {rows}) AS n, LATERAL (SELECT hash(n) AS hash) AS hashed;
CREATE INDEX event_account ON event (account);
CREATE INDEX event_session ON event (session);
CREATE INDEX event_at ON event (at);
CREATE INDEX event_kind_at ON event (kind, at);
CREATE INDEX event_address ON event (address);
ALTER TABLE event ADD FOREIGN KEY (account) REFERENCES account;
"""

_DOCS = """
CREATE TABLE document (id int PRIMARY KEY, properties jsonb NOT NULL, content text NOT NULL, search tsvector NOT NULL);
CREATE TABLE attachment (id int PRIMARY KEY, document int NOT NULL, content bytea NOT NULL);
INSERT INTO document
SELECT n, jsonb_build_object('hash', hash(n), 'pages', scattered(n, 50), 'tags', jsonb_build_array(left(text, 20))),
    text, to_tsvector('simple', text)
FROM generate_series(1, {rows}) AS n, LATERAL
    (SELECT string_agg('word' || sqrt(scattered(n * 60 + i, 16000000))::int, ' ') AS text
     FROM generate_series(1, 60) AS i) AS written;
INSERT INTO attachment
SELECT n, n, (SELECT string_agg(sha512((hash(n) || i)::bytea), '') FROM generate_series(1, 1024) AS i)
FROM generate_series(1, {rows} / 24) AS n;
CREATE INDEX document_search ON document USING gin (search);
CREATE INDEX document_properties ON document USING gin (properties);
"""

_BENCH = """
CREATE TABLE pgbench_branches (bid int PRIMARY KEY, bbalance int, filler char(88));
CREATE TABLE pgbench_accounts (aid int NOT NULL, bid int, abalance int, filler char(84));
INSERT INTO pgbench_branches SELECT n, 0, '' FROM generate_series(1, 1 + {rows} / 100000) AS n;
INSERT INTO pgbench_accounts
SELECT n, 1 + n / 100000, scattered(n, 10000) - 5000, '' FROM generate_series(1, {rows}) AS n;
ALTER TABLE pgbench_accounts ADD PRIMARY KEY (aid);
"""

_SHAPES = {"app": _APP, "docs": _DOCS, "bench": _BENCH}


# A condition as ORMs write it for an enumeration. PostgreSQL prints it otherwise once it has been restored, so that
# definitions have to be parsed once more to be compared.
REPARSED = """
ALTER TABLE event ALTER kind TYPE varchar(20);
ALTER TABLE event ADD CHECK (kind IN ('login', 'push', 'comment', 'merge', 'download'));
"""


def create(server: PostgresServer, name: str, shape: str, size: float, more: str = "") -> int:
    """Make the database `name`, owned by OWNER, with `size` times the rows of its shape, and run `more` in it. Return
    its bytes."""
    with server.connect(autocommit=True) as connection:
        if connection.execute("SELECT FROM pg_roles WHERE rolname = %s", (OWNER,)).fetchone() is None:
            connection.execute(f"CREATE ROLE {OWNER} LOGIN PASSWORD '{PASSWORD}'")
        connection.execute(f"CREATE DATABASE {name} OWNER {OWNER}")
    with server.connect(name, OWNER, PASSWORD, autocommit=True) as connection:
        connection.execute(_FUNCTIONS)
        connection.execute(_SHAPES[shape].format(rows=int(ROWS[shape] * size)).encode())
        connection.execute(more.encode())
        # What the first reader would otherwise pay for: hint bits, frozen rows.
        connection.execute("VACUUM (FREEZE, ANALYZE)")
        (found,) = connection.execute("SELECT pg_database_size(current_database())").fetchone() or (0,)
    return int(found)
