-- Uploads that were announced and haven't come, and when files were fetched last.

-- When somebody fetched it last, to the day; null until then. Kept only while a retention is set.
ALTER TABLE media ADD COLUMN read_ms BIGINT;

CREATE INDEX media_by_age ON media (created_ms, media_id) WHERE removed_ms IS NULL;

CREATE TABLE media_announced (
    media_id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL,
    expires_ms BIGINT NOT NULL
) /* without rowid */;

CREATE INDEX media_announced_by_user ON media_announced (user_id, expires_ms);

CREATE INDEX media_announced_by_expiry ON media_announced (expires_ms);
