-- Letters; not a migration of the product.
CREATE TABLE letters (
    position BIGINT PRIMARY KEY,
    sender TEXT NOT NULL,
    body BYTEA NOT NULL,
    stamped SMALLINT NOT NULL DEFAULT 0, -- 0 or 1; "BIGINT" would be too much
    txn TEXT
);
CREATE UNIQUE INDEX letters_by_txn ON letters (sender, txn);
CREATE INDEX letters_of_sender ON letters (sender, position DESC) WHERE stamped = 1;
