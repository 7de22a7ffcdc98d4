-- Forgejo's tables by their real names: people, organisations, logins, settings. Times are epochs, as Forgejo keeps them.

CREATE TABLE "user" (
    id bigserial PRIMARY KEY, lower_name varchar(255) NOT NULL UNIQUE, name varchar(255) NOT NULL UNIQUE, full_name varchar(255),
    email varchar(255) NOT NULL, keep_email_private boolean, passwd varchar(255) NOT NULL, passwd_hash_algo varchar(255) NOT NULL DEFAULT 'argon2',
    must_change_password boolean NOT NULL DEFAULT false, login_type integer, login_source bigint NOT NULL DEFAULT 0, login_name varchar(255),
    type integer, location varchar(255), website varchar(255), rands varchar(32), salt varchar(32), language varchar(5), description varchar(255),
    created_unix bigint, updated_unix bigint, last_login_unix bigint, last_repo_visibility boolean, max_repo_creation integer NOT NULL DEFAULT -1,
    is_active boolean, is_admin boolean, is_restricted boolean NOT NULL DEFAULT false, prohibit_login boolean NOT NULL DEFAULT false,
    avatar varchar(2048) NOT NULL, avatar_email varchar(255) NOT NULL, num_followers integer, num_following integer NOT NULL DEFAULT 0,
    num_stars integer, num_repos integer, num_teams integer, num_members integer, visibility integer NOT NULL DEFAULT 0,
    diff_view_style varchar(255) NOT NULL DEFAULT '', theme varchar(255) NOT NULL DEFAULT '', pronouns varchar(255) NOT NULL DEFAULT ''
);
CREATE INDEX "IDX_user_created_unix" ON "user" (created_unix);
CREATE INDEX "IDX_user_last_login_unix" ON "user" (last_login_unix);
COMMENT ON TABLE "user" IS 'A reserved word: without quotes, SELECT count(*) FROM user counts something else';

