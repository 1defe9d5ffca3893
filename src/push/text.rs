//! Making text from strangers harmless: control, direction and invisible characters, length, markup (pure).
