-- SPDX-License-Identifier: GPL-3.0-or-later
-- Tables whose needs go through everything that a table can need. Run by the role `owner` in a database of its own.

CREATE EXTENSION pg_trgm;
CREATE EXTENSION unaccent;
CREATE EXTENSION cube;
CREATE EXTENSION btree_gist;
CREATE SCHEMA app;

-- By an extension: operator classes, and a function whose text names one that only the extension has.
CREATE FUNCTION app.plain(text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT public.unaccent('public.unaccent', $1) $$;
CREATE FUNCTION app.folded(text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT lower(app.plain($1)) $$;
CREATE TABLE app.place (id serial PRIMARY KEY, name text, spot cube, CONSTRAINT named CHECK (app.folded(name) <> ''));
CREATE INDEX place_name ON app.place USING gin (name gin_trgm_ops);
CREATE INDEX place_folded ON app.place (app.folded(name));
INSERT INTO app.place (name, spot) SELECT 'Größe ' || n, cube(n) FROM generate_series(1, 40) AS n;
COMMENT ON INDEX app.place_name IS 'similar names';

-- By types: a domain over a domain, with a check of its own, an enumeration in an array, a composite type, a range.
CREATE TYPE app.state AS ENUM ('new', 'done');
CREATE DOMAIN app.short AS text CHECK (length(VALUE) < 100);
CREATE DOMAIN app.mail AS app.short;
ALTER DOMAIN app.mail ADD CONSTRAINT has_at CHECK (VALUE ~ '@') NOT VALID;
CREATE COLLATION app.bytes (provider = libc, locale = 'C');
CREATE TYPE app.address AS (street text COLLATE app.bytes, mail app.mail);
CREATE TYPE app.span AS RANGE (subtype = numeric);
CREATE TABLE app.person (
    id bigint GENERATED ALWAYS AS IDENTITY (START 7) PRIMARY KEY, mail app.mail, homes app.address[],
    states app.state[] DEFAULT '{new}', span app.span, name text COLLATE app.bytes, boss bigint REFERENCES app.person
);
INSERT INTO app.person (mail, homes, span, name)
SELECT 'p' || n || '@example.org', ARRAY[ROW('Weg', 'x@y')::app.address], app.span(n, n + 1), 'n' || n
FROM generate_series(1, 30) AS n;
CREATE STATISTICS app.person_stats ON mail, name FROM app.person;

-- By a number that a function takes from a sequence that no table owns, and by an aggregate.
CREATE SEQUENCE app.numbers START 500;
CREATE FUNCTION app.number() RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RETURN nextval('app.numbers'); END $$;
CREATE TABLE app.invoice (id bigint DEFAULT app.number() PRIMARY KEY, person bigint REFERENCES app.person, note text);
INSERT INTO app.invoice (person, note) SELECT 7 + n % 30, 'note ' || n FROM generate_series(1, 25) AS n;

-- By an exclusion, whose operator classes are an extension's.
CREATE TABLE app.shift (id int PRIMARY KEY, rota bigint, at tstzrange, EXCLUDE USING gist (rota WITH =, at WITH &&));
INSERT INTO app.shift SELECT n, n, tstzrange(now(), NULL) FROM generate_series(1, 10) AS n;

-- By text search.
CREATE TEXT SEARCH DICTIONARY app.simple_words (TEMPLATE = simple, ACCEPT = false);
CREATE TEXT SEARCH CONFIGURATION app.words (COPY = simple);
ALTER TEXT SEARCH CONFIGURATION app.words ALTER MAPPING FOR asciiword WITH app.simple_words, simple;
CREATE TABLE app.note (
    id int PRIMARY KEY, body text, words tsvector GENERATED ALWAYS AS (to_tsvector('app.words', body)) STORED
);
INSERT INTO app.note (id, body) SELECT n, 'word' || n || ' common' FROM generate_series(1, 20) AS n;
CREATE INDEX note_words ON app.note USING gin (words);

-- By parents: partitions of partitions, and a child whose foreign key refers to the parent, which comes without rows.
CREATE TABLE app.log (id bigint, at date, mail app.mail, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE app.log_old PARTITION OF app.log FOR VALUES FROM (MINVALUE) TO ('2026-01-01');
CREATE TABLE app.log_new PARTITION OF app.log FOR VALUES FROM ('2026-01-01') TO (MAXVALUE) PARTITION BY HASH (id);
CREATE TABLE app.log_new_0 PARTITION OF app.log_new FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE app.log_new_1 PARTITION OF app.log_new FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE INDEX log_mail ON app.log (mail);
INSERT INTO app.log SELECT n, date '2025-12-01' + n, 'l@example.org' FROM generate_series(1, 60) AS n;
CREATE TABLE app.base (id int PRIMARY KEY, note text);
CREATE TABLE app.extra (id int PRIMARY KEY, of int REFERENCES app.base) INHERITS (app.base);
INSERT INTO app.base VALUES (1, 'only of the parent');
INSERT INTO app.extra VALUES (2, 'of the child', 1);

-- What does not come along.
ALTER TABLE app.person ENABLE ROW LEVEL SECURITY;
CREATE POLICY everything ON app.person USING (true);
CREATE VIEW app.people AS SELECT id, name FROM app.person;
CREATE FUNCTION app.touched() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TRIGGER touched BEFORE UPDATE ON app.person FOR EACH ROW EXECUTE FUNCTION app.touched();
CREATE TABLE app.wide (id int PRIMARY KEY);
DO $$ BEGIN FOR n IN 1..20 LOOP EXECUTE format('CREATE VIEW app.view_%s AS SELECT id FROM app.wide', n); END LOOP; END $$;

-- A check that reads another table, by the text of a function.
CREATE FUNCTION app.known(integer) RETURNS boolean LANGUAGE plpgsql STABLE
  AS $$ BEGIN RETURN EXISTS (SELECT FROM app.person WHERE id = $1); END $$;
CREATE TABLE app.badge (id integer CHECK (app.known(id)));
INSERT INTO app.badge SELECT min(id) FROM app.person;
