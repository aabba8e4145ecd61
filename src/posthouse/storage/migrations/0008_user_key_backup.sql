-- The versions of a person's key backup. A deleted one is remembered for a while, so that deleting
-- it again is no error. `key_count` and `etag` change with the keys, in the same transaction.
CREATE TABLE backup_versions (
    user_id TEXT NOT NULL,
    version BIGINT NOT NULL,
    algorithm TEXT NOT NULL,
    auth_data BYTEA NOT NULL,
    key_count BIGINT NOT NULL,
    etag BIGINT NOT NULL,
    deleted SMALLINT NOT NULL,
    PRIMARY KEY (user_id, version)
);

-- Room keys, encrypted by clients.
CREATE TABLE backup_keys (
    user_id TEXT NOT NULL,
    version BIGINT NOT NULL,
    room_id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    is_verified SMALLINT NOT NULL,
    first_message_index BIGINT NOT NULL,
    forwarded_count BIGINT NOT NULL,
    session_data BYTEA NOT NULL,
    PRIMARY KEY (user_id, version, room_id, session_id)
);

-- Versions that were deleted and whose keys are not all deleted yet.
CREATE TABLE backup_leftovers (
    user_id TEXT NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (user_id, version)
) /* without rowid */;
