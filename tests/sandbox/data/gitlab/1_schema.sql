-- GitLab's tables by their real names: partitions in schemas of their own, loose foreign keys kept by triggers, checks in
-- place of varchar lengths. Left out: indexes that need pg_trgm and btree_gist, which the wheel lacks.

CREATE SCHEMA gitlab_partitions_dynamic;
CREATE SCHEMA gitlab_partitions_static;
COMMENT ON SCHEMA gitlab_partitions_dynamic IS 'Schema to hold partitions managed dynamically from the application, e.g. for time space partitioning.';

CREATE TABLE users (id bigserial PRIMARY KEY, email varchar NOT NULL DEFAULT '' UNIQUE, encrypted_password varchar NOT NULL DEFAULT '', sign_in_count integer DEFAULT 0, current_sign_in_at timestamp, last_sign_in_at timestamp, created_at timestamp, updated_at timestamp, name varchar NOT NULL DEFAULT '', admin boolean NOT NULL DEFAULT false, projects_limit integer NOT NULL, username varchar UNIQUE, state varchar, otp_required_for_login boolean NOT NULL DEFAULT false, encrypted_otp_secret varchar, otp_backup_codes text, public_email varchar, user_type smallint NOT NULL DEFAULT 0, preferred_language varchar, static_object_token_encrypted text, organization_id bigint, onboarding_in_progress boolean NOT NULL DEFAULT false, CONSTRAINT check_061f6f1c91 CHECK (length(static_object_token_encrypted) <= 255));
CREATE INDEX index_users_on_state_and_user_type ON users (state, user_type);
CREATE INDEX index_users_on_lower_username ON users (lower(username));
CREATE TABLE identities (id bigserial PRIMARY KEY, extern_uid varchar, provider varchar, user_id bigint REFERENCES users ON DELETE CASCADE, created_at timestamp, updated_at timestamp);
CREATE TABLE emails (id bigserial PRIMARY KEY, user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE, email varchar NOT NULL UNIQUE, confirmed_at timestamptz, created_at timestamp, updated_at timestamp);
CREATE TABLE keys (id bigserial PRIMARY KEY, user_id bigint, created_at timestamp, updated_at timestamp, key text, title varchar, type varchar, fingerprint_sha256 bytea UNIQUE, public boolean NOT NULL DEFAULT false, last_used_at timestamp, usage_type smallint NOT NULL DEFAULT 0, expires_at timestamptz);
CREATE TABLE personal_access_tokens (id bigserial PRIMARY KEY, user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE, name varchar NOT NULL, revoked boolean DEFAULT false, expires_at date, created_at timestamp NOT NULL, updated_at timestamp NOT NULL, scopes varchar NOT NULL DEFAULT '--- []\n', token_digest varchar UNIQUE, last_used_at timestamptz);
CREATE TABLE namespaces (id bigserial PRIMARY KEY, name varchar NOT NULL, path varchar NOT NULL, owner_id bigint, created_at timestamp, updated_at timestamp, type varchar NOT NULL DEFAULT 'User', description varchar NOT NULL DEFAULT '', visibility_level integer NOT NULL DEFAULT 20, parent_id bigint REFERENCES namespaces, runners_token_encrypted varchar, traversal_ids bigint[] NOT NULL DEFAULT '{}', organization_id bigint);
CREATE INDEX index_namespaces_on_traversal_ids ON namespaces USING gin (traversal_ids);
CREATE TABLE projects (id bigserial PRIMARY KEY, name varchar, path varchar, description text, created_at timestamp, updated_at timestamp, creator_id bigint, namespace_id bigint NOT NULL REFERENCES namespaces, last_activity_at timestamp, visibility_level integer NOT NULL DEFAULT 0, archived boolean NOT NULL DEFAULT false, star_count integer NOT NULL DEFAULT 0, repository_storage varchar NOT NULL DEFAULT 'default', runners_token_encrypted varchar, project_namespace_id bigint, organization_id bigint);
CREATE TABLE routes (id bigserial PRIMARY KEY, source_id bigint NOT NULL, source_type varchar NOT NULL, path varchar NOT NULL UNIQUE, created_at timestamp, updated_at timestamp, name varchar, namespace_id bigint);
CREATE TABLE members (id bigserial PRIMARY KEY, access_level integer NOT NULL, source_id bigint NOT NULL, source_type varchar NOT NULL, user_id bigint, notification_level integer NOT NULL, type varchar NOT NULL, created_at timestamp, updated_at timestamp, expires_at date, state smallint DEFAULT 0);
CREATE TABLE labels (id bigserial PRIMARY KEY, title varchar, color varchar, project_id bigint REFERENCES projects ON DELETE CASCADE, created_at timestamp, updated_at timestamp, template boolean DEFAULT false, description varchar, type varchar, group_id bigint);
CREATE TABLE milestones (id bigserial PRIMARY KEY, title varchar NOT NULL, project_id bigint, description text, due_date date, created_at timestamp, updated_at timestamp, state varchar, iid integer, group_id bigint);
CREATE TABLE work_item_types (id bigserial PRIMARY KEY, base_type smallint NOT NULL DEFAULT 0, name text NOT NULL CHECK (length(name) <= 255), icon_name text);
CREATE TABLE issues (id bigserial PRIMARY KEY, title varchar, author_id bigint REFERENCES users ON DELETE SET NULL, project_id bigint REFERENCES projects ON DELETE CASCADE, created_at timestamp, updated_at timestamp, description text, milestone_id bigint, iid integer, confidential boolean NOT NULL DEFAULT false, due_date date, title_html text, description_html text, relative_position integer, closed_at timestamptz, state_id smallint NOT NULL DEFAULT 1, work_item_type_id bigint NOT NULL, namespace_id bigint NOT NULL, UNIQUE (project_id, iid));
CREATE TABLE issue_assignees (user_id bigint REFERENCES users ON DELETE CASCADE, issue_id bigint REFERENCES issues ON DELETE CASCADE, PRIMARY KEY (issue_id, user_id));
CREATE TABLE label_links (id bigserial PRIMARY KEY, label_id bigint, target_id bigint, target_type varchar, created_at timestamp, updated_at timestamp);
CREATE TABLE merge_requests (id bigserial PRIMARY KEY, target_branch varchar NOT NULL, source_branch varchar NOT NULL, source_project_id bigint, author_id bigint, title varchar, created_at timestamp, updated_at timestamp, merge_status varchar NOT NULL DEFAULT 'unchecked', target_project_id bigint NOT NULL REFERENCES projects ON DELETE CASCADE, iid integer, description text, merge_commit_sha varchar, state_id smallint NOT NULL DEFAULT 1, draft boolean NOT NULL DEFAULT false);
CREATE TABLE merge_request_diffs (id bigserial PRIMARY KEY, state varchar, merge_request_id bigint NOT NULL REFERENCES merge_requests ON DELETE CASCADE, created_at timestamp, updated_at timestamp, base_commit_sha varchar, head_commit_sha varchar, commits_count integer, stored_externally boolean, external_diff varchar);
CREATE TABLE notes (id bigserial PRIMARY KEY, note text, noteable_type varchar, author_id bigint, created_at timestamp, updated_at timestamp, project_id bigint, line_code varchar, commit_id varchar, noteable_id bigint, system boolean NOT NULL DEFAULT false, st_diff text, updated_by_id bigint, type varchar, "position" text, discussion_id varchar, note_html text, confidential boolean, internal boolean NOT NULL DEFAULT false, namespace_id bigint);
CREATE INDEX index_notes_on_noteable_id_and_noteable_type_and_system ON notes (noteable_id, noteable_type, system);
CREATE TABLE events (id bigserial PRIMARY KEY, project_id bigint, author_id bigint NOT NULL, created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL, action smallint NOT NULL, target_type varchar, group_id bigint, fingerprint bytea, target_id bigint, CONSTRAINT check_97e06e05ad CHECK (octet_length(fingerprint) <= 128));
CREATE TABLE todos (id bigserial PRIMARY KEY, user_id bigint NOT NULL, project_id bigint, target_id bigint, target_type varchar NOT NULL, author_id bigint NOT NULL, action integer NOT NULL, state varchar NOT NULL, created_at timestamp, updated_at timestamp, note_id bigint);
CREATE TABLE uploads (id bigserial PRIMARY KEY, size bigint NOT NULL, path varchar(511) NOT NULL, checksum varchar(64), model_id bigint, model_type varchar, uploader varchar NOT NULL, created_at timestamp NOT NULL, store integer DEFAULT 1, mount_point varchar, secret varchar);
CREATE TABLE lfs_objects (id bigserial PRIMARY KEY, oid varchar NOT NULL UNIQUE, size bigint NOT NULL, created_at timestamp, updated_at timestamp, file varchar, file_store integer DEFAULT 1);
CREATE TABLE lfs_objects_projects (id bigserial PRIMARY KEY, lfs_object_id bigint NOT NULL, project_id bigint NOT NULL, created_at timestamp, updated_at timestamp, repository_type smallint);
CREATE TABLE releases (id bigserial PRIMARY KEY, tag varchar, description text, project_id bigint, created_at timestamp, updated_at timestamp, author_id bigint, name varchar, sha varchar, released_at timestamptz NOT NULL);
CREATE TABLE web_hooks (id bigserial PRIMARY KEY, project_id bigint, created_at timestamp, updated_at timestamp, type varchar DEFAULT 'ProjectHook', push_events boolean NOT NULL DEFAULT true, encrypted_token varchar, encrypted_url varchar, encrypted_url_iv varchar, name text CHECK (length(name) <= 255), custom_headers bytea);
CREATE TABLE application_settings (id bigserial PRIMARY KEY, default_projects_limit integer, signup_enabled boolean, created_at timestamp, updated_at timestamp, home_page_url varchar, uuid varchar, outbound_local_requests_whitelist varchar(255)[] NOT NULL DEFAULT '{}', default_branch_name text, rate_limits jsonb NOT NULL DEFAULT '{}', encrypted_ci_jwt_signing_key bytea, singleton boolean GENERATED ALWAYS AS (true) STORED UNIQUE);
CREATE TABLE ci_runners (id bigserial PRIMARY KEY, creator_id bigint, created_at timestamptz, updated_at timestamptz, contacted_at timestamptz, token_encrypted text, runner_type smallint NOT NULL, active boolean NOT NULL DEFAULT true, description varchar);
CREATE TABLE ci_variables (id bigserial PRIMARY KEY, key varchar NOT NULL, encrypted_value text, encrypted_value_salt varchar, encrypted_value_iv varchar, project_id bigint NOT NULL, protected boolean NOT NULL DEFAULT false, environment_scope varchar NOT NULL DEFAULT '*', masked boolean NOT NULL DEFAULT false, variable_type smallint NOT NULL DEFAULT 1);
CREATE TABLE batched_background_migrations (id bigserial PRIMARY KEY, created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL, min_value bigint NOT NULL DEFAULT 1, max_value bigint NOT NULL, batch_size integer NOT NULL, "interval" smallint NOT NULL, status smallint NOT NULL DEFAULT 0, job_class_name text NOT NULL, table_name text NOT NULL, column_name text NOT NULL, job_arguments jsonb NOT NULL DEFAULT '"[]"', CONSTRAINT check_batch_size_in_range CHECK (batch_size >= 1));
CREATE TABLE schema_migrations (version varchar PRIMARY KEY, finished_at timestamptz);
CREATE TABLE ar_internal_metadata (key varchar PRIMARY KEY, value varchar, created_at timestamp NOT NULL, updated_at timestamp NOT NULL);
CREATE TABLE ldap_group_links (id bigserial PRIMARY KEY, cn varchar, group_access integer NOT NULL, group_id bigint NOT NULL, provider varchar, filter varchar);
CREATE TABLE spam_logs (id bigserial PRIMARY KEY, user_id bigint, source_ip varchar, title varchar, created_at timestamp NOT NULL);

