-- The room streams: one row each, the fence of its writer.
CREATE TABLE room_streams (
    stream BIGINT PRIMARY KEY,
    epoch BIGINT NOT NULL,
    head BIGINT NOT NULL,
    touched BIGINT NOT NULL,
    start BIGINT NOT NULL,
    retired SMALLINT NOT NULL
);

-- Ranges of positions whose rows are gone, and why.
CREATE TABLE room_purged (
    stream BIGINT NOT NULL,
    from_position BIGINT NOT NULL,
    to_position BIGINT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (stream, from_position)
) /* without rowid */;

-- How far each consumer has come that writes into room streams.
CREATE TABLE room_cursors (
    consumer TEXT NOT NULL,
    source BIGINT NOT NULL,
    target BIGINT NOT NULL,
    position BIGINT NOT NULL,
    PRIMARY KEY (consumer, source, target)
) /* without rowid */;
