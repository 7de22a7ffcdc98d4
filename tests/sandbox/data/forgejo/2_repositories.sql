-- Forgejo's tables by their real names: repositories, issues, pull requests, packages.

CREATE TABLE repository (
    id bigserial PRIMARY KEY, owner_id bigint, owner_name varchar(255), lower_name varchar(255) NOT NULL, name varchar(255) NOT NULL, description text,
    website varchar(2048), default_branch varchar(255), num_watches integer, num_stars integer, num_forks integer, num_issues integer,
    num_closed_issues integer, num_pulls integer, is_private boolean, is_empty boolean, is_archived boolean, is_mirror boolean, status integer NOT NULL DEFAULT 0,
    is_fork boolean NOT NULL DEFAULT false, fork_id bigint, size bigint NOT NULL DEFAULT 0, git_size bigint NOT NULL DEFAULT 0, lfs_size bigint NOT NULL DEFAULT 0,
    topics text, avatar varchar(64), object_format_name varchar(6) NOT NULL DEFAULT 'sha1', created_unix bigint, updated_unix bigint, archived_unix bigint DEFAULT 0,
    UNIQUE (owner_id, lower_name)
);
CREATE TABLE issue (
    id bigserial PRIMARY KEY, repo_id bigint, index bigint, poster_id bigint, original_author varchar(255), name varchar(255), content text, milestone_id bigint,
    priority integer, is_closed boolean, is_pull boolean, num_comments integer, ref varchar(255), pin_order integer DEFAULT 0, deadline_unix bigint,
    created_unix bigint, updated_unix bigint, closed_unix bigint, is_locked boolean NOT NULL DEFAULT false, UNIQUE (repo_id, index)
);
CREATE TABLE comment (
    id bigserial PRIMARY KEY, type integer, poster_id bigint, issue_id bigint, label_id bigint, old_milestone_id bigint, milestone_id bigint, assignee_id bigint,
    old_title varchar(255), new_title varchar(255), commit_id bigint, line bigint, tree_path varchar(4000), content text, patch text, created_unix bigint,
    updated_unix bigint, commit_sha varchar(64), review_id bigint, invalidated boolean
);
CREATE INDEX "IDX_issue_is_closed" ON issue (is_closed);
CREATE INDEX "IDX_issue_open" ON issue (repo_id, created_unix DESC) WHERE NOT is_closed;
CREATE INDEX "IDX_issue_lower_name" ON issue (lower(name));
CREATE INDEX "IDX_issue_words" ON issue USING gin (to_tsvector('simple'::regconfig, coalesce(name, '') || ' ' || coalesce(content, '')));
CREATE INDEX "IDX_comment_issue_id" ON comment (issue_id);
CREATE INDEX "IDX_comment_created_unix" ON comment (created_unix);