-- Lists: every CI table is cut by partition_id. Two partitions of builds keep their old names in public.
CREATE TABLE p_ci_pipelines (ref varchar, sha varchar, before_sha varchar, created_at timestamp, updated_at timestamp, tag boolean DEFAULT false, yaml_errors text, committed_at timestamp, project_id bigint, status varchar, started_at timestamp, finished_at timestamp, duration integer, user_id bigint, lock_version integer DEFAULT 0, source integer, config_source integer, protected boolean, iid integer, id bigserial, partition_id bigint NOT NULL, CONSTRAINT check_2ba2a044b9 CHECK (project_id IS NOT NULL), PRIMARY KEY (id, partition_id)) PARTITION BY LIST (partition_id);
CREATE TABLE ci_pipelines PARTITION OF p_ci_pipelines FOR VALUES IN (100, 101);
CREATE TABLE gitlab_partitions_dynamic.ci_pipelines_102 PARTITION OF p_ci_pipelines FOR VALUES IN (102);
CREATE TABLE gitlab_partitions_dynamic.ci_pipelines_103 PARTITION OF p_ci_pipelines FOR VALUES IN (103);
CREATE UNIQUE INDEX p_ci_pipelines_project_id_iid_idx ON p_ci_pipelines (project_id, iid, partition_id) WHERE iid IS NOT NULL;
CREATE TABLE p_ci_builds (status varchar, finished_at timestamp, created_at timestamp, updated_at timestamp, started_at timestamp, coverage double precision, name varchar, options text, allow_failure boolean NOT NULL DEFAULT false, stage_idx integer, tag boolean, ref varchar, type varchar, description varchar, project_id bigint, runner_id bigint, id bigserial, commit_id bigint, stage_id bigint, partition_id bigint NOT NULL, PRIMARY KEY (id, partition_id), FOREIGN KEY (commit_id, partition_id) REFERENCES p_ci_pipelines (id, partition_id) ON UPDATE CASCADE ON DELETE CASCADE) PARTITION BY LIST (partition_id);
CREATE TABLE ci_builds PARTITION OF p_ci_builds FOR VALUES IN (100);
CREATE TABLE gitlab_partitions_dynamic.ci_builds_101 PARTITION OF p_ci_builds FOR VALUES IN (101);
CREATE TABLE gitlab_partitions_dynamic.ci_builds_102 PARTITION OF p_ci_builds FOR VALUES IN (102, 103);
CREATE INDEX p_ci_builds_status_created_at_project_id_idx ON p_ci_builds (status, created_at, project_id) WHERE type = 'Ci::Build';

