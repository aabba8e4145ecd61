-- The user streams: one row each, the fence of its writer.
CREATE TABLE user_streams (
    stream BIGINT PRIMARY KEY,
    epoch BIGINT NOT NULL,
    head BIGINT NOT NULL,
    touched BIGINT NOT NULL,
    start BIGINT NOT NULL,
    retired SMALLINT NOT NULL
);

-- The log: what changed for whom. Contents lie in the tables of their domains.
CREATE TABLE user_entries (
    id BIGINT PRIMARY KEY,
    user_id TEXT NOT NULL,
    position BIGINT NOT NULL,
    kind SMALLINT NOT NULL,
    subject TEXT NOT NULL,
    device_id TEXT NOT NULL
);

CREATE INDEX user_entries_of_user ON user_entries (user_id, position);

CREATE TABLE user_purged (
    stream BIGINT NOT NULL,
    from_position BIGINT NOT NULL,
    to_position BIGINT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (stream, from_position)
) /* without rowid */;

-- How far each consumer has come that writes into user streams, or only reads them.
CREATE TABLE user_cursors (
    consumer TEXT NOT NULL,
    source BIGINT NOT NULL,
    target BIGINT NOT NULL,
    position BIGINT NOT NULL,
    PRIMARY KEY (consumer, source, target)
) /* without rowid */;
