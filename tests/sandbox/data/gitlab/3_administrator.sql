-- What the owner of this GitLab has added by hand: reports over the partitions, rights, one large object.

CREATE MATERIALIZED VIEW pipelines_per_month AS SELECT date_trunc('month', created_at) AS month, status, count(*) AS pipelines FROM p_ci_pipelines GROUP BY 1, 2 ORDER BY 1, 2;
CREATE VIEW "order" WITH (security_barrier) AS SELECT id AS "select", title AS "from", state_id AS "Größe" FROM issues WHERE NOT confidential;
GRANT USAGE ON SCHEMA gitlab_partitions_dynamic, gitlab_partitions_static TO reporting;
GRANT SELECT ON ALL TABLES IN SCHEMA public, gitlab_partitions_dynamic TO reporting;
GRANT SELECT, INSERT, UPDATE (note) ON notes TO "Büro ""Lesen""";
REVOKE SELECT ON users, personal_access_tokens FROM reporting;
ALTER DEFAULT PRIVILEGES IN SCHEMA gitlab_partitions_dynamic GRANT SELECT ON TABLES TO reporting;
ALTER TABLE issues ENABLE ROW LEVEL SECURITY;
CREATE POLICY not_confidential ON issues FOR SELECT TO PUBLIC USING (NOT confidential);
ALTER TABLE p_ci_pipelines ENABLE ROW LEVEL SECURITY;
CREATE POLICY done ON p_ci_pipelines FOR SELECT TO reporting USING (status <> 'canceled');
ALTER TABLE notes CLUSTER ON notes_pkey;
ALTER TABLE events REPLICA IDENTITY FULL;
ALTER TABLE events ALTER target_type SET STATISTICS 500, SET (autovacuum_vacuum_scale_factor = 0.01);
SELECT lo_from_bytea(90001, decode(repeat(pg_temp.sha256hex(1, 900), 5000), 'hex'));