-- Ranges: by month, and one that takes what fits nowhere.
CREATE TABLE audit_events (id bigserial, author_id bigint NOT NULL, entity_id bigint NOT NULL, entity_type varchar NOT NULL, details text, ip_address inet, author_name text, entity_path text, target_details text, created_at timestamp NOT NULL, target_type text, target_id bigint, PRIMARY KEY (id, created_at), CONSTRAINT check_83ff8406e2 CHECK (length(author_name) <= 255)) PARTITION BY RANGE (created_at);
CREATE TABLE gitlab_partitions_dynamic.audit_events_000000 PARTITION OF audit_events FOR VALUES FROM (MINVALUE) TO ('2024-01-01');
CREATE TABLE gitlab_partitions_dynamic.audit_events_202401 PARTITION OF audit_events FOR VALUES FROM ('2024-01-01') TO ('2024-02-01');
CREATE TABLE gitlab_partitions_dynamic.audit_events_202402 PARTITION OF audit_events FOR VALUES FROM ('2024-02-01') TO ('2024-03-01');
CREATE TABLE gitlab_partitions_dynamic.audit_events_later PARTITION OF audit_events DEFAULT;
CREATE TABLE web_hook_logs_daily (id bigserial, web_hook_id bigint NOT NULL, trigger varchar, url varchar, request_headers text, request_data text, response_status varchar, execution_duration double precision, created_at timestamp NOT NULL, updated_at timestamp NOT NULL, PRIMARY KEY (id, created_at)) PARTITION BY RANGE (created_at);
CREATE TABLE gitlab_partitions_dynamic.web_hook_logs_daily_20240101 PARTITION OF web_hook_logs_daily FOR VALUES FROM ('2024-01-01') TO ('2024-01-02');
CREATE TABLE gitlab_partitions_dynamic.web_hook_logs_daily_20240102 PARTITION OF web_hook_logs_daily FOR VALUES FROM ('2024-01-02') TO ('2024-01-03');
CREATE TABLE gitlab_partitions_dynamic.web_hook_logs_daily_20240103 PARTITION OF web_hook_logs_daily FOR VALUES FROM ('2024-01-03') TO ('2024-01-04');

