-- A family's paper: 3 000 documents with their text, some with versions, some in the trash.

INSERT INTO django_content_type (app_label, model) SELECT 'documents', (ARRAY['document', 'tag', 'note', 'correspondent', 'documenttype', 'storagepath', 'savedview', 'customfield', 'workflow', 'sharelink'])[i] FROM generate_series(1, 10) AS i;
INSERT INTO auth_permission (name, content_type_id, codename) SELECT 'Can ' || verb || ' ' || model, id, verb || '_' || model FROM django_content_type, unnest(ARRAY['add', 'change', 'delete', 'view']) AS verb ORDER BY id, verb;
INSERT INTO django_migrations (app, name, applied) SELECT (ARRAY['documents', 'auth', 'paperless_mail', 'guardian'])[1 + i % 4], lpad(i::text, 4, '0') || '_' || pg_temp.hex(i, 1), pg_temp.moment(i, 2) FROM generate_series(1, 180) AS i;
INSERT INTO django_session SELECT pg_temp.hex(i, 3), '.eJx' || pg_temp.sha256hex(i, 4), pg_temp.moment(i, 5) FROM generate_series(1, 90) AS i;
INSERT INTO auth_user (password, is_superuser, username, first_name, last_name, email, is_staff, is_active, date_joined) SELECT 'pbkdf2_sha256$' || pg_temp.sha256hex(i, 6), i = 1, (ARRAY['anna', 'bob', 'chloé', 'AnonymousUser'])[i], (ARRAY['Anna', 'Bob', 'Chloé', ''])[i], (ARRAY['Größer', 'O''Brien', E'"Cleo"\\', ''])[i], '', i = 1, i < 4, pg_temp.moment(i, 7) FROM generate_series(1, 4) AS i;
INSERT INTO auth_group (name) VALUES ('family'), ('accountants "\ext"');
INSERT INTO auth_group_permissions (group_id, permission_id) SELECT 1, id FROM auth_permission ORDER BY id;
INSERT INTO auth_user_groups (user_id, group_id) SELECT i, 1 FROM generate_series(1, 3) AS i;
INSERT INTO authtoken_token SELECT pg_temp.hex(1, 8), pg_temp.moment(1, 9), 1;
INSERT INTO documents_correspondent (name, match, owner_id) SELECT pg_temp.title(i, 10) || ' ' || i, pg_temp.word(i, 13), 1 + i % 3 FROM generate_series(1, 120) AS i;
INSERT INTO documents_documenttype (name, owner_id) SELECT pg_temp.word(i, 14) || ' ' || i, 1 FROM generate_series(1, 20) AS i;
INSERT INTO documents_storagepath (name, path, owner_id) SELECT 'path ' || i, '{{ created_year }}/' || pg_temp.word(i, 15) || '/{{ title }}', 1 FROM generate_series(1, 5) AS i;
INSERT INTO documents_tag (name, color, is_inbox_tag, owner_id, tn_parent_id) SELECT pg_temp.word(i, 16) || ' ' || i, '#' || left(pg_temp.hex(i, 17), 6), i = 1, 1, CASE WHEN i > 20 THEN i - 20 END FROM generate_series(1, 60) AS i;
INSERT INTO documents_document (title, content, created, modified, added, correspondent_id, document_type_id, storage_path_id, checksum, archive_checksum, filename, original_filename, mime_type, archive_serial_number, page_count, owner_id, deleted_at, transaction_id, root_document_id, version_label)
SELECT pg_temp.title(i, 18), repeat(pg_temp.prose(i, 21), 1 + pg_temp.pick(i, 33, 4)), date '2010-01-01' + 2 * i::integer, pg_temp.moment(15 * i + 5, 34), pg_temp.moment(15 * i, 35), 1 + pg_temp.pick(i, 36, 120), 1 + pg_temp.pick(i, 37, 20), CASE WHEN i % 7 = 0 THEN 1 + i % 5 END, pg_temp.sha256hex(i, 38), pg_temp.sha256hex(i, 39), lpad(i::text, 7, '0') || '.pdf', 'Scän ' || i || '.pdf', 'application/pdf', CASE WHEN i % 3 = 0 THEN i END,
    1 + pg_temp.pick(i, 40, 30), 1 + i % 3, CASE WHEN i % 60 = 0 THEN pg_temp.moment(60000, 41) END, CASE WHEN i % 60 = 0 THEN pg_temp.id(i, 42) END, CASE WHEN i > 2900 THEN i - 2900 END, CASE WHEN i > 2900 THEN 'v2' END
