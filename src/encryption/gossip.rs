//! Requests the key of the account's backup from the account's other sessions (specification: "Sharing secrets"). No
//! other secret is requested: requests that the library creates by itself, for example for the keys of the account's
//! identity, are never sent.

use std::{collections::BTreeMap, time::Duration};

use matrix_sdk_crypto::{
    GossipRequest,
    store::{SecretInfo, types::Changes},
};
use ruma::{
    TransactionId,
    api::client::to_device::send_event_to_device,
    events::{
        AnyToDeviceEventContent, ToDeviceEventType,
        secret::request::{RequestAction, SecretName, SecretRequestAction, ToDeviceSecretRequestEventContent},
    },
    serde::Raw,
    to_device::DeviceIdOrAllDevices,
};
use tokio::time::{Instant, sleep_until};

use super::{
    backup,
    error::EncryptionError,
    machine::Machine,
    syncing::INTERVAL,
    trust::{self, VerifyError},
};
use crate::{accounts::SignIn, paths::Paths, secrets::Secrets};

/// How long to wait for an answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a sync waits for a message.
const LONG_POLL: Duration = Duration::from_secs(5);

/// Stores the key of the account's backup, if another session shares it with this one, which has to be verified.
///
/// # Errors
/// When no key was stored.
pub(crate) async fn use_backup_of_session(
    paths: &Paths,
    secrets: &Secrets,
    sign_in: &SignIn,
) -> Result<(), VerifyError> {
    let machine = trust::open(paths, secrets, sign_in).await?;
    if backup::current(&machine).await?.is_none() {
        return Err(VerifyError::NoBackup);
    }
    let id = TransactionId::new();
    let given = ask(&machine, &id).await;
    let store = machine.olm.store();
    // Answers that arrive later are ignored.
    store.delete_outgoing_secret_requests(&id).await.map_err(EncryptionError::from)?;
    store.delete_secrets_from_inbox(&SecretName::RecoveryKey).await.map_err(EncryptionError::from)?;
    let key = given?.ok_or(VerifyError::NotGiven)?;
    backup::keep(&machine, &machine.olm, &key).await
}

/// The secret that another session shares, if one does.
async fn ask(machine: &Machine, id: &TransactionId) -> Result<Option<String>, EncryptionError> {
    let (store, name) = (machine.olm.store(), SecretName::RecoveryKey);
    // Answers are accepted only for a known request.
    let request = GossipRequest {
        request_recipient: machine.olm.user_id().to_owned(),
        request_id: id.to_owned(),
        info: SecretInfo::SecretRequest(name.clone()),
        sent_out: true,
    };
    store.save_changes(Changes { key_requests: vec![request], ..Changes::default() }).await?;
    tell(machine, id, RequestAction::Request(SecretRequestAction::new(name.clone()))).await?;
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        let next = Instant::now() + INTERVAL;
        machine.sync(LONG_POLL).await?;
        machine.upload().await?;
        if let Some(key) = store.get_secrets_from_inbox(&name).await?.pop() {
            tell(machine, id, RequestAction::RequestCancellation).await?;
            return Ok(Some(key.to_string()));
        }
        sleep_until(next).await;
    }
    tell(machine, id, RequestAction::RequestCancellation).await?;
    Ok(None)
}

/// Sends a message to the account's other sessions.
async fn tell(machine: &Machine, id: &TransactionId, action: RequestAction) -> Result<(), EncryptionError> {
    let content = ToDeviceSecretRequestEventContent::new(action, machine.olm.device_id().to_owned(), id.to_owned());
    let content = Raw::new(&AnyToDeviceEventContent::SecretRequest(content))
        .map_err(|error| EncryptionError::Store(error.to_string()))?;
    let to_all = BTreeMap::from([(DeviceIdOrAllDevices::AllDevices, content)]);
    let messages = BTreeMap::from([(machine.olm.user_id().to_owned(), to_all)]);
    let kind = ToDeviceEventType::SecretRequest;
    let request = send_event_to_device::v3::Request::new_raw(kind, TransactionId::new(), messages);
    machine.api.send(request, "sendToDevice").await.map(drop)
}
