//! `pushbell login`

#[expect(dead_code, reason = "the command is not there yet")]
mod browser;
