-- Transaction ids that are older than the memory of them: found by the hash of their whole scope.
CREATE TABLE event_transactions (
    scope_hash BIGINT PRIMARY KEY,
    stream BIGINT NOT NULL,
    event_hash BYTEA NOT NULL,
    ts BIGINT NOT NULL
);

CREATE INDEX event_transactions_by_age ON event_transactions (stream, ts);
