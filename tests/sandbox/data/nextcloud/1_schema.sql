-- Nextcloud's tables by their real names (prefix oc_): serials as Doctrine makes them, bytea for calendars, times as epochs.

CREATE TABLE oc_users (uid varchar(64) DEFAULT '' PRIMARY KEY, displayname varchar(64), password varchar(255) NOT NULL DEFAULT '', uid_lower varchar(64) DEFAULT '');
CREATE INDEX user_uid_lower ON oc_users (uid_lower);
CREATE TABLE oc_accounts (uid varchar(64) DEFAULT '' PRIMARY KEY, data text NOT NULL DEFAULT '');
CREATE TABLE oc_accounts_data (id bigserial PRIMARY KEY, uid varchar(64) NOT NULL, name varchar(64) NOT NULL, value varchar(255) DEFAULT '');
CREATE TABLE oc_groups (gid varchar(64) DEFAULT '' PRIMARY KEY, displayname varchar(255) NOT NULL DEFAULT 'name');
CREATE TABLE oc_group_user (gid varchar(64) DEFAULT '', uid varchar(64) DEFAULT '', PRIMARY KEY (gid, uid));
CREATE TABLE oc_group_admin (gid varchar(64) DEFAULT '', uid varchar(64) DEFAULT '', PRIMARY KEY (gid, uid));
CREATE TABLE oc_preferences (userid varchar(64) DEFAULT '', appid varchar(32) DEFAULT '', configkey varchar(64) DEFAULT '', configvalue text, lazy smallint NOT NULL DEFAULT 0, type smallint NOT NULL DEFAULT 0, flags integer NOT NULL DEFAULT 0, indexed varchar(64) DEFAULT '', PRIMARY KEY (userid, appid, configkey));
CREATE TABLE oc_appconfig (appid varchar(32) DEFAULT '', configkey varchar(64) DEFAULT '', configvalue text, type integer NOT NULL DEFAULT 2, lazy smallint NOT NULL DEFAULT 0, PRIMARY KEY (appid, configkey));
CREATE TABLE oc_migrations (app varchar(255), version varchar(255), PRIMARY KEY (app, version));
CREATE TABLE oc_storages (numeric_id bigserial PRIMARY KEY, id varchar(64) UNIQUE, available integer NOT NULL DEFAULT 1, last_checked integer);
CREATE TABLE oc_mounts (id bigserial PRIMARY KEY, storage_id bigint NOT NULL, root_id bigint NOT NULL, user_id varchar(64) NOT NULL, mount_point varchar(4000) NOT NULL, mount_id bigint, mount_provider_class varchar(128));
CREATE TABLE oc_mimetypes (id bigserial PRIMARY KEY, mimetype varchar(255) NOT NULL DEFAULT '' UNIQUE);
CREATE TABLE oc_filecache (
    fileid bigserial PRIMARY KEY, storage bigint NOT NULL DEFAULT 0, path varchar(4000), path_hash varchar(32) NOT NULL DEFAULT '', parent bigint NOT NULL DEFAULT 0, name varchar(250),
    mimetype bigint NOT NULL DEFAULT 0, mimepart bigint NOT NULL DEFAULT 0, size bigint NOT NULL DEFAULT 0, mtime bigint NOT NULL DEFAULT 0, storage_mtime bigint NOT NULL DEFAULT 0, encrypted integer NOT NULL DEFAULT 0,
    unencrypted_size bigint NOT NULL DEFAULT 0, etag varchar(40), permissions integer DEFAULT 0, checksum varchar(255)
);
CREATE UNIQUE INDEX fs_storage_path_hash ON oc_filecache (storage, path_hash);
CREATE INDEX fs_parent_name_hash ON oc_filecache (parent, name);
CREATE INDEX fs_storage_path_prefix ON oc_filecache (storage, path varchar_pattern_ops);
CREATE INDEX fs_size ON oc_filecache (size) WHERE size > 0;
CREATE TABLE oc_filecache_extended (fileid bigint PRIMARY KEY, metadata_etag varchar(40), creation_time bigint NOT NULL DEFAULT 0, upload_time bigint NOT NULL DEFAULT 0);
CREATE TABLE oc_files_metadata (id bigserial PRIMARY KEY, file_id bigint NOT NULL UNIQUE, json text NOT NULL, sync_token varchar(15) NOT NULL, last_update timestamp NOT NULL);
CREATE TABLE oc_files_trash (auto_id bigserial PRIMARY KEY, id varchar(250) NOT NULL DEFAULT '', "user" varchar(64) NOT NULL DEFAULT '', "timestamp" varchar(12) NOT NULL DEFAULT '', location varchar(512) NOT NULL DEFAULT '', type varchar(4), mime varchar(255), deleted_by varchar(64));
CREATE TABLE oc_files_versions (id bigserial PRIMARY KEY, file_id bigint NOT NULL, "timestamp" bigint NOT NULL, size bigint NOT NULL, mimetype bigint NOT NULL, metadata json NOT NULL);
CREATE TABLE oc_file_locks (id bigserial PRIMARY KEY, lock integer NOT NULL DEFAULT 0, key varchar(64) NOT NULL UNIQUE, ttl integer NOT NULL DEFAULT -1);
CREATE TABLE oc_share (
    id bigserial PRIMARY KEY, share_type smallint NOT NULL DEFAULT 0, share_with varchar(255), password varchar(255), uid_owner varchar(64) NOT NULL DEFAULT '', uid_initiator varchar(64), parent bigint,
    item_type varchar(64) NOT NULL DEFAULT '', item_source varchar(255), item_target varchar(255), file_source bigint, file_target varchar(512), permissions smallint NOT NULL DEFAULT 0, stime bigint NOT NULL DEFAULT 0,
    accepted smallint NOT NULL DEFAULT 0, expiration timestamp, token varchar(32), mail_send smallint NOT NULL DEFAULT 0, share_name varchar(64), note text, hide_download smallint DEFAULT 0, label varchar(255), attributes json
);
CREATE INDEX token_index ON oc_share (token);
CREATE TABLE oc_share_external (id bigserial PRIMARY KEY, parent bigint DEFAULT -1, share_type integer, remote varchar(512) NOT NULL, share_token varchar(64) NOT NULL, name varchar(4000) NOT NULL, owner varchar(64) NOT NULL, "user" varchar(64) NOT NULL, mountpoint varchar(4000) NOT NULL, accepted integer NOT NULL DEFAULT 0);
CREATE TABLE oc_activity (activity_id bigserial PRIMARY KEY, "timestamp" integer NOT NULL DEFAULT 0, priority integer NOT NULL DEFAULT 0, type varchar(255), "user" varchar(64), affecteduser varchar(64) NOT NULL, app varchar(32) NOT NULL, subject varchar(255) NOT NULL, subjectparams text NOT NULL, message varchar(255), messageparams text, file varchar(4000), link varchar(4000), object_type varchar(255), object_id bigint NOT NULL DEFAULT 0);
CREATE INDEX activity_user_time ON oc_activity (affecteduser, "timestamp");
CREATE TABLE oc_activity_mq (mail_id bigserial PRIMARY KEY, amq_timestamp integer NOT NULL DEFAULT 0, amq_latest_send integer NOT NULL DEFAULT 0, amq_type varchar(255) NOT NULL, amq_affecteduser varchar(64) NOT NULL);
CREATE TABLE oc_addressbooks (id bigserial PRIMARY KEY, principaluri varchar(255), displayname varchar(255), uri varchar(255), description varchar(255), synctoken integer NOT NULL DEFAULT 1, UNIQUE (principaluri, uri));
CREATE TABLE oc_addressbookchanges (id bigserial PRIMARY KEY, uri varchar(255), synctoken integer NOT NULL DEFAULT 1, addressbookid bigint NOT NULL, operation smallint NOT NULL, created_at integer NOT NULL DEFAULT 0);
CREATE TABLE oc_cards (id bigserial PRIMARY KEY, addressbookid bigint NOT NULL DEFAULT 0, carddata bytea, uri varchar(255), lastmodified bigint, etag varchar(32), size bigint NOT NULL, uid varchar(255));
CREATE TABLE oc_cards_properties (id bigserial PRIMARY KEY, addressbookid bigint NOT NULL DEFAULT 0, cardid bigint NOT NULL DEFAULT 0, name varchar(64), value varchar(255), preferred integer NOT NULL DEFAULT 1);
CREATE TABLE oc_calendars (id bigserial PRIMARY KEY, principaluri varchar(255), displayname varchar(255), uri varchar(255), synctoken integer NOT NULL DEFAULT 1, description varchar(255), calendarorder integer NOT NULL DEFAULT 0, calendarcolor varchar(255), timezone text, components varchar(64), transparent smallint NOT NULL DEFAULT 0, deleted_at integer, UNIQUE (principaluri, uri));
CREATE TABLE oc_calendarobjects (id bigserial PRIMARY KEY, calendardata bytea, uri varchar(255), calendarid bigint NOT NULL, lastmodified integer, etag varchar(32), size bigint NOT NULL, componenttype varchar(8), firstoccurence bigint, lastoccurence bigint, uid varchar(255), classification integer DEFAULT 0, calendartype integer NOT NULL DEFAULT 0, deleted_at integer, UNIQUE (calendarid, calendartype, uri));
CREATE TABLE oc_calendarchanges (id bigserial PRIMARY KEY, uri varchar(255), synctoken integer NOT NULL DEFAULT 1, calendarid bigint NOT NULL, operation smallint NOT NULL, calendartype integer NOT NULL DEFAULT 0, created_at integer NOT NULL DEFAULT 0);
CREATE TABLE oc_calendarsubscriptions (id bigserial PRIMARY KEY, uri varchar(255), principaluri varchar(255), displayname varchar(100), refreshrate varchar(10), source text, lastmodified integer);
CREATE TABLE oc_calendar_reminders (id bigserial PRIMARY KEY, calendar_id bigint NOT NULL, object_id bigint NOT NULL, uid varchar(255) NOT NULL, notification_date bigint NOT NULL);
CREATE TABLE oc_schedulingobjects (id bigserial PRIMARY KEY, principaluri varchar(255), calendardata bytea, uri varchar(255), lastmodified integer, etag varchar(32), size bigint NOT NULL);
CREATE TABLE oc_properties (id bigserial PRIMARY KEY, userid varchar(64) NOT NULL DEFAULT '', propertypath varchar(255) NOT NULL DEFAULT '', propertyname varchar(255) NOT NULL DEFAULT '', propertyvalue text NOT NULL, valuetype smallint DEFAULT 1);
CREATE TABLE oc_authtoken (id bigserial PRIMARY KEY, uid varchar(64) NOT NULL DEFAULT '', login_name varchar(255) NOT NULL DEFAULT '', password text, name text NOT NULL DEFAULT '', token varchar(200) NOT NULL DEFAULT '' UNIQUE, type smallint DEFAULT 0, remember smallint DEFAULT 0, last_activity integer DEFAULT 0, last_check integer DEFAULT 0, scope text, expires integer, private_key text, public_key text, version smallint NOT NULL DEFAULT 1, password_invalid boolean DEFAULT false);
CREATE TABLE oc_jobs (id bigserial PRIMARY KEY, class varchar(255) NOT NULL DEFAULT '', argument varchar(4000) NOT NULL DEFAULT '', last_run integer DEFAULT 0, last_checked integer DEFAULT 0, reserved_at integer DEFAULT 0, execution_duration integer DEFAULT 0, argument_hash varchar(64), time_sensitive smallint NOT NULL DEFAULT 1);
CREATE TABLE oc_bruteforce_attempts (id bigserial PRIMARY KEY, action varchar(64) NOT NULL DEFAULT '', occurred integer NOT NULL DEFAULT 0, ip varchar(255) NOT NULL DEFAULT '', subnet varchar(255) NOT NULL DEFAULT '', metadata varchar(255) NOT NULL DEFAULT '');
CREATE TABLE oc_comments (id bigserial PRIMARY KEY, parent_id bigint NOT NULL DEFAULT 0, topmost_parent_id bigint NOT NULL DEFAULT 0, children_count integer NOT NULL DEFAULT 0, actor_type varchar(64) NOT NULL DEFAULT '', actor_id varchar(64) NOT NULL DEFAULT '', message text, verb varchar(64), creation_timestamp timestamp, object_type varchar(64) NOT NULL DEFAULT '', object_id varchar(64) NOT NULL DEFAULT '', reactions varchar(4000), meta_data text);
CREATE TABLE oc_comments_read_markers (user_id varchar(64) DEFAULT '', object_type varchar(64) DEFAULT '', object_id varchar(64) DEFAULT '', marker_datetime timestamp, PRIMARY KEY (user_id, object_type, object_id));
CREATE TABLE oc_systemtag (id bigserial PRIMARY KEY, name varchar(64) NOT NULL DEFAULT '', visibility smallint NOT NULL DEFAULT 1, editable smallint NOT NULL DEFAULT 1, etag varchar(32), color varchar(6));
CREATE TABLE oc_systemtag_object_mapping (objectid varchar(64) DEFAULT '', objecttype varchar(64) DEFAULT '', systemtagid bigint DEFAULT 0, PRIMARY KEY (objecttype, objectid, systemtagid));
CREATE TABLE oc_vcategory (id bigserial PRIMARY KEY, uid varchar(64) NOT NULL DEFAULT '', type varchar(64) NOT NULL DEFAULT '', category varchar(255) NOT NULL DEFAULT '');
CREATE TABLE oc_vcategory_to_object (objid bigint DEFAULT 0, categoryid bigint DEFAULT 0, type varchar(64) DEFAULT '', PRIMARY KEY (categoryid, objid, type));
CREATE TABLE oc_notifications (notification_id bigserial PRIMARY KEY, app varchar(32) NOT NULL, "user" varchar(64) NOT NULL, "timestamp" integer NOT NULL DEFAULT 0, object_type varchar(64) NOT NULL, object_id varchar(64) NOT NULL, subject varchar(64) NOT NULL, subject_parameters text, message varchar(64), message_parameters text, link varchar(4000), icon varchar(4000), actions text);
CREATE TABLE oc_trusted_servers (id serial PRIMARY KEY, url varchar(512) NOT NULL, url_hash varchar(255) NOT NULL DEFAULT '', token varchar(128), shared_secret varchar(256), status integer NOT NULL DEFAULT 2, sync_token varchar(512));
CREATE TABLE oc_twofactor_providers (provider_id varchar(32), uid varchar(64), enabled smallint NOT NULL, PRIMARY KEY (provider_id, uid));
CREATE TABLE oc_twofactor_backupcodes (id bigserial PRIMARY KEY, user_id varchar(64) NOT NULL DEFAULT '', code varchar(128) NOT NULL, used smallint NOT NULL DEFAULT 0);
CREATE TABLE oc_webauthn (id serial PRIMARY KEY, uid varchar(64) NOT NULL, name varchar(64) NOT NULL, public_key_credential_id varchar(512) NOT NULL, data text NOT NULL);
CREATE TABLE oc_login_flow_v2 (id bigserial PRIMARY KEY, "timestamp" bigint NOT NULL, started smallint NOT NULL DEFAULT 0, poll_token varchar(255) NOT NULL UNIQUE, login_token varchar(255) NOT NULL, public_key text NOT NULL, private_key text NOT NULL);
CREATE TABLE oc_oauth2_clients (id serial PRIMARY KEY, name varchar(64) NOT NULL, redirect_uri varchar(2000) NOT NULL, client_identifier varchar(64) NOT NULL, secret varchar(512) NOT NULL);
CREATE TABLE oc_known_users (id bigserial PRIMARY KEY, known_to varchar(255) NOT NULL, known_user varchar(255) NOT NULL);
CREATE TABLE oc_text_documents (id bigint PRIMARY KEY, current_version bigint DEFAULT 0, last_saved_version bigint DEFAULT 0, last_saved_version_time bigint NOT NULL, last_saved_version_etag varchar(64) DEFAULT '', base_version_etag varchar(64) DEFAULT '', checksum varchar(8));
CREATE TABLE oc_text_steps (id bigserial PRIMARY KEY, document_id bigint NOT NULL, session_id bigint NOT NULL, data text NOT NULL, version bigint NOT NULL DEFAULT 0, "timestamp" bigint NOT NULL DEFAULT 0);
CREATE TABLE oc_directlink (id bigserial PRIMARY KEY, user_id varchar(64), file_id bigint NOT NULL, token varchar(60), expiration bigint NOT NULL);
CREATE TABLE oc_user_status (id serial PRIMARY KEY, user_id varchar(255) NOT NULL UNIQUE, status varchar(255) NOT NULL, status_timestamp integer NOT NULL, custom_icon varchar(255), custom_message text);
CREATE TABLE oc_recent_contact (id serial PRIMARY KEY, actor_uid varchar(64) NOT NULL, uid varchar(64), email varchar(255), card bytea NOT NULL, last_contact integer NOT NULL);
