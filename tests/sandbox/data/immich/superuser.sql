-- Immich expects its extensions from a superuser. The wheel has no others of those that Immich needs.
CREATE EXTENSION vector;
