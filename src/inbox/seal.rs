//! Seals decrypted texts, so that no text of an end-to-end encrypted message is on disk in clear, and opens
//! them for reading.
//!
//! Each account has a key of its own, derived from that of its encryption store. A sealed text is bound to its account
//! and event: moved to another row, it cannot be opened.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use ring::{
    aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hkdf,
};
use rusqlite::{
    Connection,
    functions::{Context, FunctionFlags},
    types::{Value, ValueRef},
};

/// The known keys by account. A handle: clones share the keys.
#[derive(Clone, Default)]
pub struct Seals(Arc<RwLock<BTreeMap<String, LessSafeKey>>>);

impl fmt::Debug for Seals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seals").finish_non_exhaustive()
    }
}

impl Seals {
    /// Sets the account's key, derived from this one.
    pub fn set(&self, account: &str, key: &[u8; 32]) {
        let derived = hkdf::Salt::new(hkdf::HKDF_SHA256, b"org.pushbell").extract(key);
        // Fails only for keys of more than 255 hashes.
        if let Ok(derived) = derived.expand(&[b"texts of notices"], &CHACHA20_POLY1305) {
            let mut keys = self.0.write().unwrap_or_else(PoisonError::into_inner);
            keys.insert(account.to_owned(), LessSafeKey::new(UnboundKey::from(derived)));
        }
    }

    /// Forgets the key of this account.
    pub fn remove(&self, account: &str) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(account);
    }

    /// The sealed text; null without a key.
    pub(super) fn seal(&self, account: &str, event_id: &str, text: &str) -> Value {
        let seal = || {
            let mut nonce = [0; NONCE_LEN];
            getrandom::fill(&mut nonce).ok()?;
            let mut sealed = text.as_bytes().to_vec();
            let keys = self.0.read().unwrap_or_else(PoisonError::into_inner);
            let key = keys.get(account)?;
            let place = place(account, event_id);
            key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), place, &mut sealed).ok()?;
            Some([&nonce[..], &sealed].concat())
        };
        seal().map_or(Value::Null, Value::Blob)
    }

    fn open(&self, account: &str, event_id: &str, sealed: &[u8]) -> Option<String> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let mut sealed = sealed.to_vec();
        let keys = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let text = keys.get(account)?.open_in_place(nonce, place(account, event_id), &mut sealed).ok()?;
        String::from_utf8(text.to_vec()).ok()
    }

    /// Makes the function `opened(content, account, event_id)`: a sealed text, opened; NULL if it cannot be.
    pub(super) fn attach(&self, db: &Connection) -> rusqlite::Result<()> {
        self.attach_limited(db, usize::MAX).map(drop)
    }

    /// The same for the first `limit` texts; later ones are NULL. Returns the number of calls.
    pub(super) fn attach_limited(&self, db: &Connection, limit: usize) -> rusqlite::Result<Arc<AtomicUsize>> {
        let (seals, asked) = (self.clone(), Arc::new(AtomicUsize::new(0)));
        let counted = Arc::clone(&asked);
        let opened = move |context: &Context<'_>| {
            let ValueRef::Blob(sealed) = context.get_raw(0) else { return Ok(Value::Null) };
            if counted.fetch_add(1, Ordering::Relaxed) >= limit {
                return Ok(Value::Null);
            }
            let (account, event_id) = (context.get_raw(1).as_str(), context.get_raw(2).as_str());
            let text = account.ok().zip(event_id.ok()).and_then(|(account, id)| seals.open(account, id, sealed));
            Ok(text.map_or(Value::Null, Value::Text))
        };
        let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DIRECTONLY;
        db.create_scalar_function("opened", 3, flags, opened)?;
        Ok(asked)
    }
}

fn place(account: &str, event_id: &str) -> Aad<Vec<u8>> {
    Aad::from(format!("{account}\n{event_id}").into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_text_is_opened_with_its_key_in_its_place_alone() {
        let seals = Seals::default();
        assert_eq!(seals.seal("home", "$1", "sesame"), Value::Null, "there is no key yet");
        seals.set("home", &[7; 32]);
        seals.set("work", &[7; 32]);
        let Value::Blob(sealed) = seals.seal("home", "$1", "sesame") else { panic!("it is not sealed") };
        assert!(!sealed.windows(6).any(|window| window == b"sesame"));
        assert_eq!(seals.open("home", "$1", &sealed).as_deref(), Some("sesame"));
        assert_eq!(seals.open("home", "$2", &sealed), None);
        assert_eq!(seals.open("work", "$1", &sealed), None);
        for cut in [0, NONCE_LEN, sealed.len() - 1] {
            assert_eq!(seals.open("home", "$1", &sealed[..cut]), None, "{cut}");
        }
        seals.set("home", &[8; 32]);
        assert_eq!(seals.open("home", "$1", &sealed), None, "another key");
        seals.set("home", &[7; 32]);
        assert!(seals.open("home", "$1", &sealed).is_some());
        seals.remove("home");
        assert_eq!(seals.open("home", "$1", &sealed), None, "it was forgotten");
    }
}
