CREATE TABLE channel (
    id int PRIMARY KEY, kind text NOT NULL, CONSTRAINT channel_kind_not_null CHECK (kind IS NOT NULL)
);
INSERT INTO channel VALUES (1, 'chat');
