//! Verifies a session: uploads its keys, and signs its device with the account's identity.

use std::{io, time::Duration};

use matrix_sdk_crypto::{
    CrossSigningKeyExport, Device, OlmMachine, secret_storage::SecretStorageKey, vodozemac::olm::IdentityKeys,
};
use ruma::{
    DeviceId,
    api::client::keys::get_keys,
    events::{
        EventContentFromType as _, secret::request::SecretName, secret_storage::key::SecretStorageKeyEventContent,
    },
};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::{SetUp, Trust, api::DEADLINE, backup, error::EncryptionError, machine::Machine, session_state};
use crate::{accounts::SignIn, http_client::encode, paths::Paths, secrets::Secrets};

/// How long a command waits for another process that has the keys open.
const PATIENCE: Duration = Duration::from_secs(20);

/// Why a session could not be verified.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VerifyError {
    /// The account has no secret storage.
    #[error("the account has no recovery key: set one up in your usual client (in Element: Settings, Encryption)")]
    NoRecoveryKey,
    /// The text is not the account's recovery key.
    #[error("this is not the account's recovery key or passphrase")]
    WrongKey,
    /// The secret storage does not contain the signing key.
    #[error("the account's recovery key does not open what signs sessions: reset it in your usual client")]
    NothingToSignWith,
    /// The homeserver has other keys for this session than were uploaded.
    #[error("the homeserver has other keys for this session than Pushbell's: nothing was signed")]
    OtherKeys,
    /// No other session of the account is able to verify it.
    #[error("no other session of the account is verified and can compare emoji: use the recovery key")]
    NoOtherSession,
    /// The emoji differ.
    #[error(
        "the emoji did not match: nothing was verified. If you compared the right ones, somebody may be between the two \
         sessions"
    )]
    NoMatch,
    /// Nobody continued the verification.
    #[error("nobody answered within ten minutes: start again, and accept in the other session")]
    TimedOut,
    /// It was cancelled, for this reason.
    #[error("the verification has ended: {0}")]
    Cancelled(&'static str),
    /// The emoji matched, but the signature did not arrive.
    #[error("the other session has not signed this one: is it verified itself? The recovery key does without it")]
    NotSigned,
    /// There is no backup, or its key is not in the secret storage.
    #[error("the account has no key backup, or its recovery key does not open it: set it up in your usual client")]
    NoBackup,
    /// No other session has shared the backup's key.
    #[error("no other session of the account has given the key of its backup: the recovery key opens it too")]
    NotGiven,
    /// The backup at the homeserver is a different one.
    #[error("the key backup at the homeserver is not the one that this key opens, or nobody trusted has signed it")]
    OtherBackup,
    #[error(transparent)]
    Failed(#[from] EncryptionError),
}

impl VerifyError {
    /// Whether entering another text may help.
    pub(crate) fn is_wrong_key(&self) -> bool {
        matches!(self, Self::WrongKey)
    }
}

/// Creates the session's keys if there are none, and uploads them, so that senders can share room keys with it from now
/// on.
///
/// # Errors
/// When encrypted messages cannot be decrypted.
pub(crate) async fn set_up(paths: &Paths, secrets: &Secrets, sign_in: &SignIn) -> Result<SetUp, EncryptionError> {
    let machine = open(paths, secrets, sign_in).await?;
    if let Some(request) = machine.sync(Duration::ZERO).await?.request {
        session_state::keep_request(&machine, &request).await?;
    }
    machine.upload().await?;
    let devices = machine.olm.get_user_devices(machine.olm.user_id(), None).await?;
    let is_other = |device: &Device| !device.is_our_own_device() && device.is_cross_signed_by_owner();
    Ok(SetUp {
        trust: machine.trust().await?,
        has_other_sessions: devices.devices().any(|device| is_other(&device)),
        is_asked: session_state::is_asked(&machine).await?,
    })
}

/// Opens the session's keys for a command, uploads them, and queries the account's devices.
pub(super) async fn open(paths: &Paths, secrets: &Secrets, sign_in: &SignIn) -> Result<Machine, EncryptionError> {
    let (machine, _) = Machine::open(paths, secrets, sign_in, PATIENCE).await?;
    let machine = machine.keeping_token();
    machine.upload().await?;
    machine.refuse_deleted_device().await?;
    machine.query_own_user().await?;
    Ok(machine)
}

/// Signs the session's device with the account's identity, whose keys are opened with this recovery key and not stored.
///
/// # Errors
/// When the session was not verified.
pub(crate) async fn verify(
    paths: &Paths,
    secrets: &Secrets,
    sign_in: &SignIn,
    recovery_key: &str,
) -> Result<(), VerifyError> {
    let machine = open(paths, secrets, sign_in).await?;
    let storage = SecretStorage::open(&machine, recovery_key).await?;
    let self_signing_key = storage.secret(&SecretName::CrossSigningSelfSigningKey).await?;
    let key = CrossSigningKeyExport {
        master_key: None,
        self_signing_key: Some(self_signing_key.ok_or(VerifyError::NothingToSignWith)?),
        user_signing_key: None,
    };
    let signer = identity(&machine, key).await?;
    let own = own_device(&signer, machine.olm.device_id(), &machine.olm.identity_keys()).await?;
    let signature = own.verify().await.map_err(|_| VerifyError::NothingToSignWith)?;
    machine.api.send(signature, "keys/signatures/upload").await?;
    machine.query_own_user().await?;
    match machine.trust().await? {
        Trust::Verified => Ok(()),
        Trust::NoIdentity | Trust::Unverified => Err(VerifyError::NothingToSignWith),
    }
}

/// Stores the key of the account's backup, opened with this recovery key. From then on keys that were not shared with
/// this session are fetched from the backup.
///
/// # Errors
/// When no key was stored.
pub(crate) async fn use_backup(
    paths: &Paths,
    secrets: &Secrets,
    sign_in: &SignIn,
    recovery_key: &str,
) -> Result<(), VerifyError> {
    let machine = open(paths, secrets, sign_in).await?;
    let storage = SecretStorage::open(&machine, recovery_key).await?;
    let backup_key = storage.secret(&SecretName::RecoveryKey).await?.ok_or(VerifyError::NoBackup)?;
    let key = CrossSigningKeyExport {
        master_key: storage.secret(&SecretName::CrossSigningMasterKey).await?,
        self_signing_key: storage.secret(&SecretName::CrossSigningSelfSigningKey).await?,
        user_signing_key: storage.secret(&SecretName::CrossSigningUserSigningKey).await?,
    };
    backup::keep(&machine, &identity(&machine, key).await?, &backup_key).await
}

/// The account's secret storage, opened.
struct SecretStorage<'a> {
    machine: &'a Machine,
    id: String,
    key: SecretStorageKey,
}

