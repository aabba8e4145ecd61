CREATE TABLE stamps (
    name TEXT PRIMARY KEY,
    sold BIGINT NOT NULL
);
