CREATE TABLE rooms (
    room BIGINT PRIMARY KEY,
    room_id TEXT NOT NULL,
    version TEXT NOT NULL,
    creator TEXT NOT NULL,
    created_ms BIGINT NOT NULL
);

-- The log of rooms. A row holds what the PDU can't be rebuilt without; prev_events is the event
-- at `prev`, auth_events are the events at the positions packed in `auth`.
CREATE TABLE events (
    id BIGINT PRIMARY KEY,
    room BIGINT NOT NULL,
    position BIGINT NOT NULL,
    type TEXT NOT NULL,
    state_key TEXT,
    sender TEXT NOT NULL,
    ts BIGINT NOT NULL,
    depth BIGINT NOT NULL,
    hash BYTEA NOT NULL,
    short_hash BIGINT NOT NULL,
    content_hash BYTEA NOT NULL,
    auth BYTEA NOT NULL,
    prev BIGINT NOT NULL,
    replaces BIGINT NOT NULL,
    redacts TEXT,
    redacted_by BIGINT NOT NULL,
    txn_device TEXT,
    txn_id TEXT,
    content BYTEA NOT NULL
);

CREATE INDEX events_of_room ON events (room, position);
CREATE INDEX events_by_hash ON events (short_hash);
CREATE INDEX state_of_room ON events (room, type, state_key, position) WHERE state_key IS NOT NULL;

CREATE TABLE current_state (
    room BIGINT NOT NULL,
    type TEXT NOT NULL,
    state_key TEXT NOT NULL,
    position BIGINT NOT NULL,
    membership TEXT,
    PRIMARY KEY (room, type, state_key)
) /* without rowid */;

-- Entries that are no events: a member's devices changed.
CREATE TABLE device_notes (
    id BIGINT PRIMARY KEY,
    room BIGINT NOT NULL,
    position BIGINT NOT NULL,
    user_id TEXT NOT NULL
);

CREATE INDEX device_notes_of_room ON device_notes (room, position);
