-- Names that lead to rooms.
CREATE TABLE room_aliases (
    alias TEXT NOT NULL PRIMARY KEY,
    room_id TEXT NOT NULL,
    creator TEXT NOT NULL,
    created_ms BIGINT NOT NULL
) /* without rowid */;

CREATE INDEX room_aliases_of_room ON room_aliases (room_id, created_ms);

CREATE INDEX room_aliases_of_creator ON room_aliases (creator);

-- Rooms that were put into the public directory. What stands there of them is a copy of what their
-- state said at a position of their stream.
CREATE TABLE published_rooms (
    room_id TEXT NOT NULL PRIMARY KEY,
    room_position BIGINT NOT NULL,
    is_shown SMALLINT NOT NULL,
    joined BIGINT NOT NULL,
    room_type TEXT NOT NULL,
    search_text TEXT NOT NULL,
    entry BYTEA NOT NULL
);

CREATE INDEX published_rooms_by_size ON published_rooms (joined, room_id);