FROM generate_series(1, 3000) AS i;
INSERT INTO documents_document_tags (document_id, tag_id) SELECT 1 + i / 3, 1 + (20 * (i % 3) + pg_temp.pick(i, 43, 20)) FROM generate_series(0, 8999) AS i;
INSERT INTO documents_note (note, created, document_id, user_id) SELECT pg_temp.prose(i, 44), pg_temp.moment(i, 56), 1 + pg_temp.pick(i, 57, 3000), 1 + i % 3 FROM generate_series(1, 500) AS i;
INSERT INTO documents_customfield (name, data_type, created, extra_data) VALUES ('amount', 'monetary', '2025-01-01 12:00:00.5+01', '{"default_currency": "EUR"}'), ('paid on', 'date', '2025-01-01 12:00:00+00', NULL), ('weight', 'float', '2025-01-01 12:00:00+00', 'null'), ('related', 'documentlink', '2025-01-01 12:00:00+00', '[]');
INSERT INTO documents_customfieldinstance (created, value_date, value_float, value_monetary, value_document_ids, document_id, field_id)
SELECT pg_temp.moment(i, 58), CASE WHEN i % 4 = 1 THEN date '2025-01-01' + i::integer % 300 END, CASE WHEN i % 4 = 2 THEN (ARRAY['NaN', 'Infinity', '-0', '0.1', '1e-300', '123456789.123456789'])[1 + i % 6]::float8 END, CASE WHEN i % 4 = 0 THEN (pg_temp.pick(i, 59, 100000) / 100.0)::numeric(9, 2)::text END, CASE WHEN i % 4 = 3 THEN jsonb_build_array(i, i + 1) END, 1 + i / 4, 1 + i % 4
FROM generate_series(0, 3999) AS i;
INSERT INTO documents_savedview (name, show_on_dashboard, show_in_sidebar, display_fields, owner_id) SELECT pg_temp.title(i, 60), true, i % 2 = 0, '["title", "created"]', 1 FROM generate_series(1, 8) AS i;
INSERT INTO documents_savedviewfilterrule (rule_type, value, saved_view_id) SELECT i, i::text, 1 + i % 8 FROM generate_series(1, 16) AS i;
INSERT INTO documents_sharelink (created, slug, file_version, document_id, owner_id) SELECT pg_temp.moment(i, 63), pg_temp.hex(i, 64), 'archive', i, 1 FROM generate_series(1, 30) AS i;
INSERT INTO documents_paperlesstask (task_id, acknowledged, task_file_name, task_name, status, date_created, date_done, result, type) SELECT pg_temp.id(i, 65), true, 'scan ' || i || '.pdf', 'consume_file', 'SUCCESS', pg_temp.moment(15 * i, 66), pg_temp.moment(15 * i + 1, 66), 'Success. New document id ' || i || ' created', 'auto_task' FROM generate_series(1, 3000) AS i;
INSERT INTO documents_uisettings (settings, user_id) SELECT '{"language": "", "dark_mode": {"enabled": true}, "n": 1.50}', i FROM generate_series(1, 3) AS i;
INSERT INTO documents_workflow (name, "order", enabled) VALUES ('mail', 1, true), ('"scanner" \ ftp', 2, true);
INSERT INTO documents_workflowtrigger (type, sources, filter_path) VALUES (1, '1,2,3', '/scans/*'), (2, '', NULL);
INSERT INTO documents_workflowaction (type, assign_title, assign_owner_id) VALUES (1, '{{ correspondent }} {{ created_year }}', 1);
INSERT INTO documents_workflow_triggers (workflow_id, workflowtrigger_id) VALUES (1, 1), (2, 2);
INSERT INTO documents_workflow_actions (workflow_id, workflowaction_id) VALUES (1, 1), (2, 1);
INSERT INTO paperless_mail_mailaccount (name, imap_server, imap_security, username, password, character_set) VALUES ('family', 'imap.home.example', 2, 'family', 'app-password', 'UTF-8');
INSERT INTO paperless_mail_mailrule (name, folder, maximum_age, action, account_id, "order") VALUES ('bills', 'INBOX', 30, 3, 1, 0);
INSERT INTO paperless_mail_processedmail (folder, uid, subject, received, processed, status, rule_id) SELECT 'INBOX', i::text, pg_temp.title(i, 67), pg_temp.moment(i, 70), pg_temp.moment(i, 71), 'SUCCESS', 1 FROM generate_series(1, 400) AS i;
INSERT INTO auditlog_logentry (object_pk, object_id, object_repr, action, changes, "timestamp", actor_id, content_type_id, remote_addr) SELECT 1 + i / 2, 1 + i / 2, pg_temp.title(i, 72), i % 2, jsonb_build_object('title', jsonb_build_array(NULL, pg_temp.title(i, 75)), 'n', i / 3.0), pg_temp.moment(8 * i, 78), 1 + i % 3, 1, ('192.0.2.' || i % 256)::inet FROM generate_series(0, 5999) AS i;
INSERT INTO guardian_userobjectpermission (object_pk, content_type_id, permission_id, user_id) SELECT i::text, 1, 4, 1 + i % 3 FROM generate_series(1, 1500) AS i;
INSERT INTO account_emailaddress (email, verified, "primary", user_id) SELECT username || '@home.example', true, true, id FROM auth_user WHERE id < 4 ORDER BY id;
INSERT INTO mfa_authenticator (type, data, user_id, created_at) VALUES ('totp', '{"secret": "JBSWY3DP"}', 1, pg_temp.moment(1, 79));
SELECT setval('documents_document_id_seq', 5001, false);
