-- Functions that invent values from a row's number `i`, the column's number `salt` and the seed. They live in pg_temp, so
-- no dump carries them; each is one expression, so PostgreSQL inlines them.

CREATE FUNCTION pg_temp.pick(i bigint, salt integer, n integer) RETURNS integer LANGUAGE sql IMMUTABLE
RETURN ((pg_catalog.hashint8extended(i, :seed * 1000::bigint + salt) & 9223372036854775807) % n)::integer;

CREATE FUNCTION pg_temp.hex(i bigint, salt integer) RETURNS text LANGUAGE sql IMMUTABLE
RETURN pg_catalog.md5(i || '/' || salt || '/:seed');

CREATE FUNCTION pg_temp.sha256hex(i bigint, salt integer) RETURNS text LANGUAGE sql IMMUTABLE
RETURN pg_catalog.encode(pg_catalog.sha256((i || '/' || salt || '/:seed')::bytea), 'hex');

CREATE FUNCTION pg_temp.id(i bigint, salt integer) RETURNS uuid LANGUAGE sql IMMUTABLE
RETURN pg_temp.hex(i, salt)::uuid;

-- Seconds since 1970: rows get later as `i` grows, ten minutes apart on average, from January 2024 on.
CREATE FUNCTION pg_temp.epoch(i bigint, salt integer) RETURNS bigint LANGUAGE sql IMMUTABLE
RETURN 1704067200 + i * 600 + pg_temp.pick(i, salt, 600);

CREATE FUNCTION pg_temp.moment(i bigint, salt integer) RETURNS timestamptz LANGUAGE sql IMMUTABLE
RETURN '2024-01-01 00:00:00+00'::timestamptz + i * interval '10 minutes' + pg_temp.pick(i, salt, 600000000) * interval '1 microsecond';

-- Words that escape badly: COPY's tab, newline and backslash, its \N and \. as text, quotes, a multi-byte letter each of 2, 3 and 4 bytes.
CREATE FUNCTION pg_temp.word(i bigint, salt integer) RETURNS text LANGUAGE sql IMMUTABLE
RETURN (ARRAY[
    'backup', 'restore', 'Grüße', 'invoice', 'the', 'holiday', '日本語', 'kernel', E'tab\there', 'not', 'deploy', 'O''Brien',
    E'line\nbreak', 'photo', 'of', 'certificate', E'C:\\temp\\new', 'server', 'and', '"quoted"', 'a', '🐘', 'garden', E'\\N',
    'review', 'is', 'merge', 'Ångström', 'broken', '100 %', E'\\.', 'again'
])[1 + pg_temp.pick(i, salt, 32)];

CREATE FUNCTION pg_temp.title(i bigint, salt integer) RETURNS text LANGUAGE sql IMMUTABLE
RETURN pg_temp.word(i, salt) || ' ' || pg_temp.word(i, salt + 1) || ' ' || pg_temp.word(i, salt + 2);

CREATE FUNCTION pg_temp.prose(i bigint, salt integer) RETURNS text LANGUAGE sql IMMUTABLE
RETURN pg_temp.title(i, salt) || ' ' || pg_temp.title(i, salt + 3) || E'.\n\n' || pg_temp.title(i, salt + 6) || ' '
    || pg_temp.title(i, salt + 9) || ' ' || pg_temp.hex(i, salt);
