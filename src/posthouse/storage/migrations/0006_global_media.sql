-- What people have uploaded, and how much of their allowance it takes.
-- A file on disk belongs to every row that carries its hash and isn't removed.

CREATE TABLE media (
    media_id TEXT NOT NULL PRIMARY KEY,
    content_hash BYTEA NOT NULL,
    size BIGINT NOT NULL,
    charged_bytes BIGINT NOT NULL,
    content_type TEXT NOT NULL,
    file_name TEXT,
    user_id TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    quarantined_ms BIGINT,
    removed_ms BIGINT
) /* without rowid */;

CREATE INDEX media_by_content ON media (content_hash);

CREATE INDEX media_by_user ON media (user_id, created_ms);

CREATE TABLE media_usage (
    user_id TEXT NOT NULL PRIMARY KEY,
    charged_bytes BIGINT NOT NULL
) /* without rowid */;
