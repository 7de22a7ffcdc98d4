CREATE ROLE meter LOGIN PASSWORD 'pw-of-the-meter-in-tests' IN ROLE pg_read_all_data;
ALTER ROLE meter IN DATABASE field SET statement_timeout = '20s';
CREATE TABLE thing (id int PRIMARY KEY);
INSERT INTO thing VALUES (1), (2);
