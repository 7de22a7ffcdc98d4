-- Roles beside the apps' own: a group that may read, a member without its rights by default, a name that needs quotes.
CREATE ROLE reporting NOLOGIN;
CREATE ROLE grafana LOGIN;
GRANT reporting TO grafana WITH INHERIT FALSE, SET TRUE;
CREATE ROLE "Büro ""Lesen""" NOLOGIN;