CREATE TABLE access_token (id bigserial PRIMARY KEY, uid bigint, name varchar(255), token_hash varchar(255) UNIQUE, token_salt varchar(255), token_last_eight varchar(255), scope varchar(255), created_unix bigint, updated_unix bigint);
CREATE TABLE app_state (id varchar(200) PRIMARY KEY, revision bigint, content text);
CREATE TABLE badge (id bigserial PRIMARY KEY, slug varchar(255) UNIQUE, description varchar(255), image_url varchar(255));
CREATE TABLE email_address (id bigserial PRIMARY KEY, uid bigint NOT NULL, email varchar(255) NOT NULL UNIQUE, lower_email varchar(255) NOT NULL UNIQUE, is_activated boolean, is_primary boolean NOT NULL DEFAULT false);
CREATE TABLE email_hash (hash varchar(32) PRIMARY KEY, email varchar(255) UNIQUE);
CREATE TABLE external_login_user (external_id varchar(255), user_id bigint NOT NULL, login_source_id bigint, raw_data json, provider varchar(25), email varchar(255), name varchar(255), PRIMARY KEY (external_id, login_source_id));
CREATE TABLE federated_user (id bigserial PRIMARY KEY, user_id bigint NOT NULL, external_id varchar(255) NOT NULL, federation_host_id bigint NOT NULL, normalized_original_url text, UNIQUE (external_id, federation_host_id));
CREATE TABLE federation_host (id bigserial PRIMARY KEY, host_fqdn varchar(255) NOT NULL UNIQUE, software_name varchar(255), latest_activity timestamp NOT NULL, created timestamp, updated timestamp);
CREATE TABLE follow (id bigserial PRIMARY KEY, user_id bigint, follow_id bigint, created_unix bigint, UNIQUE (user_id, follow_id));
CREATE TABLE forgejo_auth_token (id bigserial PRIMARY KEY, uid bigint, lookup_key varchar(255) UNIQUE, hashed_validator varchar(255), purpose varchar(255) NOT NULL DEFAULT 'long_term_authorization', expiry bigint);
CREATE TABLE forgejo_blocked_user (id bigserial PRIMARY KEY, block_id bigint, user_id bigint, created_unix bigint);
CREATE TABLE forgejo_migration (id varchar(255) PRIMARY KEY, created_unix bigint);
CREATE TABLE forgejo_sem_ver (version varchar(255));
CREATE TABLE forgejo_version (id bigserial PRIMARY KEY, version bigint);
CREATE TABLE gpg_key (id bigserial PRIMARY KEY, owner_id bigint NOT NULL, key_id char(16) NOT NULL, primary_key_id char(16), content text NOT NULL, created_unix bigint, expired_unix bigint, added_unix bigint, emails text, verified boolean NOT NULL DEFAULT false, can_sign boolean);
CREATE TABLE gpg_key_import (key_id char(16) PRIMARY KEY, content text NOT NULL);
CREATE TABLE login_source (id bigserial PRIMARY KEY, type integer, name varchar(255) UNIQUE, is_active boolean NOT NULL DEFAULT false, is_sync_enabled boolean NOT NULL DEFAULT false, cfg text, created_unix bigint, updated_unix bigint);
CREATE TABLE notice (id bigserial PRIMARY KEY, type integer, description text, created_unix bigint);
CREATE TABLE oauth2_application (id bigserial PRIMARY KEY, uid bigint, name varchar(255), client_id varchar(255) UNIQUE, client_secret varchar(255), confidential_client boolean NOT NULL DEFAULT true, redirect_uris text, created_unix bigint, updated_unix bigint);
CREATE TABLE oauth2_authorization_code (id bigserial PRIMARY KEY, grant_id bigint, code varchar(255) UNIQUE, code_challenge varchar(255), code_challenge_method varchar(255), redirect_uri varchar(255), valid_until bigint);
CREATE TABLE oauth2_grant (id bigserial PRIMARY KEY, user_id bigint, application_id bigint, counter bigint NOT NULL DEFAULT 1, scope text, nonce text, created_unix bigint, updated_unix bigint, UNIQUE (user_id, application_id));
CREATE TABLE org_user (id bigserial PRIMARY KEY, uid bigint, org_id bigint, is_public boolean, UNIQUE (uid, org_id));
CREATE TABLE public_key (id bigserial PRIMARY KEY, owner_id bigint NOT NULL, name varchar(255) NOT NULL, fingerprint varchar(255) NOT NULL, content text NOT NULL, mode integer NOT NULL DEFAULT 2, type integer NOT NULL DEFAULT 1, login_source_id bigint NOT NULL DEFAULT 0, created_unix bigint, updated_unix bigint, verified boolean NOT NULL DEFAULT false);
CREATE TABLE quota_group (name varchar(255) PRIMARY KEY);
CREATE TABLE quota_group_mapping (id bigserial PRIMARY KEY, kind integer NOT NULL, mapped_id bigint NOT NULL, group_name varchar(255) NOT NULL);
CREATE TABLE quota_group_rule_mapping (id bigserial PRIMARY KEY, group_name varchar(255) NOT NULL, rule_name varchar(255) NOT NULL);
CREATE TABLE quota_rule (name varchar(255) PRIMARY KEY, "limit" bigint NOT NULL, subjects text);
CREATE TABLE abuse_report (id bigserial PRIMARY KEY, status integer NOT NULL DEFAULT 1, reporter_id bigint NOT NULL, content_type integer NOT NULL, content_id bigint NOT NULL, category integer NOT NULL, remarks text NOT NULL, shadow_copy_id bigint, created_unix bigint NOT NULL);
CREATE TABLE abuse_report_shadow_copy (id bigserial PRIMARY KEY, raw_value text NOT NULL, created_unix bigint NOT NULL);
CREATE TABLE secret (id bigserial PRIMARY KEY, owner_id bigint NOT NULL, repo_id bigint NOT NULL DEFAULT 0, name varchar(255) NOT NULL, data bytea, created_unix bigint NOT NULL, UNIQUE (owner_id, repo_id, name));
CREATE TABLE session (key char(16) PRIMARY KEY, data bytea, expiry bigint);
CREATE TABLE system_setting (id bigserial PRIMARY KEY, setting_key varchar(255) UNIQUE, setting_value text, version integer, created bigint, updated bigint);
CREATE TABLE task (id bigserial PRIMARY KEY, doer_id bigint, owner_id bigint, repo_id bigint, type integer, status integer, start_time bigint, end_time bigint, payload_content text, message text, created bigint);
CREATE TABLE team (id bigserial PRIMARY KEY, org_id bigint, lower_name varchar(255), name varchar(255), description varchar(255), authorize integer, num_repos integer, num_members integer, includes_all_repositories boolean NOT NULL DEFAULT false, can_create_org_repo boolean NOT NULL DEFAULT false);
CREATE TABLE team_invite (id bigserial PRIMARY KEY, token varchar(255) NOT NULL DEFAULT '', inviter_id bigint NOT NULL DEFAULT 0, org_id bigint NOT NULL DEFAULT 0, team_id bigint NOT NULL DEFAULT 0, email varchar(255) NOT NULL DEFAULT '', created_unix bigint, updated_unix bigint);
CREATE TABLE team_repo (id bigserial PRIMARY KEY, org_id bigint, team_id bigint, repo_id bigint, UNIQUE (team_id, repo_id));
CREATE TABLE team_unit (id bigserial PRIMARY KEY, org_id bigint, team_id bigint, type integer, access_mode integer, UNIQUE (team_id, type));
CREATE TABLE team_user (id bigserial PRIMARY KEY, org_id bigint, team_id bigint, uid bigint, UNIQUE (team_id, uid));
CREATE TABLE two_factor (id bigserial PRIMARY KEY, uid bigint UNIQUE, secret bytea, scratch_salt varchar(255), scratch_hash varchar(255), last_used_passcode varchar(10), created_unix bigint, updated_unix bigint);
CREATE TABLE user_badge (id bigserial PRIMARY KEY, badge_id bigint, user_id bigint);
CREATE TABLE user_open_id (id bigserial PRIMARY KEY, uid bigint NOT NULL, uri varchar(255) NOT NULL UNIQUE, show boolean DEFAULT false);
CREATE TABLE user_redirect (id bigserial PRIMARY KEY, lower_name varchar(255) NOT NULL UNIQUE, redirect_user_id bigint, created_unix bigint NOT NULL DEFAULT 0);
CREATE TABLE user_setting (id bigserial PRIMARY KEY, user_id bigint, setting_key varchar(255), setting_value text, UNIQUE (setting_key, user_id));
CREATE TABLE version (id bigserial PRIMARY KEY, version bigint);
CREATE TABLE webauthn_credential (id bigserial PRIMARY KEY, name varchar(255), lower_name varchar(255), user_id bigint, credential_id bytea, public_key bytea, attestation_type varchar(255), aaguid bytea, sign_count bigint, clone_warning boolean, legacy boolean NOT NULL DEFAULT true, created_unix bigint, updated_unix bigint, UNIQUE (lower_name, user_id));

