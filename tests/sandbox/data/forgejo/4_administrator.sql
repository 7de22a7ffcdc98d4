-- What the owner of this Forgejo has added by hand: reports, a guard, rights for other roles. All of it must survive a restore.

ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO reporting;
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
CREATE SCHEMA "Berichte & Zahlen";
GRANT USAGE ON SCHEMA "Berichte & Zahlen" TO reporting, "Büro ""Lesen""";
COMMENT ON SCHEMA "Berichte & Zahlen" IS E'Reports.\nTwo lines, a ''quote'' and a \\ backslash.';

CREATE VIEW "Berichte & Zahlen"."offene Issues" AS
SELECT repository.owner_name || '/' || repository.name AS repository, count(*) AS open, max(issue.updated_unix) AS newest
FROM issue JOIN repository ON repository.id = issue.repo_id WHERE NOT issue.is_closed GROUP BY 1;
CREATE MATERIALIZED VIEW "Berichte & Zahlen".activity_per_day AS
SELECT created_unix / 86400 AS day, op_type, count(*) AS actions FROM action GROUP BY 1, 2 ORDER BY 1, 2;
CREATE UNIQUE INDEX ON "Berichte & Zahlen".activity_per_day (day, op_type);
GRANT SELECT (id, name, full_name, type) ON "user" TO "Büro ""Lesen""";
GRANT SELECT, REFERENCES ON repository TO "Büro ""Lesen""" WITH GRANT OPTION;

-- A sequence that nobody would guess: it counts down by 3, is not at its start, and has a name that needs quotes.
CREATE SEQUENCE "Berichte & Zahlen"."Lauf ""Nr""" INCREMENT -3 MINVALUE -1000 MAXVALUE 1000 START 500 CACHE 5 CYCLE;
SELECT setval('"Berichte & Zahlen"."Lauf ""Nr"""', 137, false);
SELECT setval('issue_id_seq', 4711), setval('comment_id_seq', 10007, false);

CREATE FUNCTION "Berichte & Zahlen".keep_last_admin() RETURNS trigger LANGUAGE plpgsql AS $function$
BEGIN
    IF NOT EXISTS (SELECT FROM public."user" WHERE is_admin AND id <> OLD.id) THEN
        RAISE EXCEPTION 'the last administrator stays: %', OLD.name USING HINT = E'make another one first\\';
    END IF;
    RETURN NULL;
END
$function$;
CREATE CONSTRAINT TRIGGER keep_last_admin AFTER DELETE ON "user" DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW WHEN (OLD.is_admin) EXECUTE FUNCTION "Berichte & Zahlen".keep_last_admin();
COMMENT ON TRIGGER keep_last_admin ON "user" IS 'guard';

-- Row security: reports see no private repository. The owner is not bound, so a backup as owner is complete.
ALTER TABLE repository ENABLE ROW LEVEL SECURITY;
CREATE POLICY public_only ON repository FOR SELECT TO reporting, "Büro ""Lesen""" USING (NOT is_private);
ALTER TABLE access_token ENABLE ROW LEVEL SECURITY;
CREATE POLICY nobody ON access_token AS RESTRICTIVE TO reporting USING (false) WITH CHECK (false);

-- A signed agreement of each person as large object, beside tables that nobody has written to yet.
SELECT lo_from_bytea((70000 + i)::oid, decode(repeat(pg_temp.sha256hex(i, 900), 200 * i), 'hex')) FROM generate_series(1, 3) AS i;
COMMENT ON LARGE OBJECT 70001 IS 'agreement of anna';
GRANT SELECT ON LARGE OBJECT 70002 TO reporting;
