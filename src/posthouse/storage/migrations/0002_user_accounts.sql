-- Who exists, how they prove it, and what only they see.

CREATE TABLE users (
    user_id TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    password_hash TEXT,
    is_admin SMALLINT NOT NULL,
    deactivated_ms BIGINT,
    erased SMALLINT NOT NULL,
    PRIMARY KEY (user_id)
) /* without rowid */;

CREATE TABLE sign_in_devices (
    user_id TEXT NOT NULL,
    device_id TEXT NOT NULL,
    display_name TEXT,
    created_ms BIGINT NOT NULL,
    last_seen_ms BIGINT NOT NULL,
    last_seen_ip TEXT,
    PRIMARY KEY (user_id, device_id)
) /* without rowid */;

-- Tokens are kept as their SHA-256 alone. `fresh` is 1 from a refresh until the first use.
CREATE TABLE access_tokens (
    token_hash BYTEA NOT NULL,
    user_id TEXT NOT NULL,
    device_id TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    expires_ms BIGINT,
    refresh_hash BYTEA,
    fresh SMALLINT NOT NULL,
    PRIMARY KEY (token_hash)
) /* without rowid */;

CREATE INDEX access_tokens_of_device ON access_tokens (user_id, device_id);

CREATE TABLE refresh_tokens (
    token_hash BYTEA NOT NULL,
    user_id TEXT NOT NULL,
    device_id TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    fresh SMALLINT NOT NULL,
    PRIMARY KEY (token_hash)
) /* without rowid */;

CREATE INDEX refresh_tokens_of_device ON refresh_tokens (user_id, device_id);

-- One row a field, its value as JSON.
CREATE TABLE profile_fields (
    user_id TEXT NOT NULL,
    field TEXT NOT NULL,
    value BYTEA NOT NULL,
    PRIMARY KEY (user_id, field)
) /* without rowid */;

-- An empty room_id is the account's own data.
CREATE TABLE account_data (
    user_id TEXT NOT NULL,
    room_id TEXT NOT NULL,
    type TEXT NOT NULL,
    content BYTEA NOT NULL,
    position BIGINT NOT NULL,
    PRIMARY KEY (user_id, room_id, type)
);

CREATE INDEX account_data_by_position ON account_data (user_id, position);

CREATE TABLE filters (
    user_id TEXT NOT NULL,
    filter_id TEXT NOT NULL,
    definition BYTEA NOT NULL,
    created_ms BIGINT NOT NULL,
    PRIMARY KEY (user_id, filter_id)
);
