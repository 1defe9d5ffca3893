-- Migration 1: the whole schema.
--
-- Times are milliseconds since the epoch, flags are 0 or 1, `account` columns hold `account.id`. `notice.kind`,
-- `notice.presentation` and `notice.call_state` hold the numbers of `Kind`, `Presentation` and `CallState`.
-- Tables are not STRICT: in a STRICT table one value of a wrong type, left by a damaged disk, would make every update
-- of its row fail.

CREATE TABLE account (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    last_push INTEGER,                              -- NULL: its numbers were forgotten
    sends_counts INTEGER NOT NULL DEFAULT 0,        -- whether it has ever sent counts
    unread INTEGER NOT NULL DEFAULT 0,              -- what its counts say; for counts of rooms, their sum
    missed_calls INTEGER,                           -- NULL: never sent
    caught_up_to INTEGER,                           -- all that its homeserver listed up to then, by its clock, is known
    caught_up_at INTEGER,                           -- when that was last completed
    logout_notified TEXT                            -- the session that the user was told is over
);

-- What counts say about single rooms, where they stand for rooms.
CREATE TABLE room_count (
    account INTEGER NOT NULL,
    room TEXT NOT NULL,
    unread INTEGER NOT NULL,
    PRIMARY KEY (account, room)
) WITHOUT ROWID;

CREATE TABLE notice (
    id INTEGER PRIMARY KEY,                         -- given by the inbox's thread; never used again
    account INTEGER NOT NULL,
    room TEXT NOT NULL,                             -- `Room::to_stored`
    kind INTEGER NOT NULL,
    presentation INTEGER NOT NULL,
    read INTEGER NOT NULL,
    redacted INTEGER NOT NULL DEFAULT 0,
    highlight INTEGER NOT NULL,
    user_is_target INTEGER NOT NULL,
    low_prio INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    sample INTEGER NOT NULL DEFAULT 0,              -- a test of our own: counted beside the numbers of the server
    lacks_details INTEGER NOT NULL DEFAULT 0,       -- only its ids came, and more can be asked for
    decryption INTEGER NOT NULL DEFAULT 0,          -- 1: its content is to be decrypted, 2, 3: when its key comes
    replayed INTEGER NOT NULL DEFAULT 0,            -- it was held back while the computer slept
    counts_unread INTEGER,                          -- the push's counts: a retry with other numbers updates them
    counts_missed_calls INTEGER,
    event_id TEXT,
    push_id TEXT,                                   -- the first protocol's `id`, where there is no event_id
    call_id TEXT,                                   -- this and the next five: of calls only
    call_state INTEGER,
    call_deadline INTEGER,
    call_derive_missed INTEGER,                     -- whether it becomes a missed call when nobody takes it
    call_missed_shown INTEGER,                      -- whether the popup of the missed call was shown
    call_raised_to INTEGER,                         -- the number that its counts raised; NULL: none, or it is watched
    event_type TEXT,
    sender TEXT,
    sender_display_name TEXT,
    room_name TEXT,
    room_alias TEXT,
    membership TEXT,
    sound TEXT,                                     -- NULL: silent
    content                                         -- JSON text, or what was decrypted, sealed (a BLOB);
                                                    -- last, so that reading the other columns never reads a long text
);

-- What retries are recognised by.
CREATE UNIQUE INDEX notice_event ON notice (account, event_id);
CREATE UNIQUE INDEX notice_push ON notice (account, push_id) WHERE push_id IS NOT NULL;

-- Everything that is asked about unread notices, answered from the index alone.
CREATE INDEX notice_unread ON notice (kind, presentation, account, room, highlight, sound, decryption) WHERE read = 0;

CREATE INDEX notice_call ON notice (account, room, call_id) WHERE call_state < 2;
CREATE INDEX notice_sample ON notice (account) WHERE sample = 1 AND read = 0;
CREATE INDEX notice_lacks_details ON notice (lacks_details) WHERE lacks_details = 1;
CREATE INDEX notice_decryption ON notice (account, decryption, room) WHERE decryption > 0;

-- Which event each message of an encrypted session is: the same ciphertext under another id is a replay. Kept as long as
-- the session, which is as long as the account is signed in.
CREATE TABLE decrypted (
    account INTEGER NOT NULL,
    message BLOB NOT NULL,                          -- a digest of session and index
    event BLOB NOT NULL,                            -- a digest of the event's id
    PRIMARY KEY (account, message)
) WITHOUT ROWID;

-- Rooms whose messages are not shown on this desktop.
CREATE TABLE muted_room (
    account INTEGER NOT NULL,
    room TEXT NOT NULL,
    name TEXT NOT NULL,                             -- what people call it
    until INTEGER,                                  -- NULL: until it is undone
    PRIMARY KEY (account, room)
) WITHOUT ROWID;

-- Rooms that are, or were, known to be encrypted.
CREATE TABLE encrypted_room (
    account INTEGER NOT NULL,
    room TEXT NOT NULL,
    PRIMARY KEY (account, room)
) WITHOUT ROWID;

-- Replies that are to be sent.
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY,
    account INTEGER NOT NULL,
    device TEXT NOT NULL,                           -- which sends it, and no other
    room_id TEXT NOT NULL,
    txn TEXT NOT NULL UNIQUE,                       -- by which its homeserver recognises it
    written_at INTEGER NOT NULL,
    content                                         -- JSON text; sealed (a BLOB) where there is a key
);

-- Small values of the program's own.
CREATE TABLE setting (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;
