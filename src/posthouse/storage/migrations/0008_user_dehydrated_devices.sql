-- The one device of a person that is asleep on the server; its keys and messages lie where those
-- of other devices do. `position` is that of its arrival.
CREATE TABLE dehydrated_devices (
    user_id TEXT NOT NULL,
    device_id TEXT NOT NULL,
    device_data BYTEA NOT NULL,
    display_name TEXT,
    position BIGINT NOT NULL,
    PRIMARY KEY (user_id)
);
