CREATE TABLE drawers (
    owner TEXT NOT NULL,
    name TEXT NOT NULL DEFAULT '',
    letters BIGINT NOT NULL,
    PRIMARY KEY (owner, name),
    UNIQUE (letters, owner)
) /* without rowid */;
