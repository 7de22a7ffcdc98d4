-- Immich's tables by their real names: camel case that needs quotes, uuids, enums, arrays, vectors. Left out: what needs
-- the extensions that the wheel lacks (unaccent, trigram, cube and earthdistance indexes).

CREATE TYPE assets_status_enum AS ENUM ('active', 'trashed', 'deleted');
CREATE TYPE asset_visibility_enum AS ENUM ('archive', 'timeline', 'hidden', 'locked');
CREATE TYPE sourcetype AS ENUM ('machine-learning', 'exif', 'manual');
CREATE TYPE album_user_role_enum AS ENUM ('owner', 'editor', 'viewer');

CREATE FUNCTION immich_uuid_v7(p_timestamp timestamptz DEFAULT clock_timestamp()) RETURNS uuid LANGUAGE sql VOLATILE AS $$
    SELECT (lpad(to_hex((extract(epoch FROM p_timestamp) * 1000)::bigint), 12, '0') || '7' || substr(md5(random()::text), 1, 3) || '8' || substr(md5(random()::text), 1, 15))::uuid
$$;
CREATE FUNCTION updated_at() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW."updatedAt" = clock_timestamp();
    NEW."updateId" = immich_uuid_v7(NEW."updatedAt");
    RETURN NEW;
END
$$;
CREATE FUNCTION f_concat_ws(text, text[]) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT array_to_string($2, $1)';
CREATE FUNCTION asset_delete_audit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO asset_audit ("assetId", "ownerId") SELECT id, "ownerId" FROM old;
    RETURN NULL;
END
$$;

