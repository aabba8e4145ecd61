-- What the whole server knows of itself: its name, generation, signing key.
CREATE TABLE server_facts (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) /* without rowid */;
