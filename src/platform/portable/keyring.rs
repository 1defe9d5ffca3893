//! The system's own keyring: Keychain, Credential Manager. Each call runs on a thread of its own, since it may wait for
//! the user.

use std::{collections::HashMap, sync::Arc, thread};

use keyring_core::{CredentialStore, Entry, Error};
use tokio::sync::oneshot;

/// The name of the keyring.
#[cfg(target_os = "macos")]
pub(crate) const NAME: &str = "Keychain";
/// The name of the keyring.
#[cfg(windows)]
pub(crate) const NAME: &str = "Credential Manager";

#[cfg(target_os = "macos")]
fn store() -> Result<Arc<CredentialStore>, Error> {
    Ok(apple_native_keyring_store::keychain::Store::new()?)
}

#[cfg(windows)]
fn store() -> Result<Arc<CredentialStore>, Error> {
    Ok(windows_native_keyring_store::Store::new()?)
}

/// The secret that is stored under these names; `None` if there is none. May wait for the user to unlock the keyring:
/// drop the future to stop waiting.
///
/// # Errors
/// When there is no keyring, or it refuses.
pub(crate) async fn get(application: &str, name: &str) -> Result<Option<Vec<u8>>, String> {
    let found = on_a_thread(application, name, |entry| entry.get_secret()).await;
    match found {
        Ok(secret) => Ok(Some(secret)),
        Err(KeyringError::Keyring(Error::NoEntry)) => Ok(None),
        Err(other) => Err(other.to_string()),
    }
}

/// Stores or replaces the secret under these names. `label` is not used here.
///
/// # Errors
/// As for [`get`].
pub(crate) async fn set(application: &str, name: &str, label: &str, secret: &[u8]) -> Result<(), String> {
    let _ = label;
    let secret = secret.to_vec();
    on_a_thread(application, name, move |entry| entry.set_secret(&secret)).await.map_err(|error| error.to_string())
}

/// Deletes the secret stored under these names, if there is one.
///
/// # Errors
/// As for [`get`].
pub(crate) async fn delete(application: &str, name: &str) -> Result<(), String> {
    match on_a_thread(application, name, |entry| entry.delete_credential()).await {
        Ok(()) | Err(KeyringError::Keyring(Error::NoEntry)) => Ok(()),
        Err(other) => Err(other.to_string()),
    }
}

#[derive(Debug, thiserror::Error)]
enum KeyringError {
    #[error("{0}")]
    Keyring(Error),
    #[error("{0}")]
    Thread(std::io::Error),
    #[error("the keyring's library has failed")]
    Lost,
}

async fn on_a_thread<T: Send + 'static>(
    application: &str,
    name: &str,
    work: impl FnOnce(Entry) -> Result<T, Error> + Send + 'static,
) -> Result<T, KeyringError> {
    let (application, name) = (application.to_owned(), name.to_owned());
    let (answer, answered) = oneshot::channel();
    let call = move || {
        let none: Option<&HashMap<&str, &str>> = None;
        // The caller may have stopped waiting.
        drop(answer.send(store().and_then(|store| store.build(&application, &name, none)).and_then(work)));
    };
    thread::Builder::new().name("keyring".to_owned()).spawn(call).map_err(KeyringError::Thread)?;
    answered.await.map_err(|_| KeyringError::Lost)?.map_err(KeyringError::Keyring)
}
