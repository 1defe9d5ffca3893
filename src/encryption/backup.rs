//! The account's key backup. It is read if the user has provided its key, and never written.
//!
//! Keys from the backup do not authenticate the sender any better than whoever wrote the backup; a message whose sender
//! does not match its key is refused all the same.

use std::collections::BTreeSet;

use matrix_sdk_crypto::{
    OlmMachine, olm::ExportedRoomKey, store::types::BackupDecryptionKey, types::RoomKeyBackupInfo,
};
use ruma::{RoomId, api::client::backup::EncryptedSessionData};
use serde::Deserialize;

use super::{api::DEADLINE, error::EncryptionError, machine::Machine, trust::VerifyError};
use crate::http_client::encode;

/// Room id and session id of a wanted key.
pub(super) type Session = (String, String);

/// Whether the account's backup is the one whose key is stored here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BackupState {
    /// The user has not provided its key.
    Unused,
    /// It is the same.
    Current,
    /// It was deleted or replaced.
    Reset,
    /// The homeserver did not say.
    Unknown,
}

#[derive(Deserialize)]
pub(super) struct Version {
    version: String,
    #[serde(flatten)]
    info: serde_json::Value,
}

#[derive(Deserialize)]
struct KeyAnswer {
    session_data: EncryptedSessionData,
}

/// The current backup at the homeserver.
pub(super) async fn current(machine: &Machine) -> Result<Option<Version>, EncryptionError> {
    match machine.api.get("/_matrix/client/v3/room_keys/version", "room_keys/version", DEADLINE).await {
        Err(error) if error.is_refused() => Ok(None),
        found => found.map(Some),
    }
}

/// The stored key and its version.
async fn key(machine: &Machine) -> Result<Option<(BackupDecryptionKey, String)>, EncryptionError> {
    let keys = machine.olm.backup_machine().get_backup_keys().await?;
    Ok(keys.decryption_key.zip(keys.backup_version))
}

/// The version of the backup whose key is stored.
pub(super) async fn version(machine: &Machine) -> Result<Option<String>, EncryptionError> {
    Ok(key(machine).await?.map(|(_, version)| version))
}

/// Asks whether the stored key still belongs to the account's backup. Messages are decrypted in any case.
pub(super) async fn state(machine: &Machine) -> Result<BackupState, EncryptionError> {
    let Some(version) = version(machine).await? else { return Ok(BackupState::Unused) };
    Ok(match current(machine).await {
        Ok(Some(current)) if current.version == version => BackupState::Current,
        Ok(_) => BackupState::Reset,
        Err(error) if error.is_final() => return Err(error),
        Err(error) => {
            tracing::info!("whether the key backup is still the same is not known: {error}");
            BackupState::Unknown
        }
    })
}

/// Imports the keys of these sessions from the backup, and returns those it had. A failed request is logged only: keys
/// may come from elsewhere.
pub(super) async fn fetch(machine: &Machine, wanted: &BTreeSet<Session>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for session in wanted {
        match fetch_one(machine, session).await {
            Ok(true) => {
                found.insert(session.1.clone());
            }
            Ok(false) => {}
            Err(error) => {
                tracing::info!("the key backup is not read: {error}");
                break;
            }
        }
    }
    found
}

/// Imports the key of a session. Returns whether the backup has it.
async fn fetch_one(machine: &Machine, (room, session): &Session) -> Result<bool, EncryptionError> {
    let Some((key, version)) = key(machine).await? else { return Ok(false) };
    let Ok(room_id) = RoomId::parse(room) else { return Ok(false) };
    let path = ["room_keys", "keys", &encode(room), &encode(session)].join("/");
    let path = format!("/_matrix/client/v3/{path}?version={}", encode(&version));
    let answer: KeyAnswer = match machine.api.get(&path, "room_keys/keys", DEADLINE).await {
        // It has no such key, or no longer exists.
        Err(error) if error.is_refused() => return Ok(false),
        answer => answer?,
    };
    let Ok(room_key) = key.decrypt_session_data(answer.session_data) else { return Ok(false) };
    let exported = ExportedRoomKey::from_backed_up_room_key(room_id, session.clone(), room_key);
    let imported = machine.olm.store().import_room_keys(vec![exported], Some(&version), |_, _| {}).await?;
    Ok(imported.imported_count > 0)
}

/// Stores the key of the account's backup, if it matches the backup at the homeserver, and that was signed by a
/// verified session of the account or by its identity. `verifier` knows the identity.
pub(super) async fn keep(machine: &Machine, verifier: &OlmMachine, key: &str) -> Result<(), VerifyError> {
    let key = BackupDecryptionKey::from_base64(key).map_err(|_| VerifyError::NoBackup)?;
    let Version { version, info } = current(machine).await?.ok_or(VerifyError::NoBackup)?;
    let info: RoomKeyBackupInfo = serde_json::from_value(info).map_err(|_| VerifyError::OtherBackup)?;
    let fits = key.backup_key_matches(&info);
    let signatures = verifier.backup_machine().verify_backup(info, false).await.map_err(EncryptionError::from)?;
    if !fits || !signatures.trusted() {
        return Err(VerifyError::OtherBackup);
    }
    let backup = machine.olm.backup_machine();
    Ok(backup.save_decryption_key(Some(key), Some(version)).await.map_err(EncryptionError::from)?)
}
