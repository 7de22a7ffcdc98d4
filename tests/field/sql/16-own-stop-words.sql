CREATE TEXT SEARCH DICTIONARY own_words (TEMPLATE = snowball, Language = german, StopWords = fanout_field);
CREATE TEXT SEARCH CONFIGURATION own (COPY = german);
ALTER TEXT SEARCH CONFIGURATION own ALTER MAPPING FOR asciiword WITH own_words;
CREATE TABLE mail (id int PRIMARY KEY, body text);
INSERT INTO mail VALUES (1, 'guten Tag');
CREATE INDEX mail_words ON mail USING gin (to_tsvector('own', body));
