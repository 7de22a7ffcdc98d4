CREATE TABLE offer (id int PRIMARY KEY, due timestamptz CONSTRAINT open CHECK (due > now()));
INSERT INTO offer VALUES (1, clock_timestamp() + '100 milliseconds'), (2, 'infinity');
CREATE TABLE item (id int PRIMARY KEY, offer int REFERENCES offer);
INSERT INTO item VALUES (1, 1), (2, 2);
SELECT pg_sleep(0.2);
CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1';
ALTER ROLE owner SET search_path = '';
