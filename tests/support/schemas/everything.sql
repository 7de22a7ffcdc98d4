-- SPDX-License-Identifier: GPL-3.0-or-later
-- One database with every kind of object that a dump can carry, owned by the role `owner`, which runs this file.
-- Needs the roles reader, "Büro ""Lesen""" and writer; superuser.sql has what only a superuser may make.

CREATE SCHEMA shop;
COMMENT ON SCHEMA shop IS 'first schema';
CREATE SCHEMA "Odd ""Schema""";
CREATE TYPE shop.state AS ENUM ('new', 'paid', 'it''s sent', 'zurück');
CREATE DOMAIN shop.email AS text CHECK (VALUE ~ '@') NOT NULL;
CREATE TYPE shop.money_range AS RANGE (subtype = numeric);
CREATE TYPE shop.address AS (street text, number int, tags text[]);
CREATE COLLATION shop.german (provider = libc, locale = 'C');
CREATE SEQUENCE shop.ticket START 100 INCREMENT 7 MAXVALUE 100000 CACHE 5 CYCLE;
SELECT setval('shop.ticket', 128, true);
CREATE SEQUENCE shop.untouched;

CREATE TABLE shop.customer (
    id bigint GENERATED ALWAYS AS IDENTITY (START 10) PRIMARY KEY,
    email shop.email UNIQUE,
    name text COLLATE shop.german NOT NULL DEFAULT 'nobody',
    born date,
    home shop.address,
    tags text[] DEFAULT '{}',
    extra jsonb,
    token bytea,
    score double precision,
    price numeric(20, 8),
    seen timestamptz,
    pause interval,
    ip inet,
    uid uuid,
    budget shop.money_range,
    document tsvector,
    spot point,
    full_name text GENERATED ALWAYS AS (name || ' <' || email || '>') STORED
);
ALTER TABLE shop.customer ALTER COLUMN extra SET STORAGE EXTERNAL, ALTER COLUMN name SET STATISTICS 500;
COMMENT ON TABLE shop.customer IS 'people; with ''quotes'' and
two lines';
COMMENT ON COLUMN shop.customer.born IS 'birthday';
INSERT INTO shop.customer (email, name, born, home, tags, extra, token, score, price, seen, pause, ip, uid, budget, document, spot)
SELECT 'c' || n || '@example.org',
       CASE n % 5 WHEN 0 THEN E'tab\there' WHEN 1 THEN E'back\\slash' WHEN 2 THEN E'line\nbreak' WHEN 3 THEN E'\\.' ELSE 'Jörg ☃' END,
       date '1970-01-01' + n, ROW ('Weg "' || n || '"', n, ARRAY['a', NULL, 'c,d'])::shop.address, ARRAY['x', '', NULL, '{y}'],
       jsonb_build_object('n', n, 'deep', jsonb_build_array(n, NULL, 'ü')), decode(md5(n::text), 'hex'),
       CASE n WHEN 1 THEN 'NaN' WHEN 2 THEN '-Infinity' ELSE n / 3.0 END, n / 7.0, to_timestamp(1600000000 + n * 3601),
       make_interval(days => n, secs => n * 1.5), '192.0.2.1'::inet + n, md5(n::text)::uuid,
       shop.money_range(n, n + 1.5), to_tsvector('simple', 'word' || n || ' common'), point(n, -n / 2.0)
FROM generate_series(1, 1000) AS n;
INSERT INTO shop.customer (email, extra) VALUES ('nulls@example.org', NULL);

