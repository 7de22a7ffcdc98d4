CREATE FUNCTION without_umlauts(t text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT replace(t, 'ä', 'ae') $$;
CREATE FUNCTION sort_key(t text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT upper(without_umlauts(t)) $$;
CREATE TABLE author (id int PRIMARY KEY, name text, sorted text GENERATED ALWAYS AS (sort_key(name)) STORED);
INSERT INTO author (id, name) VALUES (1, 'Jäger-4711'), (2, 'Weber');
CREATE INDEX author_sorted ON author (sort_key(name));
CREATE TABLE shelf (id int PRIMARY KEY);
INSERT INTO shelf VALUES (1), (2), (3);
