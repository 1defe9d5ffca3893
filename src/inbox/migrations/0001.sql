-- Version 1.
--
-- Times are milliseconds since the epoch. Flags are 0 or 1. Columns `account` and `room` hold the `id` of that table's
-- row; they are not declared as references, because deleting a row would then search all notices.
-- `notice.presentation` and `call.state` hold the numbers of `Presentation` and `CallState`.

CREATE TABLE account (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    last_push INTEGER,                          -- NULL: its numbers were forgotten
    sent_counts INTEGER NOT NULL DEFAULT 0,     -- whether it has ever sent counts
    unread INTEGER NOT NULL DEFAULT 0,          -- what its counts say
    room_sum INTEGER NOT NULL DEFAULT 0,        -- sum of its rooms' `room.counted`
    missed_calls INTEGER,                       -- NULL: never sent
    unread_notices INTEGER NOT NULL DEFAULT 0,  -- messages and calls with `read = 0`
    notices INTEGER NOT NULL DEFAULT 0,         -- all its notices
    read_up_to INTEGER                          -- its messages up to this one are read, also where `read = 0` is left
) STRICT;

CREATE TABLE room (
    id INTEGER PRIMARY KEY,
    account INTEGER NOT NULL,
    room_id TEXT NOT NULL,                      -- empty: pushes without a room
    counted INTEGER NOT NULL DEFAULT 0,         -- what counts say about this room, where they stand for rooms
    notices INTEGER NOT NULL DEFAULT 0,         -- all its notices
    unread INTEGER NOT NULL DEFAULT 0,          -- unread messages that wait or were shown
    waiting INTEGER NOT NULL DEFAULT 0,         -- messages that wait; the next four are among them
    first_waiting INTEGER,
    last_waiting INTEGER,
    waiting_highlight INTEGER,                  -- the newest that is a highlight
    waiting_sound INTEGER,                      -- the newest that asks for a sound
    read_up_to INTEGER,                         -- its messages up to this one are read, also where `read = 0` is left
    UNIQUE (account, room_id)
) STRICT;
CREATE INDEX room_waiting ON room (first_waiting) WHERE first_waiting IS NOT NULL;
CREATE INDEX room_highlight ON room (first_waiting) WHERE waiting_highlight IS NOT NULL;

CREATE TABLE notice (
    id INTEGER PRIMARY KEY,                     -- never used again: see setting `newest`
    account INTEGER NOT NULL,
    room INTEGER NOT NULL,
    kind INTEGER NOT NULL,                      -- 0 message, 1 call, 2 nothing of its own to show
    presentation INTEGER NOT NULL,
    read INTEGER NOT NULL,
    redacted INTEGER NOT NULL DEFAULT 0,
    highlight INTEGER NOT NULL,
    user_is_target INTEGER NOT NULL,
    low_prio INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    counts_unread INTEGER,                      -- the push's counts, which tell a plain retry from fresher numbers
    counts_missed_calls INTEGER,
    event_id TEXT,
    push_id TEXT,                               -- the first protocol's `id`, where there is no event_id
    event_type TEXT,
    sender TEXT,
    sender_display_name TEXT,
    room_name TEXT,
    room_alias TEXT,
    membership TEXT,
    sound TEXT,                                 -- NULL: silent
    content TEXT                                -- last, so that reading the rest of a row never reads a long text
) STRICT;
CREATE INDEX notice_unread ON notice (account, room) WHERE read = 0 AND kind = 0;
CREATE INDEX notice_highlight ON notice (account, room) WHERE read = 0 AND kind = 0 AND highlight = 1;

-- By what a retry is recognised: a small hash of the account and its event_id, else push_id. A unique index over the
-- texts would be the larger part of a big inbox. Notices after the setting `keyed_up_to` are in neither table yet: the
-- newest are known in memory, go to `recent_key` many at once, and later in order of their hash to `old_key`.
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
    derive_missed INTEGER NOT NULL,             -- whether it becomes a missed call when nobody takes it
    missed_shown INTEGER NOT NULL DEFAULT 0     -- whether the popup of the missed call was shown
) STRICT;
CREATE INDEX call_active ON call (account, room, call_id) WHERE state < 2;

CREATE TABLE setting (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE catching_up (
    account TEXT PRIMARY KEY,                   -- by name: it may have no row of its own yet
    mark INTEGER,                               -- all that its homeserver listed up to then, by its clock, is in here
    completed_at INTEGER,
    told_session TEXT                           -- the session that the person was told is over
) STRICT, WITHOUT ROWID;

CREATE TABLE wanted_details (                   -- notices of which only the ids are known, and more can be
    notice INTEGER PRIMARY KEY
) STRICT;
