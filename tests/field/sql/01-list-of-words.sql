CREATE TABLE parcel (
    id int PRIMARY KEY,
    state varchar(16) NOT NULL CHECK (state IN ('packed', 'sent', 'lost')),
    weight int CHECK (weight BETWEEN 1 AND 40 AND id > 0)
);
INSERT INTO parcel VALUES (1, 'packed', 3), (2, 'lost', 40);
CREATE INDEX parcel_waiting ON parcel (id) WHERE state IN ('packed', 'lost');
CREATE VIEW waiting AS SELECT id FROM parcel WHERE state NOT IN ('sent', 'lost');