-- Hashes: the search index. One of its partitions is itself partitioned.
CREATE TABLE issue_search_data (project_id bigint NOT NULL, issue_id bigint NOT NULL, created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now(), search_vector tsvector, namespace_id bigint, PRIMARY KEY (project_id, issue_id)) PARTITION BY HASH (project_id);
CREATE TABLE gitlab_partitions_static.issue_search_data_00 PARTITION OF issue_search_data FOR VALUES WITH (MODULUS 4, REMAINDER 0);
CREATE TABLE gitlab_partitions_static.issue_search_data_01 PARTITION OF issue_search_data FOR VALUES WITH (MODULUS 4, REMAINDER 1);
CREATE TABLE gitlab_partitions_static.issue_search_data_02 PARTITION OF issue_search_data FOR VALUES WITH (MODULUS 4, REMAINDER 2);
CREATE TABLE gitlab_partitions_static.issue_search_data_03 PARTITION OF issue_search_data FOR VALUES WITH (MODULUS 4, REMAINDER 3) PARTITION BY HASH (issue_id);
CREATE TABLE gitlab_partitions_static.issue_search_data_03_0 PARTITION OF gitlab_partitions_static.issue_search_data_03 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE gitlab_partitions_static.issue_search_data_03_1 PARTITION OF gitlab_partitions_static.issue_search_data_03 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE INDEX index_issue_search_data_on_search_vector ON issue_search_data USING gin (search_vector);

