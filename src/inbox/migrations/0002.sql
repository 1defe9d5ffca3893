-- Version 2: keys of notices many to a row.
--
-- By what a retry is recognised: a small hash of the account and its event_id, else push_id. A unique index over the
-- texts would be the larger part of a big inbox, and one over the hashes would have each push write a page of its own.
-- Notices after the setting `keyed_up_to` are in neither table yet; `src/inbox/keys.rs` has the rest.

CREATE TABLE key_log (
    up_to INTEGER PRIMARY KEY,                  -- the newest notice of its keys
    keys BLOB NOT NULL                          -- of 12 bytes: the hash, the notice
) STRICT;

CREATE TABLE key_bucket (
    bucket INTEGER PRIMARY KEY,                 -- the upper bits of the hashes of its keys
    keys BLOB NOT NULL                          -- of 8 bytes: the rest of the hash, the notice
) STRICT;
