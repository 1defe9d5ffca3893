//! Pushkeys: making them, and comparing them without telling by the time it takes how much of one was right.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use subtle::{Choice, ConstantTimeEq};

use super::{Account, MAX_PUSHKEY_BYTES};
use crate::push::notify::Device;

/// A fresh pushkey: 256 random bits in base64, 44 characters.
///
/// # Errors
/// When the operating system has no randomness to give.
pub fn new_pushkey() -> Result<String, getrandom::Error> {
    let mut bits = [0; 32];
    getrandom::fill(&mut bits)?;
    Ok(STANDARD.encode(bits))
}

const WORD: usize = size_of::<u64>();
const WORDS: usize = MAX_PUSHKEY_BYTES / WORD + 1;

/// A pushkey, padded to the greatest length and followed by its own length: comparing two of them takes the same time
/// whatever they are and however long.
#[derive(Clone)]
pub(super) struct ComparableKey([u64; WORDS]);

impl ComparableKey {
    pub(super) fn of(account: &Account) -> Self {
        // An account's pushkey is no longer than that: it was checked.
        Self::padded(&account.pushkey[..account.pushkey.len().min(MAX_PUSHKEY_BYTES)])
    }

    /// `None` for a pushkey that is too long to be any account's.
    pub(super) fn of_device(device: &Device) -> Option<Self> {
        (device.pushkey.len() <= MAX_PUSHKEY_BYTES).then(|| Self::padded(&device.pushkey))
    }

    fn padded(pushkey: &str) -> Self {
        let mut words = [0; WORDS];
        for (word, chunk) in words.iter_mut().zip(pushkey.as_bytes().chunks(WORD)) {
            let mut bytes = [0; WORD];
            bytes[..chunk.len()].copy_from_slice(chunk);
            *word = u64::from_ne_bytes(bytes);
        }
        words[WORDS - 1] = pushkey.len() as u64;
        Self(words)
    }
}

impl ConstantTimeEq for ComparableKey {
    fn ct_eq(&self, other: &Self) -> Choice {
        self.0.ct_eq(&other.0)
    }
}

impl fmt::Debug for ComparableKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ComparableKey(hidden)")
    }
}