CREATE TABLE shop.orders (
    id serial PRIMARY KEY,
    customer bigint NOT NULL REFERENCES shop.customer ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    state shop.state NOT NULL DEFAULT 'new',
    total numeric CHECK (total >= 0),
    note text,
    period tstzrange
);
INSERT INTO shop.orders (customer, state, total, note)
SELECT 10 + n % 1000, (enum_range(NULL::shop.state))[1 + n % 4], n * 1.01, repeat('note ', n % 40) FROM generate_series(1, 5000) AS n;
SET CONSTRAINTS ALL IMMEDIATE;
CREATE INDEX orders_total ON shop.orders (total DESC NULLS LAST) INCLUDE (state) WHERE total > 10;
CREATE INDEX orders_expression ON shop.orders (lower(note), (id % 10));
CREATE INDEX customer_extra ON shop.customer USING gin (extra jsonb_path_ops);
CREATE INDEX customer_document ON shop.customer USING gin (document);
CREATE INDEX customer_hash ON shop.customer USING hash (name);
CREATE INDEX customer_spot ON shop.customer USING gist (spot);
CREATE INDEX customer_brin ON shop.customer USING brin (seen);
ALTER TABLE shop.orders ADD CONSTRAINT no_overlap EXCLUDE USING gist (period WITH &&);
CREATE STATISTICS shop.orders_stats (dependencies, ndistinct) ON customer, state FROM shop.orders;
ALTER TABLE shop.orders CLUSTER ON orders_pkey, SET (fillfactor = 80), REPLICA IDENTITY FULL;
-- Not valid at the source, and so after a restore.
ALTER TABLE shop.orders ADD CONSTRAINT later CHECK (note <> 'forbidden') NOT VALID;

CREATE TABLE shop.event (id bigint NOT NULL, at date NOT NULL, kind text NOT NULL, PRIMARY KEY (id, at, kind)) PARTITION BY RANGE (at);
CREATE TABLE shop.event_2025 PARTITION OF shop.event FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE shop.event_2026 PARTITION OF shop.event FOR VALUES FROM ('2026-01-01') TO ('2027-01-01') PARTITION BY LIST (kind);
CREATE TABLE shop.event_2026_a PARTITION OF shop.event_2026 FOR VALUES IN ('a', 'b');
CREATE TABLE shop.event_2026_rest PARTITION OF shop.event_2026 DEFAULT;
CREATE TABLE shop.event_rest PARTITION OF shop.event DEFAULT;
CREATE INDEX event_kind ON shop.event (kind);
INSERT INTO shop.event SELECT n, date '2024-06-01' + n, chr(97 + n % 4) FROM generate_series(1, 900) AS n;
CREATE TABLE shop.hashed (id int, body text) PARTITION BY HASH (id);
CREATE TABLE shop.hashed_0 PARTITION OF shop.hashed FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE shop.hashed_1 PARTITION OF shop.hashed FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO shop.hashed SELECT n, 'b' || n FROM generate_series(1, 200) AS n;

CREATE TABLE shop.parent_one (a int, shared text);
CREATE TABLE shop.parent_two (shared text, b int);
CREATE TABLE shop.child (c int) INHERITS (shop.parent_one, shop.parent_two);
ALTER TABLE shop.parent_one ADD COLUMN late int DEFAULT 7;
INSERT INTO shop.child (a, shared, b, c) SELECT n, 's' || n, n * 2, n * 3 FROM generate_series(1, 50) AS n;
INSERT INTO shop.parent_one VALUES (1, 'only here', 2);

CREATE TABLE shop.empty (id int PRIMARY KEY, body text);
CREATE TABLE shop.no_columns ();
INSERT INTO shop.no_columns DEFAULT VALUES;
INSERT INTO shop.no_columns DEFAULT VALUES;
CREATE UNLOGGED TABLE shop.cache (key text PRIMARY KEY, value text);
INSERT INTO shop.cache VALUES ('a', 'b');
CREATE TABLE shop.dropped (a int, gone text, b int);
INSERT INTO shop.dropped VALUES (1, 'x', 2), (3, 'y', 4);
CREATE INDEX dropped_lookup ON shop.dropped (b);
ALTER TABLE shop.dropped DROP COLUMN gone;
ALTER TABLE shop.dropped ADD COLUMN added text DEFAULT 'fast default';

CREATE TABLE "user" (id serial PRIMARY KEY, name text);
INSERT INTO "user" (name) VALUES ('one'), ('two'), ('three'), ('four');
CREATE TABLE "Odd ""Schema"""."select; drop table x --" ("from" int, "a ""b"" c" text, "%s" text, "Ünï" text);
INSERT INTO "Odd ""Schema"""."select; drop table x --" VALUES (1, 'x', '%d', 'ü'), (2, NULL, '', E'\\N');
CREATE TABLE "Odd ""Schema"""."TO %(name)s" (id int);
INSERT INTO "Odd ""Schema"""."TO %(name)s" SELECT generate_series(1, 5);

