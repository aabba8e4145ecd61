-- Pointers to a person's memberships: copies of what the room streams say, made by the projector.
CREATE TABLE memberships (
    user_id TEXT NOT NULL,
    room_id TEXT NOT NULL,
    membership TEXT NOT NULL,
    room_position BIGINT NOT NULL,
    position BIGINT NOT NULL,
    forgotten SMALLINT NOT NULL,
    PRIMARY KEY (user_id, room_id)
) /* without rowid */;

CREATE INDEX memberships_by_position ON memberships (user_id, position);
