-- Invitations to register, and the secret that signs authentication sessions.

CREATE TABLE registration_tokens (
    token TEXT NOT NULL,
    uses_allowed BIGINT,
    completed BIGINT NOT NULL,
    expires_ms BIGINT,
    created_ms BIGINT NOT NULL,
    PRIMARY KEY (token)
) /* without rowid */;

-- One row from the moment a token is taken until the account exists, or doesn't come to be.
CREATE TABLE registration_reservations (
    reservation BYTEA NOT NULL,
    token TEXT NOT NULL,
    user_id TEXT NOT NULL,
    reserved_ms BIGINT NOT NULL,
    PRIMARY KEY (reservation)
) /* without rowid */;

CREATE INDEX registration_reservations_of_token ON registration_reservations (token);

CREATE TABLE account_secrets (
    name TEXT NOT NULL,
    value BYTEA NOT NULL,
    PRIMARY KEY (name)
) /* without rowid */;
