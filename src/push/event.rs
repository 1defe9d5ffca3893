//! What an event says: its kind, read from `type` and `content` (pure).