INSERT INTO "user" (lower_name, name, full_name, email, passwd, type, rands, salt, language, created_unix, updated_unix, last_login_unix, is_active, is_admin, avatar, avatar_email, num_repos)
VALUES
    ('anna', 'anna', 'Anna Größer', 'anna@home.example', pg_temp.hex(1, 1), 0, pg_temp.hex(1, 2), pg_temp.hex(1, 3), 'de-DE', 1704067200, 1760000000, 1760000100, true, true, '', 'anna@home.example', 20),
    ('bob', 'Bob', 'Bob O''Brien', 'bob@home.example', pg_temp.hex(2, 1), 0, pg_temp.hex(2, 2), pg_temp.hex(2, 3), 'en-US', 1704153600, 1760000200, 1760000300, true, false, '', 'bob@home.example', 12),
    ('chloé', 'Chloé', E'Chloé\t"Cleo" \\ Martin', 'chloe@home.example', pg_temp.hex(3, 1), 0, pg_temp.hex(3, 2), pg_temp.hex(3, 3), 'fr-FR', 1704240000, 1760000400, 1760000500, true, false, '', 'chloe@home.example', 6),
    ('family', 'family', 'The family', '', '', 1, pg_temp.hex(4, 2), '', '', 1704326400, 1760000600, 0, true, false, '', '', 2);
