-- A family's cloud: 5 people, 16 000 files, their shares, calendars and contacts.

INSERT INTO oc_users SELECT name, initcap(name) || E' \\ "' || name || '"', '3|$argon2id$' || pg_temp.hex(i, 1), lower(name) FROM unnest(ARRAY['anna', 'Bob', 'chloé', 'dörte', 'o''brien']) WITH ORDINALITY AS people (name, i);
INSERT INTO oc_accounts SELECT uid, jsonb_build_object('displayname', jsonb_build_object('value', displayname, 'scope', 'v2-federated'))::text FROM oc_users ORDER BY uid;
INSERT INTO oc_accounts_data (uid, name, value) SELECT uid, name, uid || '@home.example' FROM oc_users, unnest(ARRAY['displayname', 'email', 'phone', 'website']) AS name ORDER BY uid, name;
INSERT INTO oc_groups VALUES ('admin', 'admin'), ('family', 'Family'), ('kids', 'Kinder & "Gäste"');
INSERT INTO oc_group_user SELECT 'family', uid FROM oc_users ORDER BY uid;
INSERT INTO oc_group_user VALUES ('admin', 'anna'), ('kids', 'chloé');
INSERT INTO oc_preferences (userid, appid, configkey, configvalue) SELECT uid, (ARRAY['core', 'files', 'login', 'theming'])[1 + i % 4], 'key' || i, pg_temp.title(i, 2) FROM oc_users, generate_series(1, 60) AS i ORDER BY uid, i;
INSERT INTO oc_appconfig (appid, configkey, configvalue) SELECT (ARRAY['core', 'files', 'dav', 'photos', 'text'])[1 + i % 5], 'key' || i, pg_temp.prose(i, 5) FROM generate_series(1, 250) AS i;
INSERT INTO oc_migrations SELECT (ARRAY['core', 'dav', 'files', 'photos'])[1 + i % 4], i::text || '000Date2025' || lpad(i::text, 4, '0') FROM generate_series(13, 200) AS i;
INSERT INTO oc_mimetypes (mimetype) VALUES ('httpd'), ('httpd/unix-directory'), ('image'), ('image/jpeg'), ('text'), ('text/markdown'), ('application'), ('application/pdf');
INSERT INTO oc_storages (id) SELECT 'home::' || uid FROM oc_users ORDER BY uid;
INSERT INTO oc_mounts (storage_id, root_id, user_id, mount_point, mount_provider_class) SELECT numeric_id, numeric_id, substr(id, 7), '/' || substr(id, 7) || '/', 'OC\Files\Mount\LocalHomeMountProvider' FROM oc_storages ORDER BY numeric_id;
INSERT INTO oc_filecache (storage, path, path_hash, parent, name, mimetype, mimepart, size, mtime, storage_mtime, etag, permissions, checksum)
SELECT 1 + i % 5, path, md5(path), CASE WHEN i < 6 THEN -1 ELSE 1 + pg_temp.pick(i, 20, i) END, name, 1 + pg_temp.pick(i, 21, 8), 3, pg_temp.pick(i, 22, 20000000), pg_temp.epoch(6 * i, 23), pg_temp.epoch(6 * i, 23), left(pg_temp.hex(i, 24), 13), 27, CASE WHEN i % 4 = 0 THEN 'SHA1:' || left(pg_temp.sha256hex(i, 25), 40) ELSE '' END
FROM (
    SELECT i, name, (ARRAY['files/Photos/', 'files/Documents/', 'files_versions/', 'appdata_oc1234/preview/'])[1 + pg_temp.pick(i, 26, 4)] || name AS path
    FROM (SELECT i, pg_temp.word(i, 27) || ' ' || i || '.jpg' AS name FROM generate_series(1, 16000) AS i) AS named
) AS files;
INSERT INTO oc_filecache_extended (fileid, creation_time, upload_time) SELECT fileid, 0, mtime FROM oc_filecache WHERE fileid % 2 = 0 ORDER BY fileid;
INSERT INTO oc_files_metadata (file_id, json, sync_token, last_update) SELECT i, '{"photos-size":{"value":{"width":4032,"height":3024}},"blurhash":"' || pg_temp.hex(i, 28) || '"}', left(pg_temp.hex(i, 29), 7), '2025-01-01'::timestamp + i * interval '1 hour' FROM generate_series(1, 2000) AS i;
INSERT INTO oc_files_trash (id, "user", "timestamp", location, deleted_by) SELECT pg_temp.word(i, 30), 'anna', pg_temp.epoch(i, 31)::text, '.', 'anna' FROM generate_series(1, 200) AS i;
INSERT INTO oc_files_versions (file_id, "timestamp", size, mimetype, metadata) SELECT pg_temp.pick(i, 32, 16000), pg_temp.epoch(i, 33), pg_temp.pick(i, 34, 100000), 6, json_build_object('author', 'anna', 'n', i) FROM generate_series(1, 800) AS i;
INSERT INTO oc_share (share_type, share_with, password, uid_owner, uid_initiator, item_type, item_source, item_target, file_source, file_target, permissions, stime, token, note, attributes)
SELECT CASE WHEN i % 3 = 0 THEN 3 ELSE 0 END, CASE WHEN i % 3 > 0 THEN 'Bob' END, CASE WHEN i % 9 = 0 THEN '3|$argon2id$' || pg_temp.hex(i, 35) END, 'anna', 'anna', 'file', i::text, '/' || i, i, '/' || pg_temp.word(i, 36), 19, pg_temp.epoch(i, 37), CASE WHEN i % 3 = 0 THEN left(pg_temp.hex(i, 38), 15) END, pg_temp.title(i, 39), '[{"scope":"permissions","key":"download","value":true}]' FROM generate_series(1, 400) AS i;
INSERT INTO oc_activity ("timestamp", priority, type, "user", affecteduser, app, subject, subjectparams, file, object_type, object_id) SELECT pg_temp.epoch(10 * i, 42), 30, 'file_changed', 'anna', (ARRAY['anna', 'Bob', 'chloé'])[1 + i % 3], 'files', 'changed_self', '[{"' || i || '":"' || replace(pg_temp.hex(i, 43), 'a', '\/') || '"}]', '/' || pg_temp.word(i, 44), 'files', pg_temp.pick(i, 45, 16000) FROM generate_series(1, 8000) AS i;
INSERT INTO oc_addressbooks (principaluri, displayname, uri) SELECT 'principals/users/' || uid, 'Contacts', 'contacts' FROM oc_users ORDER BY uid;
INSERT INTO oc_cards (addressbookid, carddata, uri, lastmodified, etag, size, uid) SELECT 1 + i % 5, card, i || '.vcf', pg_temp.epoch(i, 46), pg_temp.hex(i, 47), length(card), pg_temp.id(i, 48) FROM (SELECT i, convert_to(E'BEGIN:VCARD\r\nVERSION:3.0\r\nFN:' || pg_temp.title(i, 49) || E'\r\nEND:VCARD\r\n', 'UTF8') AS card FROM generate_series(1, 600) AS i) AS cards;
INSERT INTO oc_cards_properties (addressbookid, cardid, name, value) SELECT addressbookid, id, 'UID', uid FROM oc_cards ORDER BY id;
INSERT INTO oc_calendars (principaluri, displayname, uri, components, calendarcolor) SELECT 'principals/users/' || uid, 'Persönlich', 'personal', 'VEVENT,VTODO', '#0082c9' FROM oc_users ORDER BY uid;
INSERT INTO oc_calendarobjects (calendardata, uri, calendarid, lastmodified, etag, size, componenttype, firstoccurence, lastoccurence, uid) SELECT event, i || '.ics', 1 + i % 5, pg_temp.epoch(i, 52), pg_temp.hex(i, 53), length(event), 'VEVENT', pg_temp.epoch(20 * i, 54), pg_temp.epoch(20 * i + 9, 54), pg_temp.id(i, 55) FROM (SELECT i, convert_to(E'BEGIN:VEVENT\r\nSUMMARY:' || pg_temp.prose(i, 56) || E'\r\nEND:VEVENT\r\n', 'UTF8') || decode('00ff5c0a', 'hex') AS event FROM generate_series(1, 1500) AS i) AS events;
INSERT INTO oc_calendarchanges (uri, synctoken, calendarid, operation, created_at) SELECT i || '.ics', i, 1 + i % 5, 1, pg_temp.epoch(i, 68) FROM generate_series(1, 1500) AS i;
INSERT INTO oc_authtoken (uid, login_name, name, token, last_activity, version) SELECT (ARRAY['anna', 'Bob'])[1 + i % 2], 'anna', 'Mozilla/5.0 (' || pg_temp.word(i, 69) || ')', repeat(pg_temp.hex(i, 70), 4), pg_temp.epoch(i, 71), 2 FROM generate_series(1, 60) AS i;
INSERT INTO oc_jobs (class, argument, last_run, argument_hash) SELECT 'OCA\Files\BackgroundJob\Job' || i, 'null', pg_temp.epoch(i, 72), pg_temp.hex(i, 73) FROM generate_series(1, 80) AS i;
INSERT INTO oc_comments (actor_type, actor_id, message, verb, creation_timestamp, object_type, object_id) SELECT 'users', 'anna', pg_temp.prose(i, 74), 'comment', '2025-01-01'::timestamp + i * interval '1 hour', 'files', i::text FROM generate_series(1, 300) AS i;
INSERT INTO oc_systemtag (name) SELECT pg_temp.word(i, 87) || i FROM generate_series(1, 20) AS i;
INSERT INTO oc_systemtag_object_mapping SELECT pg_temp.pick(i, 88, 16000) || '/' || i, 'files', 1 + i % 20 FROM generate_series(1, 600) AS i;
INSERT INTO oc_properties (userid, propertypath, propertyname, propertyvalue) SELECT 'anna', 'calendars/anna/' || i, '{http://owncloud.org/ns}enabled', i::text FROM generate_series(1, 100) AS i;
INSERT INTO oc_notifications (app, "user", "timestamp", object_type, object_id, subject, subject_parameters) SELECT 'updatenotification', 'anna', pg_temp.epoch(i, 89), 'core', '31.0.' || i, 'update', '{"v":"' || i || '"}' FROM generate_series(1, 50) AS i;
INSERT INTO oc_twofactor_providers SELECT 'backup_codes', uid, 1 FROM oc_users ORDER BY uid;
INSERT INTO oc_text_documents (id, last_saved_version_time) SELECT i, pg_temp.epoch(i, 90) FROM generate_series(1, 100) AS i;
INSERT INTO oc_text_steps (document_id, session_id, data, version, "timestamp") SELECT 1 + i % 100, 1, '{"steps":["' || replace(pg_temp.sha256hex(i, 91), '0', '\u0041') || '"]}', i, pg_temp.epoch(i, 92) FROM generate_series(1, 1000) AS i;
SELECT setval('oc_filecache_fileid_seq', 987654321), setval('oc_share_id_seq', 401, false);
