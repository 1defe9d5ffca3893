-- An inbox as version 1 has left it.
CREATE TABLE account (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    last_push INTEGER,
    sent_counts INTEGER NOT NULL DEFAULT 0,
    unread INTEGER NOT NULL DEFAULT 0,
    room_sum INTEGER NOT NULL DEFAULT 0,
    missed_calls INTEGER,
    unread_notices INTEGER NOT NULL DEFAULT 0,
    notices INTEGER NOT NULL DEFAULT 0,
    read_up_to INTEGER
) STRICT;

CREATE TABLE room (
    id INTEGER PRIMARY KEY,
    account INTEGER NOT NULL,
    room_id TEXT NOT NULL,
    counted INTEGER NOT NULL DEFAULT 0,
    notices INTEGER NOT NULL DEFAULT 0,
    unread INTEGER NOT NULL DEFAULT 0,
    waiting INTEGER NOT NULL DEFAULT 0,
    first_waiting INTEGER,
    last_waiting INTEGER,
    waiting_highlight INTEGER,
    waiting_sound INTEGER,
    read_up_to INTEGER,
    UNIQUE (account, room_id)
) STRICT;
CREATE INDEX room_waiting ON room (first_waiting) WHERE first_waiting IS NOT NULL;
CREATE INDEX room_highlight ON room (first_waiting) WHERE waiting_highlight IS NOT NULL;

CREATE TABLE notice (
    id INTEGER PRIMARY KEY,
    account INTEGER NOT NULL,
    room INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    presentation INTEGER NOT NULL,
    read INTEGER NOT NULL,
    redacted INTEGER NOT NULL DEFAULT 0,
    highlight INTEGER NOT NULL,
    user_is_target INTEGER NOT NULL,
    low_prio INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    counts_unread INTEGER,
    counts_missed_calls INTEGER,
    event_id TEXT,
    push_id TEXT,
    event_type TEXT,
    sender TEXT,
    sender_display_name TEXT,
    room_name TEXT,
    room_alias TEXT,
    membership TEXT,
    sound TEXT,
    content TEXT
) STRICT;
CREATE INDEX notice_unread ON notice (account, room) WHERE read = 0 AND kind = 0;
CREATE INDEX notice_highlight ON notice (account, room) WHERE read = 0 AND kind = 0 AND highlight = 1;

CREATE TABLE recent_key (
    hash INTEGER NOT NULL,
    notice INTEGER NOT NULL,
    PRIMARY KEY (hash, notice)
) STRICT, WITHOUT ROWID;
CREATE TABLE old_key (
    hash INTEGER NOT NULL,
    notice INTEGER NOT NULL,
    PRIMARY KEY (hash, notice)
) STRICT, WITHOUT ROWID;

CREATE TABLE call (
    notice INTEGER PRIMARY KEY,
    account INTEGER NOT NULL,
    room INTEGER NOT NULL,
    call_id TEXT NOT NULL,
    deadline INTEGER NOT NULL,
    state INTEGER NOT NULL,
    derive_missed INTEGER NOT NULL,
    missed_shown INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX call_active ON call (account, room, call_id) WHERE state < 2;

CREATE TABLE setting (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE catching_up (
    account TEXT PRIMARY KEY,
    mark INTEGER,
    completed_at INTEGER,
    told_session TEXT
) STRICT, WITHOUT ROWID;

CREATE TABLE wanted_details (
    notice INTEGER PRIMARY KEY
) STRICT;

PRAGMA user_version = 1;
INSERT INTO account VALUES (1, 'home', 1790000040000, 1, 7, 0, NULL, 3, 3, NULL), (2, 'work', 1790000030000, 0, 0, 0, NULL, 1, 1, NULL);
INSERT INTO room VALUES (1, 1, '!r', 0, 3, 2, 1, 2, 2, NULL, 2, NULL), (2, 2, '', 0, 1, 1, 0, NULL, NULL, NULL, NULL, NULL);
INSERT INTO notice VALUES
    (1, 1, 1, 0, 1, 0, 0, 1, 0, 0, 1790000000000, NULL, NULL, '$retry', NULL, 'm.room.message', '@bob:hs', 'Bob', 'Room', NULL, NULL, NULL, '{"body":"hello"}'),
    (2, 1, 1, 0, 0, 0, 0, 0, 0, 1, 1790000010000, 7, NULL, '$2', NULL, 'm.room.message', '@bob:hs', 'Bob', 'Room', NULL, NULL, 'bing', '{"body":"hello"}'),
    (3, 1, 1, 1, 1, 0, 0, 0, 0, 0, 1790000040000, 7, NULL, '$3', NULL, 'm.call.invite', '@bob:hs', 'Bob', 'Room', NULL, NULL, 'ring', '{"call_id":"c"}'),
    (4, 2, 2, 0, 1, 0, 0, 0, 0, 0, 1790000030000, NULL, NULL, NULL, 'old', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO recent_key VALUES (34157398, 2);
INSERT INTO old_key VALUES (1581744930, 1);
INSERT INTO call VALUES (3, 1, 1, 'c', 1789999999000, 0, 1, 0);
INSERT INTO setting VALUES ('pause', '2026-09-22T00:00:00Z'), ('keyed_up_to', '2'), ('newest', '9');
