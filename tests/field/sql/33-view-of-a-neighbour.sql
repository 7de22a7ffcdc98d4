CREATE EXTENSION postgres_fdw;
CREATE SERVER neighbour FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '{port}', dbname 'neighbour');
CREATE USER MAPPING FOR owner SERVER neighbour OPTIONS (user 'owner', password '{password}');
GRANT USAGE ON FOREIGN SERVER neighbour TO owner;
SET ROLE owner;
CREATE FOREIGN TABLE their_people (id int, name text) SERVER neighbour OPTIONS (table_name 'people');
CREATE MATERIALIZED VIEW people AS SELECT * FROM their_people;
CREATE TABLE own (id int PRIMARY KEY);
INSERT INTO own VALUES (1);