CREATE TABLE loose_foreign_keys_deleted_records (id bigserial, partition bigint NOT NULL DEFAULT 1, primary_key_value bigint NOT NULL, status smallint NOT NULL DEFAULT 1, created_at timestamptz NOT NULL DEFAULT now(), fully_qualified_table_name text NOT NULL CHECK (length(fully_qualified_table_name) <= 150), consume_after timestamptz DEFAULT now(), cleanup_attempts smallint DEFAULT 0, PRIMARY KEY (partition, id)) PARTITION BY LIST (partition);
CREATE TABLE gitlab_partitions_dynamic.loose_foreign_keys_deleted_records_1 PARTITION OF loose_foreign_keys_deleted_records FOR VALUES IN (1);
CREATE FUNCTION insert_into_loose_foreign_keys_deleted_records() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO loose_foreign_keys_deleted_records (fully_qualified_table_name, primary_key_value) SELECT TG_TABLE_SCHEMA || '.' || TG_TABLE_NAME, id FROM old_table;
    RETURN NULL;
END
$$;
CREATE TRIGGER users_loose_fk_trigger AFTER DELETE ON users REFERENCING OLD TABLE AS old_table FOR EACH STATEMENT EXECUTE FUNCTION insert_into_loose_foreign_keys_deleted_records();
CREATE TRIGGER projects_loose_fk_trigger AFTER DELETE ON projects REFERENCING OLD TABLE AS old_table FOR EACH STATEMENT EXECUTE FUNCTION insert_into_loose_foreign_keys_deleted_records();
CREATE TRIGGER p_ci_builds_loose_fk_trigger AFTER DELETE ON p_ci_builds REFERENCING OLD TABLE AS old_table FOR EACH STATEMENT EXECUTE FUNCTION insert_into_loose_foreign_keys_deleted_records();
CREATE FUNCTION trigger_sync_namespace() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.namespace_id = NEW.source_id; RETURN NEW; END';
CREATE TRIGGER trigger_routes_sync BEFORE INSERT ON routes FOR EACH ROW WHEN (NEW.source_type = 'Namespace') EXECUTE FUNCTION trigger_sync_namespace();