CREATE TABLE access (id bigserial PRIMARY KEY, user_id bigint, repo_id bigint, mode integer, UNIQUE (user_id, repo_id));
CREATE TABLE action (id bigserial PRIMARY KEY, user_id bigint, op_type integer, act_user_id bigint, repo_id bigint, comment_id bigint, is_deleted boolean NOT NULL DEFAULT false, ref_name varchar(255), is_private boolean NOT NULL DEFAULT false, content text, created_unix bigint);
CREATE INDEX "IDX_action_r_u_d" ON action (repo_id, user_id, is_deleted);
CREATE INDEX "IDX_action_created_unix" ON action (created_unix);
CREATE TABLE attachment (id bigserial PRIMARY KEY, uuid uuid UNIQUE, repo_id bigint, issue_id bigint, release_id bigint, uploader_id bigint DEFAULT 0, comment_id bigint, name varchar(255), download_count bigint DEFAULT 0, size bigint DEFAULT 0, external_url varchar(255), created_unix bigint);
CREATE TABLE branch (id bigserial PRIMARY KEY, repo_id bigint, name varchar(255) NOT NULL, commit_id varchar(255), commit_message text, pusher_id bigint, is_deleted boolean, deleted_by_id bigint, deleted_unix bigint, commit_time bigint, created_unix bigint, updated_unix bigint, UNIQUE (repo_id, name));
CREATE TABLE collaboration (id bigserial PRIMARY KEY, repo_id bigint NOT NULL REFERENCES repository (id), user_id bigint NOT NULL REFERENCES "user" (id), mode integer NOT NULL DEFAULT 2, created_unix bigint, updated_unix bigint, UNIQUE (repo_id, user_id));
CREATE TABLE commit_status (id bigserial PRIMARY KEY, index bigint, repo_id bigint, state varchar(7) NOT NULL, sha varchar(64) NOT NULL, target_url text, description text, context_hash varchar(64), context text, creator_id bigint, created_unix bigint, updated_unix bigint, UNIQUE (repo_id, sha, index));
CREATE TABLE commit_status_index (id bigserial PRIMARY KEY, repo_id bigint, sha varchar(255), max_index bigint, UNIQUE (repo_id, sha));
CREATE TABLE commit_status_summary (id bigserial PRIMARY KEY, repo_id bigint, sha varchar(64) NOT NULL, state varchar(7) NOT NULL, target_url text, UNIQUE (repo_id, sha));
CREATE TABLE deploy_key (id bigserial PRIMARY KEY, key_id bigint, repo_id bigint, name varchar(255), fingerprint varchar(255), mode integer NOT NULL DEFAULT 1, created_unix bigint, updated_unix bigint);
CREATE TABLE issue_assignees (id bigserial PRIMARY KEY, assignee_id bigint, issue_id bigint);
CREATE TABLE issue_content_history (id bigserial PRIMARY KEY, poster_id bigint, issue_id bigint, comment_id bigint, edited_unix bigint, content_text text, is_first_created boolean, is_deleted boolean);
CREATE TABLE issue_dependency (id bigserial PRIMARY KEY, user_id bigint NOT NULL, issue_id bigint NOT NULL, dependency_id bigint NOT NULL, created_unix bigint, updated_unix bigint);
CREATE TABLE issue_index (group_id bigint PRIMARY KEY, max_index bigint);
CREATE TABLE issue_label (id bigserial PRIMARY KEY, issue_id bigint, label_id bigint, UNIQUE (issue_id, label_id));
CREATE TABLE issue_user (id bigserial PRIMARY KEY, uid bigint, issue_id bigint, is_read boolean, is_mentioned boolean, UNIQUE (uid, issue_id));
CREATE TABLE issue_watch (id bigserial PRIMARY KEY, user_id bigint NOT NULL, issue_id bigint NOT NULL, is_watching boolean NOT NULL, created_unix bigint NOT NULL, updated_unix bigint NOT NULL);
CREATE TABLE label (id bigserial PRIMARY KEY, repo_id bigint, org_id bigint, name varchar(255), exclusive boolean, description varchar(255), color varchar(7), num_issues integer, num_closed_issues integer, created_unix bigint, archived_unix bigint);
CREATE TABLE language_stat (id bigserial PRIMARY KEY, repo_id bigint NOT NULL, commit_id varchar(255), is_primary boolean, language varchar(50) NOT NULL, size bigint NOT NULL DEFAULT 0, created_unix bigint);
CREATE TABLE lfs_lock (id bigserial PRIMARY KEY, repo_id bigint NOT NULL, owner_id bigint NOT NULL, path text, created timestamp);
CREATE TABLE lfs_meta_object (id bigserial PRIMARY KEY, oid varchar(255) NOT NULL, size bigint NOT NULL, repository_id bigint NOT NULL, created_unix bigint, updated_unix bigint, UNIQUE (oid, repository_id));
CREATE TABLE milestone (id bigserial PRIMARY KEY, repo_id bigint, name varchar(255), content text, is_closed boolean, num_issues integer, num_closed_issues integer, completeness integer, created_unix bigint, deadline_unix bigint);
CREATE TABLE mirror (id bigserial PRIMARY KEY, repo_id bigint, "interval" bigint, enable_prune boolean NOT NULL DEFAULT true, updated_unix bigint, next_update_unix bigint, lfs_enabled boolean NOT NULL DEFAULT false, remote_address varchar(2048));
CREATE TABLE notification (id bigserial PRIMARY KEY, user_id bigint NOT NULL, repo_id bigint NOT NULL, status smallint NOT NULL, source smallint NOT NULL, issue_id bigint NOT NULL, commit_id varchar(255), comment_id bigint, updated_by bigint NOT NULL, created_unix bigint NOT NULL, updated_unix bigint NOT NULL);
CREATE INDEX "IDX_notification_user_id_status" ON notification (user_id, status);
CREATE TABLE package (id bigserial PRIMARY KEY, owner_id bigint NOT NULL, repo_id bigint, type varchar(255) NOT NULL, name varchar(255) NOT NULL, lower_name varchar(255) NOT NULL, semver_compatible boolean NOT NULL DEFAULT false, is_internal boolean NOT NULL DEFAULT false, UNIQUE (owner_id, type, lower_name));
CREATE TABLE package_blob (id bigserial PRIMARY KEY, size bigint NOT NULL DEFAULT 0, hash_md5 char(32) NOT NULL UNIQUE, hash_sha1 char(40) NOT NULL, hash_sha256 char(64) NOT NULL UNIQUE, hash_sha512 char(128) NOT NULL, created_unix bigint NOT NULL);
CREATE TABLE package_blob_upload (id varchar(255) PRIMARY KEY, bytes_received bigint NOT NULL DEFAULT 0, hash_state_bytes bytea, created_unix bigint NOT NULL, updated_unix bigint NOT NULL);
CREATE TABLE package_cleanup_rule (id bigserial PRIMARY KEY, enabled boolean NOT NULL DEFAULT false, owner_id bigint NOT NULL DEFAULT 0, type varchar(255) NOT NULL, keep_count integer NOT NULL DEFAULT 0, keep_pattern varchar(255) NOT NULL DEFAULT '', remove_days integer NOT NULL DEFAULT 0);
CREATE TABLE package_file (id bigserial PRIMARY KEY, version_id bigint NOT NULL, blob_id bigint NOT NULL, name varchar(255) NOT NULL, lower_name varchar(255) NOT NULL, composite_key varchar(255), is_lead boolean NOT NULL DEFAULT false, created_unix bigint NOT NULL);
CREATE TABLE package_property (id bigserial PRIMARY KEY, ref_type bigint NOT NULL, ref_id bigint NOT NULL, name varchar(255) NOT NULL, value text NOT NULL);
CREATE TABLE package_version (id bigserial PRIMARY KEY, package_id bigint NOT NULL, creator_id bigint NOT NULL DEFAULT 0, version varchar(255) NOT NULL, lower_version varchar(255) NOT NULL, created_unix bigint NOT NULL, is_internal boolean NOT NULL DEFAULT false, metadata_json text, download_count bigint NOT NULL DEFAULT 0, UNIQUE (package_id, lower_version));
CREATE TABLE project (id bigserial PRIMARY KEY, title varchar(255) NOT NULL, description text, owner_id bigint, repo_id bigint, creator_id bigint NOT NULL, is_closed boolean, board_type integer, card_type integer, type integer, created_unix bigint, updated_unix bigint, closed_date_unix bigint);
CREATE TABLE project_board (id bigserial PRIMARY KEY, title varchar(255), "default" boolean NOT NULL DEFAULT false, sorting integer NOT NULL DEFAULT 0, color varchar(7), project_id bigint NOT NULL, creator_id bigint NOT NULL, created_unix bigint, updated_unix bigint);
CREATE TABLE project_issue (id bigserial PRIMARY KEY, issue_id bigint, project_id bigint, project_board_id bigint, sorting bigint NOT NULL DEFAULT 0);
CREATE TABLE protected_branch (id bigserial PRIMARY KEY, repo_id bigint, branch_name varchar(255), can_push boolean NOT NULL DEFAULT false, enable_whitelist boolean, whitelist_user_i_ds text, required_approvals bigint NOT NULL DEFAULT 0, protected_file_patterns text, created_unix bigint, updated_unix bigint, UNIQUE (repo_id, branch_name));
CREATE TABLE protected_tag (id bigserial PRIMARY KEY, repo_id bigint, name_pattern varchar(255), allowlist_user_i_ds text, allowlist_team_i_ds text, created_unix bigint, updated_unix bigint);
CREATE TABLE pull_auto_merge (id bigserial PRIMARY KEY, pull_id bigint UNIQUE, doer_id bigint NOT NULL, merge_style varchar(30), message text, created_unix bigint);
CREATE TABLE pull_request (id bigserial PRIMARY KEY, type integer, status integer, conflicted_files text, commits_ahead integer, commits_behind integer, issue_id bigint, index bigint, head_repo_id bigint, base_repo_id bigint, head_branch varchar(255), base_branch varchar(255), merge_base varchar(64), has_merged boolean, merged_commit_id varchar(64), merger_id bigint, merged_unix bigint, flow integer NOT NULL DEFAULT 0);
CREATE TABLE push_mirror (id bigserial PRIMARY KEY, repo_id bigint, remote_name varchar(255), remote_address varchar(2048), public_key text, private_key bytea, sync_on_commit boolean NOT NULL DEFAULT true, "interval" bigint, created_unix bigint, last_update bigint, last_error text);
CREATE TABLE reaction (id bigserial PRIMARY KEY, type varchar(255) NOT NULL, issue_id bigint NOT NULL, comment_id bigint, user_id bigint NOT NULL, original_author_id bigint NOT NULL DEFAULT 0, created_unix bigint);
CREATE TABLE release (id bigserial PRIMARY KEY, repo_id bigint, publisher_id bigint, tag_name varchar(255), lower_tag_name varchar(255), target varchar(255), title varchar(255), sha1 varchar(64), num_commits bigint, note text, is_draft boolean NOT NULL DEFAULT false, is_prerelease boolean NOT NULL DEFAULT false, is_tag boolean NOT NULL DEFAULT false, created_unix bigint, UNIQUE (repo_id, tag_name));
CREATE TABLE renamed_branch (id bigserial PRIMARY KEY, repo_id bigint NOT NULL, "from" varchar(255), "to" varchar(255), created_unix bigint);
CREATE TABLE repo_archive_download_count (id bigserial PRIMARY KEY, repo_id bigint, release_id bigint, type integer, count bigint);
CREATE TABLE repo_archiver (id bigserial PRIMARY KEY, repo_id bigint, type integer, status integer, commit_id varchar(64), created_unix bigint NOT NULL, UNIQUE (repo_id, type, commit_id));
CREATE TABLE repo_flag (id bigserial PRIMARY KEY, repo_id bigint, name varchar(255), UNIQUE (repo_id, name));
CREATE TABLE repo_indexer_status (id bigserial PRIMARY KEY, repo_id bigint, commit_sha varchar(64), indexer_type integer NOT NULL DEFAULT 0);
CREATE TABLE repo_redirect (id bigserial PRIMARY KEY, owner_id bigint, lower_name varchar(255) NOT NULL, redirect_repo_id bigint, UNIQUE (owner_id, lower_name));
CREATE TABLE repo_topic (repo_id bigint, topic_id bigint, PRIMARY KEY (repo_id, topic_id));
CREATE TABLE repo_transfer (id bigserial PRIMARY KEY, doer_id bigint, recipient_id bigint, repo_id bigint, team_i_ds text, created_unix bigint NOT NULL, updated_unix bigint NOT NULL);
CREATE TABLE repo_unit (id bigserial PRIMARY KEY, repo_id bigint, type integer, config text, created_unix bigint, default_permissions integer NOT NULL DEFAULT 0);
CREATE TABLE review (id bigserial PRIMARY KEY, type integer, reviewer_id bigint, reviewer_team_id bigint NOT NULL DEFAULT 0, issue_id bigint, content text, official boolean NOT NULL DEFAULT false, commit_id varchar(64), stale boolean NOT NULL DEFAULT false, dismissed boolean NOT NULL DEFAULT false, created_unix bigint, updated_unix bigint);
CREATE TABLE review_state (id bigserial PRIMARY KEY, user_id bigint NOT NULL, pull_id bigint NOT NULL DEFAULT 0, commit_sha varchar(64) NOT NULL, updated_files json NOT NULL, updated_unix bigint, UNIQUE (user_id, pull_id, commit_sha));
CREATE TABLE star (id bigserial PRIMARY KEY, uid bigint, repo_id bigint, created_unix bigint, UNIQUE (uid, repo_id));
CREATE TABLE stopwatch (id bigserial PRIMARY KEY, issue_id bigint NOT NULL REFERENCES issue (id), user_id bigint NOT NULL REFERENCES "user" (id), created_unix bigint);
CREATE TABLE topic (id bigserial PRIMARY KEY, name varchar(50) UNIQUE, repo_count integer, created_unix bigint, updated_unix bigint);
CREATE TABLE tracked_time (id bigserial PRIMARY KEY, issue_id bigint NOT NULL REFERENCES issue (id), user_id bigint REFERENCES "user" (id) ON DELETE SET NULL, created_unix bigint NOT NULL, "time" bigint NOT NULL, deleted boolean NOT NULL DEFAULT false);
CREATE TABLE upload (id bigserial PRIMARY KEY, uuid uuid UNIQUE, name varchar(255));
CREATE TABLE watch (id bigserial PRIMARY KEY, user_id bigint, repo_id bigint, mode smallint NOT NULL DEFAULT 1, created_unix bigint, updated_unix bigint, UNIQUE (user_id, repo_id));
CREATE TABLE webhook (id bigserial PRIMARY KEY, repo_id bigint, owner_id bigint, is_system_webhook boolean, url text, http_method varchar(255), content_type integer, secret text, events text, is_active boolean, type varchar(16), meta text, last_status integer, header_authorization_encrypted bytea, created_unix bigint, updated_unix bigint);
CREATE TABLE hook_task (id bigserial PRIMARY KEY, hook_id bigint, uuid uuid UNIQUE, payload_content text, payload_version integer DEFAULT 1, event_type varchar(255), is_delivered boolean, delivered bigint, is_succeed boolean, request_content text, response_content text);

