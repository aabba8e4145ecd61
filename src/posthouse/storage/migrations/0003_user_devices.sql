-- Each device's identity keys, as canonical JSON without `unsigned`.
CREATE TABLE device_keys (
    user_id TEXT NOT NULL,
    device_id TEXT NOT NULL,
    key_json BYTEA NOT NULL,
    position BIGINT NOT NULL,
    PRIMARY KEY (user_id, device_id)
);

-- When what others see of a person's devices changed last.
CREATE TABLE device_lists (
    user_id TEXT NOT NULL,
    position BIGINT NOT NULL,
    PRIMARY KEY (user_id)
) /* without rowid */;

-- Keys that may still be claimed; `position` is that of their upload.
CREATE TABLE one_time_keys (
    user_id TEXT NOT NULL,
    device_id TEXT NOT NULL,
    algorithm TEXT NOT NULL,
    key_id TEXT NOT NULL,
    key_json BYTEA NOT NULL,
    position BIGINT NOT NULL,
    PRIMARY KEY (user_id, device_id, algorithm, key_id)
) /* without rowid */;

-- Keys that were given out lately, so that a repeated upload doesn't bring them back.
CREATE TABLE claimed_keys (
    user_id TEXT NOT NULL,
    device_id TEXT NOT NULL,
    algorithm TEXT NOT NULL,
    key_id TEXT NOT NULL,
    key_json BYTEA NOT NULL,
    position BIGINT NOT NULL,
    claimed_ms BIGINT NOT NULL,
    PRIMARY KEY (user_id, device_id, algorithm, key_id)
) /* without rowid */;

CREATE INDEX claimed_keys_by_age ON claimed_keys (claimed_ms);

CREATE TABLE fallback_keys (
    user_id TEXT NOT NULL,
    device_id TEXT NOT NULL,
    algorithm TEXT NOT NULL,
    key_id TEXT NOT NULL,
    key_json BYTEA NOT NULL,
    used SMALLINT NOT NULL,
    position BIGINT NOT NULL,
    PRIMARY KEY (user_id, device_id, algorithm)
) /* without rowid */;

-- `usage` is master, self_signing or user_signing; `public_key` is the key's unpadded base64.
CREATE TABLE cross_signing_keys (
    user_id TEXT NOT NULL,
    usage TEXT NOT NULL,
    public_key TEXT NOT NULL,
    key_json BYTEA NOT NULL,
    position BIGINT NOT NULL,
    PRIMARY KEY (user_id, usage)
);

-- Signatures that were uploaded apart from what they sign. A row is its signer's (`user_id`):
-- `target_key_id` is a device of the target or the public key of the target's master key.
CREATE TABLE key_signatures (
    user_id TEXT NOT NULL,
    target_user_id TEXT NOT NULL,
    target_key_id TEXT NOT NULL,
    signer_key_id TEXT NOT NULL,
    signature TEXT NOT NULL,
    position BIGINT NOT NULL,
    PRIMARY KEY (user_id, target_user_id, target_key_id, signer_key_id)
) /* without rowid */;

-- Messages that a device has not acknowledged; `content` is the event as a sync answer carries it.
CREATE TABLE to_device (
    id BIGINT PRIMARY KEY,
    user_id TEXT NOT NULL,
    device_id TEXT NOT NULL,
    position BIGINT NOT NULL,
    sender_id TEXT NOT NULL,
    content BYTEA NOT NULL
);

CREATE INDEX to_device_of_device ON to_device (user_id, device_id, position);

-- Which people a transaction of a sender's device has served. A row is written with the messages
-- it stands for, in the stream of `user_id`, who is one of them; `served` lists them all.
CREATE TABLE to_device_transactions (
    sender_id TEXT NOT NULL,
    sender_device_id TEXT NOT NULL,
    txn_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    served BYTEA NOT NULL,
    created_ms BIGINT NOT NULL,
    PRIMARY KEY (sender_id, sender_device_id, txn_id, user_id)
) /* without rowid */;

CREATE INDEX to_device_transactions_by_age ON to_device_transactions (created_ms);
