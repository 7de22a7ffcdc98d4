-- The photos of a family: 6 000 assets, 1 000 of them searchable. An embedding holds halves and quarters, which the text of a
-- float shows exactly.

INSERT INTO "user" (id, email, password, "createdAt", "updatedAt", "profileChangedAt", "isAdmin", name, "storageLabel", "updateId")
SELECT pg_temp.id(i, 1), (ARRAY['anna', 'bob', 'chloe'])[i] || '@home.example', '$2b$10$' || pg_temp.hex(i, 2), pg_temp.moment(i, 3), pg_temp.moment(i, 3), pg_temp.moment(i, 3), i = 1, (ARRAY['Anna Größer', 'Bob O''Brien', E'Chloé "Cleo"\tMartin'])[i], (ARRAY['anna', 'bob', NULL])[i], pg_temp.id(i, 4)
FROM generate_series(1, 3) AS i;
INSERT INTO library (id, name, "ownerId", "importPaths", "exclusionPatterns", "createdAt", "updatedAt", "updateId") VALUES (pg_temp.id(1, 5), 'Old "disks" \', pg_temp.id(1, 1), ARRAY['/mnt/a,b', '/mnt/{braces}', E'/mnt/back\\slash "quoted"'], ARRAY['**/Thumbs.db', '', NULL], pg_temp.moment(1, 6), pg_temp.moment(1, 6), pg_temp.id(1, 7));
INSERT INTO asset (id, "deviceAssetId", "ownerId", "deviceId", type, "originalPath", "fileCreatedAt", "fileModifiedAt", "isFavorite", duration, checksum, "updatedAt", "createdAt", "originalFileName", thumbhash, "libraryId", "isExternal", "deletedAt", "localDateTime", status, "updateId", visibility)
SELECT pg_temp.id(i, 10), 'IMG_' || i, pg_temp.id(1 + i % 3, 1), 'phone', CASE WHEN i % 12 = 0 THEN 'VIDEO' ELSE 'IMAGE' END, '/data/upload/' || pg_temp.hex(i, 11) || '.heic', pg_temp.moment(8 * i, 12), pg_temp.moment(8 * i, 12), i % 25 = 0, CASE WHEN i % 12 = 0 THEN '0:00:12.345000' END,
    decode(left(pg_temp.sha256hex(i, 13), 40), 'hex'), pg_temp.moment(8 * i + 3, 14), pg_temp.moment(8 * i + 2, 15), pg_temp.word(i, 16) || '_' || i || '.heic', decode(pg_temp.hex(i, 17), 'hex'), CASE WHEN i % 10 = 1 THEN pg_temp.id(1, 5) END, i % 10 = 1, CASE WHEN i % 50 = 7 THEN pg_temp.moment(60000, 18) END,
    pg_temp.moment(8 * i, 12), CASE WHEN i % 50 = 7 THEN 'trashed' ELSE 'active' END::assets_status_enum, pg_temp.id(i, 19), (enum_range(NULL::asset_visibility_enum))[1 + pg_temp.pick(i, 20, 4)]
FROM generate_series(1, 6000) AS i;
UPDATE asset SET "livePhotoVideoId" = pg_temp.id(12, 10) WHERE id = pg_temp.id(11, 10);
INSERT INTO stack (id, "primaryAssetId", "ownerId", "createdAt", "updatedAt", "updateId") SELECT pg_temp.id(i, 21), pg_temp.id(3 * i, 10), pg_temp.id(1, 1), pg_temp.moment(i, 22), pg_temp.moment(i, 22), pg_temp.id(i, 23) FROM generate_series(1, 100) AS i;
INSERT INTO album (id, "albumName", "createdAt", "updatedAt", description, "albumThumbnailAssetId", "updateId") SELECT pg_temp.id(i, 24), pg_temp.title(i, 25), pg_temp.moment(100 * i, 28), pg_temp.moment(100 * i, 28), pg_temp.prose(i, 29), pg_temp.id(i, 10), pg_temp.id(i, 41) FROM generate_series(1, 40) AS i;
INSERT INTO album_asset ("albumId", "assetId", "createdAt", "updatedAt", "updateId") SELECT pg_temp.id(1 + i % 40, 24), pg_temp.id(i, 10), pg_temp.moment(i, 42), pg_temp.moment(i, 42), pg_temp.id(i, 43) FROM generate_series(1, 3000) AS i;
INSERT INTO album_user ("albumId", "userId", role, "createdAt") SELECT pg_temp.id(i, 24), pg_temp.id(1 + i % 3, 1), (enum_range(NULL::album_user_role_enum))[1 + i % 3], pg_temp.moment(i, 44) FROM generate_series(1, 40) AS i;
INSERT INTO activity (id, "createdAt", "updatedAt", "albumId", "userId", "assetId", comment, "isLiked", "updateId") SELECT pg_temp.id(i, 45), pg_temp.moment(i, 46), pg_temp.moment(i, 46), pg_temp.id(1 + i % 40, 24), pg_temp.id(1 + i % 3, 1), pg_temp.id(i, 10), CASE WHEN i % 2 = 0 THEN pg_temp.title(i, 47) END, i % 2 = 1, pg_temp.id(i, 50) FROM generate_series(1, 300) AS i;
INSERT INTO api_key (id, name, key, "userId", permissions, "createdAt") VALUES (pg_temp.id(1, 51), 'photo frame', sha256('frame'), pg_temp.id(1, 1), ARRAY['asset.read', 'album.read'], pg_temp.moment(1, 52));
INSERT INTO asset_exif ("assetId", make, model, "exifImageWidth", "exifImageHeight", "fileSizeInByte", "dateTimeOriginal", "fNumber", "focalLength", iso, latitude, longitude, city, country, description, "exposureTime", "timeZone", rating, tags, "updatedAt", "updateId")
SELECT pg_temp.id(i, 10), 'Fairphone', 'FP' || 3 + pg_temp.pick(i, 53, 3), 4032, 3024, 1000000 + pg_temp.pick(i, 54, 9000000), pg_temp.moment(8 * i, 12), 1.4 + pg_temp.pick(i, 55, 100) / 30.0, 4.38, 50 * (1 + pg_temp.pick(i, 56, 64)), 47 + pg_temp.pick(i, 57, 1000000) / 1e6::float8, 8 + pg_temp.pick(i, 58, 1000000) / 3e6::float8, (ARRAY['Zürich', 'Reykjavík', '東京'])[1 + pg_temp.pick(i, 59, 3)], 'CH', pg_temp.title(i, 60), '1/' || 30 + pg_temp.pick(i, 63, 1000), 'UTC+2', NULLIF(pg_temp.pick(i, 64, 12) - 1, 10) % 6, ARRAY[pg_temp.word(i, 65), pg_temp.word(i, 66)], pg_temp.moment(8 * i + 3, 67), pg_temp.id(i, 68)
FROM generate_series(1, 6000) AS i;
INSERT INTO person (id, "createdAt", "updatedAt", "ownerId", name, "birthDate", "updateId") SELECT pg_temp.id(i, 69), pg_temp.moment(i, 70), pg_temp.moment(i, 70), pg_temp.id(1 + i % 3, 1), CASE WHEN i < 12 THEN pg_temp.word(i, 71) ELSE '' END, CASE WHEN i < 6 THEN date '1980-01-01' + 900 * i END, pg_temp.id(i, 72) FROM generate_series(1, 60) AS i;
INSERT INTO asset_face (id, "assetId", "personId", "imageWidth", "imageHeight", "boundingBoxX1", "boundingBoxY1", "boundingBoxX2", "boundingBoxY2", "sourceType") SELECT pg_temp.id(i, 73), pg_temp.id(2 * i, 10), pg_temp.id(1 + pg_temp.pick(i, 74, 60), 69), 4032, 3024, 10, 10, 200 + i % 99, 200 + i % 77, (enum_range(NULL::sourcetype))[1 + i % 3] FROM generate_series(1, 2500) AS i;
UPDATE person SET "faceAssetId" = (SELECT id FROM asset_face WHERE "personId" = person.id ORDER BY id LIMIT 1);
INSERT INTO asset_file (id, "assetId", type, path, "createdAt") SELECT pg_temp.id(i, 75), pg_temp.id(1 + i / 2, 10), (ARRAY['preview', 'thumbnail'])[1 + i % 2], '/data/thumbs/' || pg_temp.hex(i, 76) || '.webp', pg_temp.moment(4 * i, 77) FROM generate_series(0, 11999) AS i;
INSERT INTO asset_job_status SELECT pg_temp.id(i, 10), pg_temp.moment(8 * i, 78), pg_temp.moment(8 * i, 79), CASE WHEN i % 3 > 0 THEN pg_temp.moment(8 * i, 80) END FROM generate_series(1, 6000) AS i;
INSERT INTO asset_metadata ("assetId", key, value, "updatedAt") SELECT pg_temp.id(i, 10), 'mobile-app', jsonb_build_object('iCloudId', pg_temp.hex(i, 81), 'tags', jsonb_build_array(pg_temp.word(i, 82), NULL, i / 7.0)), pg_temp.moment(i, 83) FROM generate_series(1, 800) AS i;
INSERT INTO asset_ocr (id, "assetId", x1, y1, x2, y2, "textScore", text) SELECT pg_temp.id(i, 84), pg_temp.id(5 * i, 10), 0.25, 0.5, 0.75, 0.875, pg_temp.pick(i, 85, 1000) / 1000.0, pg_temp.title(i, 86) FROM generate_series(1, 900) AS i;
INSERT INTO ocr_search ("assetId", text) SELECT "assetId", text FROM asset_ocr ORDER BY "assetId";
CREATE FUNCTION pg_temp.embedding(i bigint, salt integer) RETURNS vector LANGUAGE sql IMMUTABLE AS $$
    SELECT array_agg((pg_temp.pick(512 * i + k, salt, 17) - 8) / 4.0 ORDER BY k)::real[]::vector FROM generate_series(1, 512) AS k
$$;
INSERT INTO smart_search SELECT pg_temp.id(i, 10), pg_temp.embedding(i, 90) FROM generate_series(1, 1000) AS i;
INSERT INTO face_search SELECT pg_temp.id(i, 73), pg_temp.embedding(i, 91) FROM generate_series(1, 300) AS i;
INSERT INTO geodata_places SELECT i, pg_temp.title(i, 92), pg_temp.pick(i, 95, 3600000) / 1e4::float8 - 180, pg_temp.pick(i, 96, 1800000) / 1e4::float8 - 90, 'CH', left(pg_temp.hex(i, 97), 2), pg_temp.word(i, 98), NULL, date '2025-01-01' + i % 300 FROM generate_series(1, 5000) AS i;
INSERT INTO naturalearth_countries (admin, admin_a3, type, coordinates) SELECT 'Country ' || i, 'C' || lpad(i::text, 2, '0'), 'Country', polygon(box(point(i, i), point(i + 1.5, i + 0.5))) FROM generate_series(1, 60) AS i;
INSERT INTO memory (id, "createdAt", "ownerId", type, data, "memoryAt") SELECT pg_temp.id(i, 99), pg_temp.moment(144 * i, 100), pg_temp.id(1 + i % 3, 1), 'on_this_day', jsonb_build_object('year', 2010 + i % 15), pg_temp.moment(144 * i, 101) FROM generate_series(1, 200) AS i;
INSERT INTO memory_asset SELECT pg_temp.id(1 + i % 200, 99), pg_temp.id(i, 10) FROM generate_series(1, 1000) AS i;
INSERT INTO partner VALUES (pg_temp.id(1, 1), pg_temp.id(2, 1), pg_temp.moment(1, 102), true);
INSERT INTO session (id, token, "createdAt", "userId", "deviceType", "deviceOS") SELECT pg_temp.id(i, 103), sha256(pg_temp.hex(i, 104)::bytea), pg_temp.moment(i, 105), pg_temp.id(1 + i % 3, 1), 'Chrome', 'Linux' FROM generate_series(1, 12) AS i;
INSERT INTO shared_link (id, description, "userId", key, type, "createdAt", "albumId") SELECT pg_temp.id(i, 106), pg_temp.word(i, 107), pg_temp.id(1, 1), sha256(pg_temp.hex(i, 108)::bytea), 'ALBUM', pg_temp.moment(i, 109), pg_temp.id(i, 24) FROM generate_series(1, 10) AS i;
INSERT INTO system_metadata VALUES ('system-config', '{"machineLearning": {"clip": {"modelName": "ViT-B-32__openai"}}, "trash": {"days": 30}}'), ('reverse-geocoding-state', '{"lastUpdate": "2025-01-01T00:00:00Z"}'), ('admin-onboarding', '{"isOnboarded": true}');
INSERT INTO tag (id, "userId", value, "createdAt") SELECT pg_temp.id(i, 110), pg_temp.id(1 + i % 3, 1), pg_temp.word(i, 111) || '/' || i, pg_temp.moment(i, 112) FROM generate_series(1, 50) AS i;
INSERT INTO tag_asset SELECT pg_temp.id(i, 10), pg_temp.id(1 + i % 50, 110) FROM generate_series(1, 1000) AS i;
INSERT INTO tag_closure SELECT id, id FROM tag ORDER BY id;
INSERT INTO user_metadata SELECT id, 'preferences', '{"memories": {"enabled": false}}' FROM "user" ORDER BY id;
INSERT INTO version_history VALUES (pg_temp.id(1, 113), '2025-06-01 10:00:00+00', '1.134.0'), (pg_temp.id(2, 113), '2026-03-01 10:00:00+00', '2.5.6');
INSERT INTO kysely_migrations SELECT '17' || 40000000000 + i || '-Migration' || i, pg_temp.moment(i, 114)::text FROM generate_series(1, 70) AS i;
INSERT INTO kysely_migrations_lock VALUES ('migration_lock', 0);