CREATE TABLE action_artifact (id bigserial PRIMARY KEY, run_id bigint, runner_id bigint, repo_id bigint, owner_id bigint, commit_sha varchar(255), storage_path varchar(255), file_size bigint, file_compressed_size bigint, content_encoding varchar(255), artifact_path varchar(255), artifact_name varchar(255), status bigint, created_unix bigint, updated_unix bigint, expired_unix bigint);
CREATE TABLE action_run (id bigserial PRIMARY KEY, title varchar(255), repo_id bigint, owner_id bigint, workflow_id varchar(255), index bigint, trigger_user_id bigint, schedule_id bigint, ref varchar(255), commit_sha varchar(255), is_fork_pull_request boolean, event varchar(255), event_payload text, status integer, version integer DEFAULT 0, started bigint, stopped bigint, created bigint, updated bigint, UNIQUE (repo_id, index));
CREATE TABLE action_run_index (group_id bigint PRIMARY KEY, max_index bigint);
CREATE TABLE action_run_job (id bigserial PRIMARY KEY, run_id bigint, repo_id bigint, owner_id bigint, commit_sha varchar(255), name varchar(255), attempt bigint, workflow_payload bytea, job_id varchar(255), needs text, runs_on text, task_id bigint, status integer, started bigint, stopped bigint, created bigint, updated bigint);
CREATE TABLE action_runner (id bigserial PRIMARY KEY, uuid char(36) UNIQUE, name varchar(255), version varchar(64), owner_id bigint, repo_id bigint, description text, token_hash varchar(255) UNIQUE, token_salt varchar(255), last_online bigint, last_active bigint, agent_labels text, created bigint, updated bigint, deleted bigint);
CREATE TABLE action_runner_token (id bigserial PRIMARY KEY, token varchar(255) UNIQUE, owner_id bigint, repo_id bigint, is_active boolean, created bigint, updated bigint, deleted bigint);
CREATE TABLE action_schedule (id bigserial PRIMARY KEY, title varchar(255), specs text, repo_id bigint, owner_id bigint, workflow_id varchar(255), trigger_user_id bigint, ref varchar(255), commit_sha varchar(255), event varchar(255), event_payload text, content bytea, created bigint, updated bigint);
CREATE TABLE action_schedule_spec (id bigserial PRIMARY KEY, repo_id bigint, schedule_id bigint, next bigint, prev bigint, spec varchar(255), created bigint, updated bigint);
CREATE TABLE action_task (id bigserial PRIMARY KEY, job_id bigint, attempt bigint, runner_id bigint, status integer, started bigint, stopped bigint, repo_id bigint, owner_id bigint, commit_sha varchar(255), token_hash varchar(255) UNIQUE, token_salt varchar(255), log_filename varchar(255), log_in_storage boolean, log_length bigint, log_size bigint, log_indexes bytea, log_expired boolean, created bigint, updated bigint);
CREATE TABLE action_task_output (id bigserial PRIMARY KEY, task_id bigint, output_key varchar(255), output_value text, UNIQUE (task_id, output_key));
CREATE TABLE action_task_step (id bigserial PRIMARY KEY, name varchar(255), task_id bigint, index bigint, repo_id bigint, status integer, log_index bigint, log_length bigint, started bigint, stopped bigint, created bigint, updated bigint, UNIQUE (task_id, index));
CREATE TABLE action_tasks_version (id bigserial PRIMARY KEY, owner_id bigint, repo_id bigint, version bigint, created_unix bigint, updated_unix bigint, UNIQUE (owner_id, repo_id));
CREATE TABLE action_user (id bigserial PRIMARY KEY, user_id bigint, repo_id bigint, trusted_with_pull_requests boolean, last_access bigint);
CREATE TABLE action_variable (id bigserial PRIMARY KEY, owner_id bigint, repo_id bigint, name varchar(255) NOT NULL, data text NOT NULL, created_unix bigint NOT NULL, updated_unix bigint, UNIQUE (owner_id, repo_id, name));
CREATE TABLE dbfs_data (id bigserial PRIMARY KEY, revision bigint NOT NULL, meta_id bigint NOT NULL, blob_offset bigint NOT NULL, blob_size bigint NOT NULL, blob_data bytea NOT NULL);
CREATE TABLE dbfs_meta (id bigserial PRIMARY KEY, full_path varchar(500) NOT NULL UNIQUE, block_size bigint NOT NULL, file_size bigint NOT NULL, create_timestamp bigint NOT NULL, modify_timestamp bigint NOT NULL);
