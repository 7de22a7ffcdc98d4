CREATE TABLE news (id int PRIMARY KEY, body text);
INSERT INTO news VALUES (1, 'first');
CREATE SUBSCRIPTION head_office CONNECTION 'host=127.0.0.1 port=1 dbname=nowhere password=pw-of-the-head-office'
    PUBLICATION news WITH (connect = false, slot_name = 'branch');
