ALTER DATABASE field SET session_preload_libraries = 'fanout_labels';
LOAD 'fanout_labels';
CREATE TABLE person (id int PRIMARY KEY, mail text);
SECURITY LABEL FOR fanout_labels ON COLUMN person.mail IS 'hidden';
INSERT INTO person VALUES (1, 'ada-4711@example.org');
