-- Where a person's apps want to be told of news. `content` is the pusher as its owner sees it, as
-- JSON; `set_ms` and `position` say when it was set last.
CREATE TABLE pushers (
    user_id TEXT NOT NULL,
    app_id TEXT NOT NULL,
    pushkey TEXT NOT NULL,
    device_id TEXT NOT NULL,
    content BYTEA NOT NULL,
    set_ms BIGINT NOT NULL,
    position BIGINT NOT NULL,
    PRIMARY KEY (user_id, app_id, pushkey)
);

CREATE INDEX pushers_by_key ON pushers (app_id, pushkey);