INSERT INTO access_token (uid, name, token_hash, token_salt, token_last_eight, scope, created_unix, updated_unix)
SELECT 1 + i % 3, 'token ' || i, pg_temp.sha256hex(i, 10), left(pg_temp.hex(i, 11), 10), right(pg_temp.hex(i, 12), 8), 'write:repository', pg_temp.epoch(i, 13), pg_temp.epoch(i, 14) FROM generate_series(1, 12) AS i;
INSERT INTO email_address (uid, email, lower_email, is_activated, is_primary) SELECT id, email, lower(email), true, true FROM "user" WHERE type = 0 ORDER BY id;
INSERT INTO follow (user_id, follow_id, created_unix) VALUES (1, 2, 1704400000), (2, 1, 1704400100), (3, 1, 1704400200);
INSERT INTO forgejo_migration SELECT 'v14a_' || pg_temp.hex(i, 15), pg_temp.epoch(i, 16) FROM generate_series(1, 30) AS i;
INSERT INTO forgejo_sem_ver VALUES ('15.0.2+gitea-1.22.0');
INSERT INTO forgejo_version (version) VALUES (44);
INSERT INTO version (version) VALUES (305);
INSERT INTO notice (type, description, created_unix) SELECT 1 + i % 2, pg_temp.prose(i, 20), pg_temp.epoch(i, 33) FROM generate_series(1, 400) AS i;
INSERT INTO org_user (uid, org_id, is_public) VALUES (1, 4, true), (2, 4, false), (3, 4, false);
INSERT INTO public_key (owner_id, name, fingerprint, content, created_unix, updated_unix) SELECT 1 + i % 3, 'laptop ' || i, 'SHA256:' || left(pg_temp.sha256hex(i, 34), 43), 'ssh-ed25519 AAAA' || pg_temp.sha256hex(i, 35), pg_temp.epoch(i, 36), pg_temp.epoch(i, 37) FROM generate_series(1, 9) AS i;
INSERT INTO secret (owner_id, repo_id, name, data, created_unix) SELECT 1, i, 'DEPLOY_KEY', decode(pg_temp.sha256hex(i, 38) || '005c27ff', 'hex'), pg_temp.epoch(i, 39) FROM generate_series(1, 20) AS i;
INSERT INTO session SELECT left(pg_temp.hex(i, 40), 16), decode(pg_temp.hex(i, 41), 'hex'), pg_temp.epoch(i, 42) FROM generate_series(1, 60) AS i;
INSERT INTO system_setting (setting_key, setting_value, version, created, updated) VALUES ('revision', '', 1, 1704067200, 1704067200), ('picture.disable_gravatar', 'true', 2, 1704067200, 1760000000);
INSERT INTO team (org_id, lower_name, name, description, authorize, num_repos, num_members, includes_all_repositories, can_create_org_repo) VALUES (4, 'owners', 'Owners', '', 4, 2, 1, true, true), (4, 'kids', 'Kids', 'May read', 1, 1, 2, false, false);
INSERT INTO team_user (org_id, team_id, uid) VALUES (4, 1, 1), (4, 2, 2), (4, 2, 3);
INSERT INTO team_unit (org_id, team_id, type, access_mode) SELECT 4, 1 + i / 10, 1 + i % 10, 4 - i / 10 * 3 FROM generate_series(0, 19) AS i;
INSERT INTO two_factor (uid, secret, scratch_salt, scratch_hash, created_unix) VALUES (1, decode(pg_temp.hex(1, 43), 'hex'), 'salt', pg_temp.hex(1, 44), 1704500000);
INSERT INTO user_setting (user_id, setting_key, setting_value) SELECT 1 + i % 3, 'setting.' || i, pg_temp.title(i, 45) FROM generate_series(1, 30) AS i;
