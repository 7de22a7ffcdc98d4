CREATE TABLE account (id int, login text);
INSERT INTO account VALUES (1, 'ada-4711'), (2, 'bob-4711'), (3, 'bob-4711');
CREATE INDEX account_login ON account (login);
UPDATE pg_index SET indisunique = true WHERE indexrelid = 'account_login'::regclass;
CREATE TABLE letter (id int PRIMARY KEY, body text);
INSERT INTO letter SELECT n, 'letter ' || n FROM generate_series(1, 500) n;
CREATE INDEX letter_body ON letter (body);
