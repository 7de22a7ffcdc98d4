CREATE TABLE book (id int PRIMARY KEY, keeper regrole);
INSERT INTO book VALUES (1, 'postgres');
CREATE TABLE note (id int PRIMARY KEY);
INSERT INTO note VALUES (1);
