//! Number to pixels (pure).