impl<'a> SecretStorage<'a> {
    /// Opens it with a recovery key or a passphrase.
    async fn open(machine: &'a Machine, text: &str) -> Result<Self, VerifyError> {
        #[derive(Deserialize)]
        struct DefaultKey {
            key: String,
        }
        let Some(default) = account_data(machine, "m.secret_storage.default_key").await? else {
            return Err(VerifyError::NoRecoveryKey);
        };
        let DefaultKey { key: id } = serde_json::from_str(default.get()).map_err(|_| VerifyError::NoRecoveryKey)?;
        let event_type = format!("m.secret_storage.key.{id}");
        let content = account_data(machine, &event_type).await?.ok_or(VerifyError::NoRecoveryKey)?;
        let content = SecretStorageKeyEventContent::from_parts(&event_type, &content)
            .map_err(|_| EncryptionError::Unexpected("account_data"))?;
        let text = text.to_owned();
        // Deriving a key from a passphrase takes half a second.
        let key = tokio::task::spawn_blocking(move || SecretStorageKey::from_account_data(&text, content)).await;
        let key = key.map_err(|error| EncryptionError::Store(io::Error::from(error).to_string()))?;
        Ok(Self { machine, id, key: key.map_err(|_| VerifyError::WrongKey)? })
    }

    /// A secret of the account.
    async fn secret(&self, name: &SecretName) -> Result<Option<String>, VerifyError> {
        let Some(content) = account_data(self.machine, name.as_str()).await? else { return Ok(None) };
        let content: Value = serde_json::from_str(content.get()).unwrap_or_default();
        let encrypted = content.get("encrypted").and_then(|encrypted| encrypted.get(&self.id));
        let Some(encrypted) = encrypted else { return Ok(None) };
        let Ok(encrypted) = serde_json::from_value(encrypted.clone()) else { return Ok(None) };
        let opened = self.key.decrypt(&encrypted, name).map_err(|_| VerifyError::NothingToSignWith)?;
        Ok(String::from_utf8(opened).ok())
    }
}

