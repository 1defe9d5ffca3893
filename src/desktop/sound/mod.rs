//! Sounds: which file a tweak means (pure but for looking into directories), and playing it.
