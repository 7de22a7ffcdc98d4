-- SPDX-License-Identifier: GPL-3.0-or-later
-- What of single_tables.sql only a superuser may make: a table with an index of an operator class of its own, of which one
-- operator has a commutator that nothing else needs.

SET check_function_bodies = off;
CREATE FUNCTION app.before(app.state, app.state) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$ SELECT app.order_of($1, $2) < 0 $$;
CREATE FUNCTION app.after(app.state, app.state) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$ SELECT app.order_of($1, $2) > 0 $$;
CREATE FUNCTION app.order_of(app.state, app.state) RETURNS int LANGUAGE sql IMMUTABLE AS $$ SELECT pg_catalog.enum_cmp($1, $2) $$;
CREATE OPERATOR app.<<< (LEFTARG = app.state, RIGHTARG = app.state, FUNCTION = app.before, COMMUTATOR = OPERATOR(app.>>>));
CREATE OPERATOR app.>>> (LEFTARG = app.state, RIGHTARG = app.state, FUNCTION = app.after, COMMUTATOR = OPERATOR(app.<<<));
CREATE OPERATOR CLASS app.state_order FOR TYPE app.state USING btree AS
    OPERATOR 1 app.<<<, OPERATOR 3 pg_catalog.= (anyenum, anyenum), FUNCTION 1 app.order_of(app.state, app.state);
CREATE TABLE app.queue (id int PRIMARY KEY, state app.state);
INSERT INTO app.queue SELECT n, 'new' FROM generate_series(1, 15) AS n;
CREATE INDEX queue_state ON app.queue (state app.state_order);
ALTER TABLE app.queue OWNER TO owner;