async fn account_data(machine: &Machine, event_type: &str) -> Result<Option<Box<RawValue>>, EncryptionError> {
    let user = encode(machine.olm.user_id().as_str());
    let path = format!("/_matrix/client/v3/user/{user}/account_data/{}", encode(event_type));
    match machine.api.get(&path, "account_data", DEADLINE).await {
        Err(error) if error.is_refused() => Ok(None),
        found => found.map(Some),
    }
}

/// A temporary in-memory machine with these keys of the account's identity; none of them is stored.
async fn identity(machine: &Machine, keys: CrossSigningKeyExport) -> Result<OlmMachine, VerifyError> {
    let user = machine.olm.user_id();
    let identity = OlmMachine::new(user, "SIGNER".into()).await;
    let (id, query) = identity.query_keys_for_users([user]);
    let mut request = get_keys::v3::Request::new();
    request.device_keys = query.device_keys;
    let queried = machine.api.send(request, "keys/query").await?;
    identity.mark_request_as_sent(&id, &queried).await.map_err(EncryptionError::from)?;
    identity.import_cross_signing_keys(keys).await.map_err(|_| VerifyError::NothingToSignWith)?;
    Ok(identity)
}

/// The account's device with this id at the homeserver, if its keys match: otherwise a homeserver could have its own
/// keys signed under that id.
async fn own_device(signer: &OlmMachine, device: &DeviceId, keys: &IdentityKeys) -> Result<Device, VerifyError> {
    let found = signer.get_device(signer.user_id(), device, None).await.map_err(EncryptionError::from)?;
    let found = found.ok_or(VerifyError::NothingToSignWith)?;
    if found.ed25519_key() == Some(keys.ed25519) { Ok(found) } else { Err(VerifyError::OtherKeys) }
}

#[cfg(test)]
mod tests {
    use matrix_sdk_crypto::types::requests::AnyOutgoingRequest;
    use ruma::user_id;

    use super::*;

    #[tokio::test]
    async fn no_keys_but_its_own_are_signed_under_its_name() {
        let user = user_id!("@alice:hs.test");
        let (ours, others) = (OlmMachine::new(user, "DESK".into()).await, OlmMachine::new(user, "DESK".into()).await);
        // A homeserver that returns keys of another device.
        let signer = OlmMachine::new(user, "SIGNER".into()).await;
        let (id, _) = signer.query_keys_for_users([user]);
        let keys = others.outgoing_requests().await.unwrap().into_iter().find_map(|request| {
            let AnyOutgoingRequest::KeysUpload(upload) = request.request() else { return None };
            upload.device_keys.clone()
        });
        let mut answer = get_keys::v3::Response::new();
        answer.device_keys.entry(user.to_owned()).or_default().insert("DESK".into(), keys.unwrap());
        signer.mark_request_as_sent(&id, &answer).await.unwrap();

        let refused = own_device(&signer, "DESK".into(), &ours.identity_keys()).await;
        assert!(matches!(refused, Err(VerifyError::OtherKeys)), "{refused:?}");
        own_device(&signer, "DESK".into(), &others.identity_keys()).await.unwrap();
    }
}
