CREATE ROLE field_owners NOLOGIN;
GRANT field_owners TO owner;
ALTER DATABASE field OWNER TO field_owners;
ALTER ROLE owner SET role = 'field_owners';
SET ROLE field_owners;
CREATE TABLE thing (id int PRIMARY KEY);
INSERT INTO thing VALUES (1);