CREATE FUNCTION shop.touch() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    NEW.note := coalesce(NEW.note, 'touched; $$');
    RETURN NEW;
END $body$;
CREATE FUNCTION shop.add(a int, b int DEFAULT 1) RETURNS int LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT a + b';
CREATE FUNCTION shop.add(a text, b text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT a || b';
COMMENT ON FUNCTION shop.add(int, int) IS 'adds';
CREATE PROCEDURE shop.work() LANGUAGE sql AS 'SELECT 1';
CREATE AGGREGATE shop.total(int) (SFUNC = int4pl, STYPE = int, INITCOND = '0');
CREATE OPERATOR shop.## (LEFTARG = int, RIGHTARG = int, FUNCTION = shop.add);
CREATE TRIGGER touch BEFORE INSERT OR UPDATE OF note ON shop.orders FOR EACH ROW EXECUTE FUNCTION shop.touch();
CREATE TRIGGER sleeping AFTER INSERT ON shop.orders FOR EACH ROW EXECUTE FUNCTION shop.touch();
-- Disabled at the source, and so after a restore.
ALTER TABLE shop.orders DISABLE TRIGGER sleeping;
CREATE TEXT SEARCH CONFIGURATION shop.words (COPY = simple);
CREATE FUNCTION shop.state_number(shop.state) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT length($1::text)';
CREATE CAST (shop.state AS int) WITH FUNCTION shop.state_number(shop.state);
CREATE VIEW shop.paid AS SELECT c.name, o.total FROM shop.customer c JOIN shop.orders o ON o.customer = c.id WHERE o.state = 'paid';
CREATE RULE shout AS ON UPDATE TO shop.empty DO ALSO NOTIFY empty_changed;
CREATE MATERIALIZED VIEW shop.totals AS SELECT state, count(*) AS n, sum(total) AS total FROM shop.orders GROUP BY state;
CREATE UNIQUE INDEX totals_state ON shop.totals (state);
CREATE MATERIALIZED VIEW shop.stale AS SELECT 1 AS one WITH NO DATA;

ALTER TABLE shop.customer ENABLE ROW LEVEL SECURITY;
CREATE POLICY only_own ON shop.customer FOR SELECT TO reader, "Büro ""Lesen""" USING (name <> 'nobody');
CREATE POLICY insert_all ON shop.customer FOR INSERT WITH CHECK (true);
GRANT USAGE ON SCHEMA shop TO reader, "Büro ""Lesen""", writer;
GRANT SELECT ON shop.customer, shop.orders, shop.paid TO reader, "Büro ""Lesen""";
GRANT SELECT (id, total), UPDATE (note) ON shop.orders TO writer WITH GRANT OPTION;
GRANT USAGE, SELECT ON SEQUENCE shop.ticket TO writer;
GRANT EXECUTE ON FUNCTION shop.add(int, int) TO writer;
REVOKE EXECUTE ON FUNCTION shop.add(text, text) FROM PUBLIC;
ALTER DEFAULT PRIVILEGES IN SCHEMA shop GRANT SELECT ON TABLES TO reader, "Büro ""Lesen""";
CREATE PUBLICATION news FOR TABLE shop.orders, shop.customer WITH (publish = 'insert, update');

SELECT lo_from_bytea(0, decode(repeat('00ff10', 30000), 'hex'));
SELECT lo_from_bytea(0, 'second large object'::bytea);
SELECT lo_from_bytea(0, ''::bytea);
DO $$
DECLARE object oid := (SELECT max(oid) FROM pg_largeobject_metadata);
BEGIN
    EXECUTE format('COMMENT ON LARGE OBJECT %s IS %L', object, 'a large object');
    EXECUTE format('GRANT SELECT ON LARGE OBJECT %s TO reader', object);
END $$;
