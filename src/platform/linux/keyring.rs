//! The Secret Service (GNOME Keyring, `KWallet`, `KeePassXC`), over a connection that is opened for each call, so that
//! it costs nothing otherwise.

use std::collections::HashMap;

use secret_service::{EncryptionType, Error, Item, SecretService};

/// The name of the keyring.
pub(crate) const NAME: &str = "Secret Service";

/// The secret that is stored under these names; `None` if there is none. May wait for the user to unlock the keyring:
/// drop the future to stop waiting.
///
/// # Errors
/// When there is no keyring, or it refuses.
pub(crate) async fn get(application: &str, name: &str) -> Result<Option<Vec<u8>>, String> {
    let service = open().await?;
    let attributes = attributes(application, name);
    let found = find(&service, &attributes).await?;
    match found.first() {
        Some(item) => item.get_secret().await.map(Some).map_err(|error| describe(&error)),
        None => Ok(None),
    }
}

/// Stores or replaces the secret under these names. `label` is its title in a list of secrets.
///
/// # Errors
/// As for [`get`].
pub(crate) async fn set(application: &str, name: &str, label: &str, secret: &[u8]) -> Result<(), String> {
    let service = open().await?;
    // Not the session collection, which is lost at logout.
    let collection = service.get_default_collection().await.map_err(|error| describe(&error))?;
    collection.ensure_unlocked().await.map_err(|error| describe(&error))?;
    let item = collection.create_item(label, attributes(application, name), secret, true, "application/json").await;
    item.map(drop).map_err(|error| describe(&error))
}

/// Deletes the secret stored under these names, if there is one.
///
/// # Errors
/// As for [`get`].
pub(crate) async fn delete(application: &str, name: &str) -> Result<(), String> {
    let service = open().await?;
    for item in find(&service, &attributes(application, name)).await? {
        item.delete().await.map_err(|error| describe(&error))?;
    }
    Ok(())
}

async fn open() -> Result<SecretService<'static>, String> {
    SecretService::connect(EncryptionType::Dh).await.map_err(|error| describe(&error))
}

async fn find<'a>(service: &'a SecretService<'_>, attributes: &HashMap<&str, &str>) -> Result<Vec<Item<'a>>, String> {
    let found = service.search_items(attributes.clone()).await.map_err(|error| describe(&error))?;
    for item in &found.locked {
        item.ensure_unlocked().await.map_err(|error| describe(&error))?;
    }
    Ok(found.unlocked.into_iter().chain(found.locked).collect())
}

fn attributes<'a>(application: &'a str, name: &'a str) -> HashMap<&'a str, &'a str> {
    HashMap::from([("application", application), ("name", name)])
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the library may add errors")]
fn describe(error: &Error) -> String {
    match error {
        Error::Unavailable => "there is no keyring".to_owned(),
        Error::Zbus(zbus::Error::MethodError(name, ..)) if name.as_str().ends_with(".ServiceUnknown") => {
            "there is no keyring".to_owned()
        }
        Error::Locked => "the keyring is locked".to_owned(),
        Error::Prompt => "the keyring was not unlocked".to_owned(),
        Error::NoResult => "the keyring has no default collection to keep secrets in".to_owned(),
        other => other.to_string(),
    }
}
