//! Making pushkeys.

use base64::{Engine as _, engine::general_purpose::STANDARD};

/// A fresh pushkey: 256 random bits in base64, 44 characters.
///
/// # Errors
/// When the operating system has no randomness to give.
pub fn new_pushkey() -> Result<String, getrandom::Error> {
    let mut bits = [0; 32];
    getrandom::fill(&mut bits)?;
    Ok(STANDARD.encode(bits))
}
