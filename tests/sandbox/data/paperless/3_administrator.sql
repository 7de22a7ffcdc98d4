-- What the owner of this Paperless has added by hand: types of his own, an archive register, a cache that may be lost.

CREATE SCHEMA archive;
GRANT USAGE ON SCHEMA archive TO reporting;
CREATE DOMAIN archive.iban AS text COLLATE "C" NOT NULL DEFAULT 'DE00' CHECK (VALUE ~ '^[A-Z]{2}[0-9]{2}') CONSTRAINT short CHECK (length(VALUE) <= 34);
COMMENT ON DOMAIN archive.iban IS 'bank account';
CREATE TYPE archive.money AS (amount numeric(12, 2), currency char(3));
CREATE TYPE archive."Priorität" AS ENUM ('niedrig', 'größer', 'it''s "urgent"');
CREATE TYPE archive.weights AS RANGE (subtype = float8, subtype_diff = float8mi);
CREATE COLLATION archive.plain FROM "C";
CREATE TABLE archive.contract (
    id integer GENERATED ALWAYS AS IDENTITY (START WITH 100 INCREMENT BY 10) PRIMARY KEY, account archive.iban, price archive.money, priority archive."Priorität", valid daterange NOT NULL, room point,
    weight archive.weights, tags text[][] COLLATE archive.plain, label text GENERATED ALWAYS AS ((price).currency || ' ' || (price).amount) STORED, paid interval, days bit varying(31), mac macaddr,
    document_id integer REFERENCES documents_document ON DELETE RESTRICT, EXCLUDE USING gist (valid WITH &&) WHERE (priority = 'it''s "urgent"'), UNIQUE NULLS NOT DISTINCT (document_id)
);
INSERT INTO archive.contract (account, price, priority, valid, room, weight, tags, paid, days, mac, document_id)
SELECT 'DE' || lpad(i::text, 20, '0'), ROW(i * 1.1, 'EUR')::archive.money, (enum_range(NULL::archive."Priorität"))[1 + i % 3], daterange('2020-01-01'::date + 10 * i, '2020-01-09'::date + 10 * i), point(i, -i / 3.0), archive.weights(i, i + 0.5, '[)'),
    ARRAY[[pg_temp.word(i, 900), E'a\\"b'], ['NULL', NULL]], i * interval '1 day 02:03:04.5', (i % 7)::bit(3)::bit varying, ('08:00:2b:01:02:' || lpad(to_hex(i % 256), 2, '0'))::macaddr, i
FROM generate_series(1, 300) AS i;
CREATE UNLOGGED TABLE archive.thumbnail_cache (document_id integer PRIMARY KEY REFERENCES documents_document, image bytea NOT NULL);
INSERT INTO archive.thumbnail_cache SELECT i, decode(repeat(pg_temp.sha256hex(i, 901) || '5c00', 20), 'hex') FROM generate_series(1, 200) AS i;

CREATE FUNCTION archive.add_tax(price archive.money, rate numeric DEFAULT 0.19) RETURNS archive.money LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE COST 7
RETURN ROW((price).amount * (1 + rate), (price).currency)::archive.money;
CREATE AGGREGATE archive.longest (text) (SFUNC = text_larger, STYPE = text, INITCOND = '');
CREATE PROCEDURE archive.forget(older_than date) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, archive AS $$
BEGIN
    DELETE FROM contract WHERE upper(valid) < older_than;
END
$$;
CREATE FUNCTION archive.note_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.modified = clock_timestamp(); RETURN NEW; END';
CREATE TRIGGER note_change BEFORE UPDATE OF title, content ON documents_document FOR EACH ROW WHEN ((OLD.title, OLD.content) IS DISTINCT FROM (NEW.title, NEW.content)) EXECUTE FUNCTION archive.note_change();
CREATE VIEW archive.open AS SELECT id, title, content_length FROM documents_document WHERE deleted_at IS NULL;
CREATE FUNCTION archive.open_insert() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER open_insert INSTEAD OF INSERT ON archive.open FOR EACH ROW EXECUTE FUNCTION archive.open_insert();
CREATE RECURSIVE VIEW archive.tag_path (id, path) AS SELECT id, name::text FROM documents_tag WHERE tn_parent_id IS NULL UNION ALL SELECT child.id, path || '/' || name FROM documents_tag AS child JOIN tag_path ON tag_path.id = tn_parent_id;
CREATE MATERIALIZED VIEW archive.pages_per_year AS SELECT extract(year FROM created) AS year, sum(page_count) AS pages FROM documents_document GROUP BY 1 ORDER BY 1;
CREATE TEXT SEARCH CONFIGURATION archive.names (COPY = simple);
CREATE OPERATOR archive.@+ (FUNCTION = archive.add_tax, LEFTARG = archive.money, RIGHTARG = numeric);
CREATE CAST (archive.money AS numeric) WITH INOUT AS ASSIGNMENT;

ALTER TABLE documents_note ENABLE ROW LEVEL SECURITY;
CREATE POLICY "only ""public"" notes" ON documents_note FOR ALL TO reporting USING (user_id IS NULL) WITH CHECK (note <> E'\\');
GRANT SELECT ON documents_note, documents_document, archive.pages_per_year TO reporting;
GRANT EXECUTE ON PROCEDURE archive.forget TO "Büro ""Lesen""";
GRANT USAGE ON TYPE archive.money TO reporting;
REVOKE USAGE ON TYPE archive."Priorität" FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION archive.add_tax FROM PUBLIC;
ALTER DEFAULT PRIVILEGES REVOKE USAGE ON TYPES FROM PUBLIC;
