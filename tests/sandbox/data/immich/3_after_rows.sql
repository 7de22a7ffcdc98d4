-- What Immich has besides tables, made after the rows so that its triggers do not put today's time into them.

CREATE INDEX clip_index ON smart_search USING hnsw (embedding vector_cosine_ops) WITH (ef_construction = 64, m = 8);
CREATE INDEX face_index ON face_search USING ivfflat (embedding vector_cosine_ops) WITH (lists = 10);
CREATE TRIGGER "asset_updatedAt" BEFORE UPDATE ON asset FOR EACH ROW EXECUTE FUNCTION updated_at();
CREATE TRIGGER "album_updatedAt" BEFORE UPDATE ON album FOR EACH ROW EXECUTE FUNCTION updated_at();
CREATE TRIGGER "person_updatedAt" BEFORE UPDATE ON person FOR EACH ROW EXECUTE FUNCTION updated_at();
CREATE TRIGGER asset_delete_audit AFTER DELETE ON asset REFERENCING OLD TABLE AS old FOR EACH STATEMENT WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION asset_delete_audit();
CREATE VIEW timeline AS SELECT id, "ownerId", "localDateTime" FROM asset WHERE visibility = 'timeline' AND "deletedAt" IS NULL WITH LOCAL CHECK OPTION;
COMMENT ON COLUMN asset.checksum IS 'sha1 of the file';
GRANT SELECT ON asset, album, timeline TO reporting;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO reporting;
