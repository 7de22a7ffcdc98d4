-- What the owner of this Nextcloud has added by hand: large objects, reports, inheritance, rights column by column.

SELECT lo_from_bytea((80000 + i)::oid, CASE WHEN i = 3 THEN '' ELSE decode(repeat(pg_temp.sha256hex(i, 900), 3000 * i), 'hex') END) FROM generate_series(1, 4) AS i;
COMMENT ON LARGE OBJECT 80002 IS E'scan of the "Mietvertrag"\n\\ 2025';
GRANT SELECT ON LARGE OBJECT 80001 TO reporting;

CREATE SCHEMA reporting AUTHORIZATION nextcloud;
ALTER DEFAULT PRIVILEGES IN SCHEMA reporting GRANT SELECT ON TABLES TO reporting, "Büro ""Lesen""";
ALTER DEFAULT PRIVILEGES IN SCHEMA reporting GRANT EXECUTE ON FUNCTIONS TO reporting;
GRANT USAGE ON SCHEMA reporting TO reporting;
-- A child with two parents: pg_restore gives it another order of columns than it has here.
CREATE TABLE reporting.sized (bytes bigint NOT NULL DEFAULT 0, note text);
CREATE TABLE reporting.dated (noted_at timestamptz, note text, CONSTRAINT plausible CHECK (noted_at > '2000-01-01'));
CREATE TABLE reporting.disk (id serial PRIMARY KEY, label text) INHERITS (reporting.sized, reporting.dated);
ALTER TABLE reporting.dated ADD COLUMN checked boolean DEFAULT true;
INSERT INTO reporting.sized SELECT i, pg_temp.word(i, 901) FROM generate_series(1, 40) AS i;
INSERT INTO reporting.dated (noted_at, note) SELECT pg_temp.moment(i, 902), pg_temp.word(i, 903) FROM generate_series(1, 40) AS i;
INSERT INTO reporting.disk (bytes, note, noted_at, label) SELECT i * 1000000000000, pg_temp.title(i, 904), pg_temp.moment(i, 907), 'disk ' || i FROM generate_series(1, 40) AS i;

CREATE TABLE reporting."Quittung ""rot"" \ Ärger	Tab" ("größe in €" numeric(12, 2), "select" text, "a.b" text[], "x'y" inet, PRIMARY KEY ("größe in €"));
INSERT INTO reporting."Quittung ""rot"" \ Ärger	Tab" VALUES (1.10, E'\\.', ARRAY[E'a\\b', 'c"d', 'NULL', NULL, ''], '2001:db8::1/64'), ('NaN', E'\t\r\n\b\f\v', '{}', NULL), (0.00, '', NULL, NULL);
COMMENT ON COLUMN reporting."Quittung ""rot"" \ Ärger	Tab"."select" IS 'a column''s comment';
CREATE TABLE reporting.without_columns ();
INSERT INTO reporting.without_columns DEFAULT VALUES;

CREATE VIEW reporting.files_per_person AS SELECT storages.id AS storage, count(*) AS files, sum(size) AS bytes FROM oc_filecache JOIN oc_storages AS storages ON storages.numeric_id = storage GROUP BY storages.id;
CREATE MATERIALIZED VIEW reporting.largest AS SELECT fileid, path, size FROM oc_filecache ORDER BY size DESC, fileid LIMIT 100;
CREATE MATERIALIZED VIEW reporting.largest_names AS SELECT path FROM reporting.largest WHERE size > 0;
CREATE INDEX ON reporting.largest (size);
CREATE RULE no_update AS ON UPDATE TO reporting.sized DO INSTEAD NOTHING;
GRANT SELECT (uid, displayname), UPDATE (displayname) ON oc_users TO "Büro ""Lesen""";
GRANT USAGE ON SEQUENCE oc_share_id_seq TO reporting;
REVOKE ALL ON reporting.dated FROM reporting;
CREATE STATISTICS reporting.path_size (dependencies, mcv) ON storage, mimetype FROM oc_filecache;
