-- What people reported, for the operator. A later report of the same person on the same thing takes
-- the place of the earlier one.
CREATE TABLE reports (
    reporter TEXT NOT NULL,
    room_id TEXT NOT NULL,
    event_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    reason TEXT NOT NULL,
    reported_ms BIGINT NOT NULL,
    PRIMARY KEY (reporter, room_id, event_id, user_id)
);

CREATE INDEX reports_by_time ON reports (reported_ms);

CREATE INDEX reports_of_person ON reports (reporter, reported_ms);
