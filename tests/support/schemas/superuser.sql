-- SPDX-License-Identifier: GPL-3.0-or-later
-- What only a superuser may make in the database of everything.sql, run after it.
CREATE FUNCTION public.watch() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN RAISE DEBUG ''%'', tg_tag; END';
CREATE EVENT TRIGGER watching ON ddl_command_end WHEN TAG IN ('DROP TABLE') EXECUTE FUNCTION public.watch();
CREATE FOREIGN DATA WRAPPER nothing;
CREATE SERVER elsewhere FOREIGN DATA WRAPPER nothing OPTIONS (host 'nowhere');
CREATE USER MAPPING FOR owner SERVER elsewhere OPTIONS (user 'x');
GRANT USAGE ON FOREIGN SERVER elsewhere TO owner;
CREATE FOREIGN TABLE shop.far (id int, body text) SERVER elsewhere OPTIONS (table_name 'far');
ALTER FOREIGN TABLE shop.far OWNER TO owner;
COMMENT ON DATABASE everything IS 'all kinds';
ALTER DATABASE everything SET bytea_output = 'escape';
ALTER DATABASE everything SET timezone = 'Asia/Kathmandu';
ALTER DATABASE everything SET intervalstyle = 'iso_8601';
ALTER DATABASE everything SET row_security = on;