CREATE TABLE "user" (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), email varchar NOT NULL UNIQUE, password varchar NOT NULL DEFAULT '', "createdAt" timestamptz NOT NULL DEFAULT now(),
    "profileImagePath" varchar NOT NULL DEFAULT '', "isAdmin" boolean NOT NULL DEFAULT false, "shouldChangePassword" boolean NOT NULL DEFAULT true,
    "deletedAt" timestamptz, "oauthId" varchar NOT NULL DEFAULT '', "updatedAt" timestamptz NOT NULL DEFAULT now(), "storageLabel" varchar UNIQUE,
    name varchar NOT NULL DEFAULT '', "quotaSizeInBytes" bigint, "quotaUsageInBytes" bigint NOT NULL DEFAULT 0, status varchar NOT NULL DEFAULT 'active',
    "profileChangedAt" timestamptz NOT NULL DEFAULT now(), "avatarColor" varchar, "pinCode" varchar, "updateId" uuid NOT NULL DEFAULT immich_uuid_v7()
);
CREATE TABLE library (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), name varchar NOT NULL, "ownerId" uuid NOT NULL REFERENCES "user" ON UPDATE CASCADE ON DELETE CASCADE, "importPaths" text[] NOT NULL, "exclusionPatterns" text[] NOT NULL, "createdAt" timestamptz NOT NULL DEFAULT now(), "updatedAt" timestamptz NOT NULL DEFAULT now(), "deletedAt" timestamptz, "refreshedAt" timestamptz, "updateId" uuid NOT NULL DEFAULT immich_uuid_v7());
CREATE TABLE stack (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), "primaryAssetId" uuid NOT NULL UNIQUE, "ownerId" uuid NOT NULL REFERENCES "user" ON UPDATE CASCADE ON DELETE CASCADE, "createdAt" timestamptz NOT NULL DEFAULT now(), "updatedAt" timestamptz NOT NULL DEFAULT now(), "updateId" uuid NOT NULL DEFAULT immich_uuid_v7());
CREATE TABLE asset (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), "deviceAssetId" varchar NOT NULL, "ownerId" uuid NOT NULL REFERENCES "user" ON UPDATE CASCADE ON DELETE CASCADE,
    "deviceId" varchar NOT NULL, type varchar NOT NULL, "originalPath" varchar NOT NULL, "fileCreatedAt" timestamptz NOT NULL, "fileModifiedAt" timestamptz NOT NULL,
    "isFavorite" boolean NOT NULL DEFAULT false, duration varchar, "encodedVideoPath" varchar DEFAULT '', checksum bytea NOT NULL,
    "livePhotoVideoId" uuid REFERENCES asset ON UPDATE CASCADE ON DELETE SET NULL, "updatedAt" timestamptz NOT NULL DEFAULT now(), "createdAt" timestamptz NOT NULL DEFAULT now(),
    "originalFileName" varchar NOT NULL, thumbhash bytea, "isOffline" boolean NOT NULL DEFAULT false, "libraryId" uuid REFERENCES library ON UPDATE CASCADE ON DELETE CASCADE,
    "isExternal" boolean NOT NULL DEFAULT false, "deletedAt" timestamptz, "localDateTime" timestamptz NOT NULL, "stackId" uuid REFERENCES stack ON UPDATE CASCADE ON DELETE SET NULL,
    "duplicateId" uuid, status assets_status_enum NOT NULL DEFAULT 'active', "updateId" uuid NOT NULL DEFAULT immich_uuid_v7(), visibility asset_visibility_enum NOT NULL DEFAULT 'timeline'
);
-- Stack and asset point at each other: pg_dump must add one of the two keys last.
ALTER TABLE stack ADD CONSTRAINT "stack_primaryAssetId_fkey" FOREIGN KEY ("primaryAssetId") REFERENCES asset;
CREATE UNIQUE INDEX "UQ_assets_owner_checksum" ON asset ("ownerId", checksum) WHERE "libraryId" IS NULL;
CREATE UNIQUE INDEX "asset_ownerId_libraryId_checksum_idx" ON asset ("ownerId", "libraryId", checksum) WHERE "libraryId" IS NOT NULL;
CREATE INDEX "asset_localDateTime_idx" ON asset ((("localDateTime" AT TIME ZONE 'UTC')::date));
CREATE INDEX "asset_localDateTime_month_idx" ON asset ((date_trunc('MONTH', "localDateTime" AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'));
CREATE INDEX "asset_originalPath_libraryId_idx" ON asset ("originalPath", "libraryId");

CREATE TABLE album (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), "albumName" varchar NOT NULL DEFAULT 'Untitled Album', "createdAt" timestamptz NOT NULL DEFAULT now(), "albumThumbnailAssetId" uuid REFERENCES asset ON UPDATE CASCADE ON DELETE SET NULL, "updatedAt" timestamptz NOT NULL DEFAULT now(), description text NOT NULL DEFAULT '', "deletedAt" timestamptz, "isActivityEnabled" boolean NOT NULL DEFAULT true, "order" varchar NOT NULL DEFAULT 'desc', "updateId" uuid NOT NULL DEFAULT immich_uuid_v7());
CREATE TABLE album_asset ("albumId" uuid REFERENCES album ON UPDATE CASCADE ON DELETE CASCADE, "assetId" uuid REFERENCES asset ON UPDATE CASCADE ON DELETE CASCADE, "createdAt" timestamptz NOT NULL DEFAULT now(), "updatedAt" timestamptz NOT NULL DEFAULT now(), "updateId" uuid NOT NULL DEFAULT immich_uuid_v7(), PRIMARY KEY ("albumId", "assetId"));
CREATE TABLE album_user ("albumId" uuid REFERENCES album ON UPDATE CASCADE ON DELETE CASCADE, "userId" uuid REFERENCES "user" ON UPDATE CASCADE ON DELETE CASCADE, role album_user_role_enum NOT NULL DEFAULT 'editor', "createdAt" timestamptz NOT NULL DEFAULT now(), PRIMARY KEY ("albumId", "userId"));
CREATE TABLE activity (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), "createdAt" timestamptz NOT NULL DEFAULT now(), "updatedAt" timestamptz NOT NULL DEFAULT now(), "albumId" uuid NOT NULL, "userId" uuid NOT NULL REFERENCES "user", "assetId" uuid, comment text, "isLiked" boolean NOT NULL DEFAULT false, "updateId" uuid NOT NULL DEFAULT immich_uuid_v7(), CONSTRAINT activity_like_check CHECK ((comment IS NULL AND "isLiked") OR (comment IS NOT NULL AND NOT "isLiked")), FOREIGN KEY ("albumId", "assetId") REFERENCES album_asset ON DELETE CASCADE);
CREATE UNIQUE INDEX activity_like_idx ON activity ("assetId", "userId", "albumId") WHERE "isLiked";
CREATE TABLE api_key (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), name varchar NOT NULL, key bytea NOT NULL, "userId" uuid NOT NULL REFERENCES "user", permissions varchar[] NOT NULL, "createdAt" timestamptz NOT NULL DEFAULT now());
CREATE TABLE asset_exif (
    "assetId" uuid PRIMARY KEY REFERENCES asset ON DELETE CASCADE, make varchar, model varchar, "exifImageWidth" integer, "exifImageHeight" integer, "fileSizeInByte" bigint, orientation varchar,
    "dateTimeOriginal" timestamptz, "modifyDate" timestamptz, "lensModel" varchar, "fNumber" double precision, "focalLength" double precision, iso integer, latitude double precision,
    longitude double precision, city varchar, state varchar, country varchar, description text NOT NULL DEFAULT '', fps double precision, "exposureTime" varchar, "timeZone" varchar, rating integer CHECK (rating BETWEEN -1 AND 5),
    tags varchar[], "updatedAt" timestamptz NOT NULL DEFAULT clock_timestamp(), "updateId" uuid NOT NULL DEFAULT immich_uuid_v7(), "lockedProperties" varchar[]
);
CREATE INDEX asset_exif_city_idx ON asset_exif (city);
CREATE TABLE person (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), "createdAt" timestamptz NOT NULL DEFAULT now(), "updatedAt" timestamptz NOT NULL DEFAULT now(), "ownerId" uuid NOT NULL REFERENCES "user", name varchar NOT NULL DEFAULT '', "thumbnailPath" varchar NOT NULL DEFAULT '', "isHidden" boolean NOT NULL DEFAULT false, "birthDate" date CONSTRAINT person_birthdate_chk CHECK ("birthDate" <= '2100-01-01'), "faceAssetId" uuid, "isFavorite" boolean NOT NULL DEFAULT false, color varchar, "updateId" uuid NOT NULL DEFAULT immich_uuid_v7());
CREATE TABLE asset_face (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), "assetId" uuid NOT NULL REFERENCES asset ON DELETE CASCADE, "personId" uuid REFERENCES person ON DELETE SET NULL, "imageWidth" integer NOT NULL DEFAULT 0, "imageHeight" integer NOT NULL DEFAULT 0, "boundingBoxX1" integer NOT NULL DEFAULT 0, "boundingBoxY1" integer NOT NULL DEFAULT 0, "boundingBoxX2" integer NOT NULL DEFAULT 0, "boundingBoxY2" integer NOT NULL DEFAULT 0, "sourceType" sourcetype NOT NULL DEFAULT 'machine-learning', "deletedAt" timestamptz, "isVisible" boolean NOT NULL DEFAULT true);
ALTER TABLE person ADD FOREIGN KEY ("faceAssetId") REFERENCES asset_face ON DELETE SET NULL;
CREATE INDEX "asset_face_personId_assetId_idx" ON asset_face ("personId", "assetId") WHERE "deletedAt" IS NULL AND "isVisible" IS TRUE;
CREATE TABLE asset_file (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), "assetId" uuid NOT NULL REFERENCES asset ON DELETE CASCADE, type varchar NOT NULL, path varchar NOT NULL, "createdAt" timestamptz NOT NULL DEFAULT now(), UNIQUE ("assetId", type));
CREATE TABLE asset_job_status ("assetId" uuid PRIMARY KEY REFERENCES asset ON DELETE CASCADE, "facesRecognizedAt" timestamptz, "metadataExtractedAt" timestamptz, "duplicatesDetectedAt" timestamptz, "ocrAt" timestamptz);
CREATE TABLE asset_metadata ("assetId" uuid REFERENCES asset ON DELETE CASCADE, key varchar, value jsonb NOT NULL, "updatedAt" timestamptz NOT NULL DEFAULT now(), PRIMARY KEY ("assetId", key));
CREATE TABLE asset_audit (id uuid PRIMARY KEY DEFAULT immich_uuid_v7(), "assetId" uuid NOT NULL, "ownerId" uuid NOT NULL, "deletedAt" timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE TABLE album_audit (id uuid PRIMARY KEY DEFAULT immich_uuid_v7(), "albumId" uuid NOT NULL, "userId" uuid NOT NULL, "deletedAt" timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE TABLE asset_ocr (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), "assetId" uuid NOT NULL REFERENCES asset ON DELETE CASCADE, x1 real NOT NULL, y1 real NOT NULL, x2 real NOT NULL, y2 real NOT NULL, "textScore" real NOT NULL, text text NOT NULL);
CREATE TABLE ocr_search ("assetId" uuid PRIMARY KEY REFERENCES asset ON DELETE CASCADE, text text NOT NULL, words tsvector GENERATED ALWAYS AS (to_tsvector('simple'::regconfig, text)) STORED);
CREATE INDEX idx_ocr_search_words ON ocr_search USING gin (words);
CREATE TABLE smart_search ("assetId" uuid PRIMARY KEY REFERENCES asset ON DELETE CASCADE, embedding vector(512) NOT NULL);
ALTER TABLE smart_search ALTER embedding SET STORAGE EXTERNAL;
CREATE TABLE face_search ("faceId" uuid PRIMARY KEY REFERENCES asset_face ON DELETE CASCADE, embedding vector(512) NOT NULL);
CREATE TABLE geodata_places (id integer PRIMARY KEY, name varchar(200) NOT NULL, longitude double precision NOT NULL, latitude double precision NOT NULL, "countryCode" char(2) NOT NULL, "admin1Code" varchar(20), "admin1Name" varchar, "alternateNames" varchar, "modificationDate" date NOT NULL);
CREATE TABLE naturalearth_countries (id integer PRIMARY KEY GENERATED ALWAYS AS IDENTITY, admin varchar(50) NOT NULL, admin_a3 varchar(3) NOT NULL, type varchar(50) NOT NULL, coordinates polygon NOT NULL);
CREATE TABLE memory (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), "createdAt" timestamptz NOT NULL DEFAULT now(), "deletedAt" timestamptz, "ownerId" uuid NOT NULL REFERENCES "user", type varchar NOT NULL, data jsonb NOT NULL, "isSaved" boolean NOT NULL DEFAULT false, "memoryAt" timestamptz NOT NULL, "seenAt" timestamptz);
CREATE TABLE memory_asset ("memoriesId" uuid REFERENCES memory ON DELETE CASCADE, "assetId" uuid REFERENCES asset ON DELETE CASCADE, PRIMARY KEY ("memoriesId", "assetId"));
CREATE TABLE move_history (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), "entityId" uuid NOT NULL, "pathType" varchar NOT NULL, "oldPath" varchar NOT NULL, "newPath" varchar NOT NULL UNIQUE, UNIQUE ("entityId", "pathType"));
CREATE TABLE notification (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), "createdAt" timestamptz NOT NULL DEFAULT now(), "userId" uuid REFERENCES "user", level varchar NOT NULL DEFAULT 'info', type varchar NOT NULL DEFAULT 'Custom', data jsonb, title varchar NOT NULL, description text, "readAt" timestamptz);
CREATE TABLE partner ("sharedById" uuid REFERENCES "user", "sharedWithId" uuid REFERENCES "user", "createdAt" timestamptz NOT NULL DEFAULT now(), "inTimeline" boolean NOT NULL DEFAULT false, PRIMARY KEY ("sharedById", "sharedWithId"));
CREATE TABLE session (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), token bytea NOT NULL, "createdAt" timestamptz NOT NULL DEFAULT now(), "expiresAt" timestamptz, "userId" uuid NOT NULL REFERENCES "user", "parentId" uuid REFERENCES session ON DELETE CASCADE, "deviceType" varchar NOT NULL DEFAULT '', "deviceOS" varchar NOT NULL DEFAULT '');
CREATE TABLE session_sync_checkpoint ("sessionId" uuid REFERENCES session ON DELETE CASCADE, type varchar, ack varchar NOT NULL, PRIMARY KEY ("sessionId", type));
CREATE TABLE shared_link (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), description varchar, "userId" uuid NOT NULL REFERENCES "user", key bytea NOT NULL UNIQUE, type varchar NOT NULL, "createdAt" timestamptz NOT NULL DEFAULT now(), "expiresAt" timestamptz, "allowUpload" boolean NOT NULL DEFAULT false, "albumId" uuid REFERENCES album, password varchar, slug varchar UNIQUE);
CREATE TABLE shared_link_asset ("assetId" uuid REFERENCES asset ON DELETE CASCADE, "sharedLinkId" uuid REFERENCES shared_link ON DELETE CASCADE, PRIMARY KEY ("assetId", "sharedLinkId"));
CREATE TABLE system_metadata (key varchar PRIMARY KEY, value jsonb NOT NULL);
CREATE TABLE tag (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), "userId" uuid NOT NULL REFERENCES "user", value varchar NOT NULL, "createdAt" timestamptz NOT NULL DEFAULT now(), color varchar, "parentId" uuid REFERENCES tag ON DELETE CASCADE, UNIQUE ("userId", value));
CREATE TABLE tag_asset ("assetId" uuid REFERENCES asset ON DELETE CASCADE, "tagId" uuid REFERENCES tag ON DELETE CASCADE, PRIMARY KEY ("assetId", "tagId"));
CREATE TABLE tag_closure (id_ancestor uuid REFERENCES tag ON DELETE CASCADE, id_descendant uuid REFERENCES tag ON DELETE CASCADE, PRIMARY KEY (id_ancestor, id_descendant));
CREATE TABLE user_metadata ("userId" uuid REFERENCES "user" ON DELETE CASCADE, key varchar, value jsonb NOT NULL, PRIMARY KEY ("userId", key));
CREATE TABLE version_history (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), "createdAt" timestamptz NOT NULL DEFAULT now(), version varchar NOT NULL);
CREATE TABLE kysely_migrations (name varchar(255) PRIMARY KEY, "timestamp" varchar(255) NOT NULL);
CREATE TABLE kysely_migrations_lock (id varchar(255) PRIMARY KEY, is_locked integer NOT NULL DEFAULT 0);
CREATE TABLE migration_overrides (name varchar PRIMARY KEY, value jsonb NOT NULL);
