CREATE EXTENSION pg_cron;
CREATE TABLE visit (id int PRIMARY KEY);
INSERT INTO visit VALUES (1), (2);
SELECT cron.schedule('forget visits', '5 4 * * *', 'DELETE FROM visit');
