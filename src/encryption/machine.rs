//! The encryption keys of a session, open for use.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use hyper::Method;
use matrix_sdk_crypto::{
    DecryptionSettings, EncryptionSyncChanges, MegolmError, OlmMachine, TrustRequirement, VerificationRequest,
    types::{
        events::room::encrypted::EncryptedEvent,
        requests::{AnyOutgoingRequest, KeysQueryRequest, ToDeviceRequest},
    },
    vodozemac::megolm::{DecryptionError, MegolmMessage},
};
use matrix_sdk_sqlite::{SqliteCryptoStore, SqliteStoreConfig};
use ruma::{
    DeviceId, OneTimeKeyAlgorithm, RoomId, TransactionId, UInt, UserId,
    api::client::{keys::get_keys, sync::sync_events::DeviceLists, to_device::send_event_to_device},
    events::{AnyToDeviceEvent, ToDeviceEventType},
    serde::Raw,
};
use serde::Deserialize;
use serde_json::{
    json,
    value::{RawValue, to_raw_value},
};

use super::{
    Trust,
    api::{Api, DEADLINE},
    error::EncryptionError,
    interest::{AccountData, Interest, Rooms},
    store::{Lock, Store},
};
use crate::{
    accounts::SignIn,
    http_client::encode,
    inbox::EncryptedNotice,
    paths::Paths,
    secrets::{Secrets, StoreKey},
    session::Sessions,
};

/// Upper bound of the outgoing requests in one round; the library makes a few.
const MAX_REQUESTS: usize = 64;

/// The path of a `/sync` from this token with this timeout.
pub(super) fn sync_path(since: Option<&str>, wait: Duration, filter: &str) -> String {
    let since = since.map(|since| format!("&since={}", encode(since))).unwrap_or_default();
    format!(
        "/_matrix/client/v3/sync?timeout={}&set_presence=offline&filter={}{since}",
        wait.as_millis(),
        encode(filter)
    )
}

/// The open keys of one session. Cheap to clone; clones share the same keys.
#[derive(Clone)]
pub(super) struct Machine {
    pub(super) olm: OlmMachine,
    pub(super) api: Arc<Api>,
    pub(super) store: Store,
    user: String,
    /// Set if syncs do not advance the store's token: where the next one starts, after the first.
    own_token: Option<Arc<Mutex<Option<String>>>>,
    _lock: Arc<Lock>,
}

/// The result of a sync.
#[derive(Debug, Default)]
pub(super) struct Synced {
    /// Number of to-device messages: if there were any, there may be more.
    pub(super) messages: usize,
    /// The sessions whose keys have arrived.
    pub(super) sessions: BTreeSet<String>,
    /// Whether the room of a ringing call has new events.
    pub(super) has_call_events: bool,
    /// Whether the account's push rules have changed.
    pub(super) has_new_rules: bool,
    /// The latest verification request of another session of the account. It is not given to the library yet: two
    /// verifications at once cancel each other.
    pub(super) request: Option<VerificationAsk>,
}

/// A verification request of another session of the account: the unmodified to-device event.
pub(super) type VerificationAsk = Raw<AnyToDeviceEvent>;

/// An encrypted event as received.
#[derive(Clone, Copy)]
pub(super) struct Encrypted<'a> {
    pub(super) room_id: &'a str,
    pub(super) event_id: &'a str,
    pub(super) sender: &'a str,
    pub(super) content: &'a str,
}

impl<'a> From<&'a EncryptedNotice> for Encrypted<'a> {
    fn from(EncryptedNotice { room_id, event_id, sender, content, .. }: &'a EncryptedNotice) -> Self {
        Self { room_id, event_id, sender, content }
    }
}

/// A decrypted event.
pub(super) struct Plain {
    /// The whole event, for evaluating push rules.
    pub(super) event: Raw<Plain>,
    pub(super) event_type: String,
    pub(super) content: Box<RawValue>,
    /// Session id and message index.
    pub(super) message: String,
}

/// Why an event cannot be decrypted.
#[derive(Debug)]
pub(super) enum Undecryptable {
    /// The key of the session, or of this message in it, is missing.
    LacksKey,
    /// The event is malformed or forged, or belongs to another session than it claims.
    Never(&'static str),
    /// The store failed.
    Store(EncryptionError),
}

/// The answer to a sync, not processed yet; until then the homeserver sends it again.
#[derive(Deserialize)]
pub(super) struct SyncAnswer {
    pub(super) next_batch: String,
    #[serde(default)]
    pub(super) rooms: Rooms,
    #[serde(default)]
    pub(super) account_data: AccountData,
    #[serde(default)]
    to_device: ToDevice,
    #[serde(default)]
    device_lists: DeviceLists,
    #[serde(default)]
    device_one_time_keys_count: BTreeMap<OneTimeKeyAlgorithm, UInt>,
    #[serde(default)]
    device_unused_fallback_key_types: Option<Vec<OneTimeKeyAlgorithm>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ToDevice {
    events: Vec<Raw<AnyToDeviceEvent>>,
}

#[derive(Deserialize)]
struct RequestEvent {
    sender: String,
    content: RequestContent,
}

#[derive(Deserialize)]
struct RequestContent {
    transaction_id: String,
}

#[derive(Deserialize)]
struct PlainEvent {
    r#type: String,
    content: Box<RawValue>,
}

#[derive(Deserialize)]
struct Ciphertext {
    ciphertext: String,
    session_id: String,
}

fn settings() -> DecryptionSettings {
    // A notifier that hides what other clients show would be worse than one that shows messages of unsigned devices.
    DecryptionSettings { sender_device_trust_requirement: TrustRequirement::Untrusted }
}

impl Machine {
    /// Opens the session's keys, or creates them. Waits up to this long for another process that has them open. Also
    /// returns the key of the store.
    pub(super) async fn open(
        paths: &Paths,
        secrets: &Secrets,
        sign_in: &SignIn,
        patience: Duration,
    ) -> Result<(Self, StoreKey), EncryptionError> {
        let store = Store::of(paths, sign_in);
        let lock = store.lock(patience).await?;
        let api = Arc::new(Api::new(Sessions::new(secrets.clone()), sign_in.clone()));
        if !store.exists() && device_keys(&api, &sign_in.user_id, &sign_in.device_id).await?.is_some() {
            return Err(EncryptionError::ForeignDevice(sign_in.user_id.clone()));
        }
        let key = store.key(secrets, sign_in).await?;
        let config = SqliteStoreConfig::with_low_memory_config(&store.directory).key(Some(&key));
        let user = UserId::parse(&sign_in.user_id).map_err(|error| EncryptionError::Store(error.to_string()))?;
        let device = <&DeviceId>::from(sign_in.device_id.as_str());
        let database = SqliteCryptoStore::open_with_config(&config).await?;
        let olm = OlmMachine::with_store(&user, device, database, None).await?;
        let user = sign_in.user_id.clone();
        Ok((Self { olm, api, store, user, own_token: None, _lock: Arc::new(lock) }, key))
    }

    /// The same for a command, whose syncs do not report events of rooms: the store's token is set only if there is none, so
    /// that the running program still receives them. It may receive to-device messages twice.
    pub(super) fn keeping_token(self) -> Self {
        Self { own_token: Some(Arc::default()), ..self }
    }

    /// Sends all outgoing requests: key uploads and device queries.
    pub(super) async fn upload(&self) -> Result<(), EncryptionError> {
        let mut sent = 0;
        loop {
            let requests = self.olm.outgoing_requests().await?;
            if requests.is_empty() || sent >= MAX_REQUESTS {
                return Ok(());
            }
            for request in requests {
                sent += 1;
                self.send(request.request_id(), request.request()).await?;
            }
        }
    }

    /// Sends one outgoing request.
    async fn send(&self, id: &TransactionId, request: &AnyOutgoingRequest) -> Result<(), EncryptionError> {
        match request {
            AnyOutgoingRequest::KeysUpload(upload) => {
                if upload.device_keys.is_some() {
                    self.refuse_foreign_device().await?;
                }
                let uploaded = self.api.send(upload.clone(), "keys/upload").await.map_err(|error| {
                    if !error.is_refused() {
                        return error;
                    }
                    // The homeserver has different one-time keys with the same ids.
                    self.store.mark_unusable();
                    EncryptionError::Outdated(self.user.clone())
                })?;
                self.olm.mark_request_as_sent(id, &uploaded).await?;
            }
            AnyOutgoingRequest::KeysQuery(query) => self.query(id, query).await?,
            AnyOutgoingRequest::KeysClaim(claim) => {
                let claimed = self.api.send(claim.clone(), "keys/claim").await?;
                self.olm.mark_request_as_sent(id, &claimed).await?;
            }
            // After a verification the library requests the identity's keys and the backup's key. These requests are
            // not sent, and unrequested secrets are not accepted.
            AnyOutgoingRequest::ToDeviceRequest(message) if message.event_type == ToDeviceEventType::SecretRequest => {
                self.olm.mark_request_as_sent(id, &send_event_to_device::v3::Response::new()).await?;
                self.olm.store().delete_outgoing_secret_requests(id).await?;
            }
            AnyOutgoingRequest::ToDeviceRequest(message) => self.send_to_device(message).await?,
            AnyOutgoingRequest::SignatureUpload(signatures) => {
                let uploaded = self.api.send(signatures.clone(), "keys/signatures/upload").await?;
                self.olm.mark_request_as_sent(id, &uploaded).await?;
            }
            // In-room verification, which is never started here.
            AnyOutgoingRequest::RoomMessage(_) => {}
        }
        Ok(())
    }

    pub(super) async fn send_to_device(&self, message: &ToDeviceRequest) -> Result<(), EncryptionError> {
        let ToDeviceRequest { event_type, txn_id, messages } = message.clone();
        let request = send_event_to_device::v3::Request::new_raw(event_type, txn_id, messages);
        let sent = self.api.send(request, "sendToDevice").await?;
        Ok(self.olm.mark_request_as_sent(&message.txn_id, &sent).await?)
    }

    async fn query(&self, id: &TransactionId, query: &KeysQueryRequest) -> Result<(), EncryptionError> {
        let mut request = get_keys::v3::Request::new();
        request.device_keys.clone_from(&query.device_keys);
        let queried = self.api.send(request, "keys/query").await?;
        Ok(self.olm.mark_request_as_sent(id, &queried).await?)
    }

    /// Queries the devices and the identity of the account's own user.
    pub(super) async fn query_own_user(&self) -> Result<(), EncryptionError> {
        let (id, query) = self.olm.query_keys_for_users([self.olm.user_id()]);
        self.query(&id, &query).await
    }

    /// A device with other keys belongs to somebody else: it must not be modified.
    async fn refuse_foreign_device(&self) -> Result<(), EncryptionError> {
        let (user, device) = (self.olm.user_id().as_str(), self.olm.device_id().as_str());
        let keys = device_keys(&self.api, user, device).await?;
        let ours = self.olm.identity_keys().curve25519.to_base64();
        let is_ours = |keys: &serde_json::Value| {
            keys.get("keys").and_then(|keys| keys.get(format!("curve25519:{device}"))).is_some_and(|key| *key == ours)
        };
        if keys.as_ref().is_none_or(is_ours) {
            return Ok(());
        }
        self.store.mark_unusable();
        Err(EncryptionError::ForeignDevice(self.user.clone()))
    }

    /// A deleted device has no keys at the homeserver, and cannot upload the same ones again.
    pub(super) async fn refuse_deleted_device(&self) -> Result<(), EncryptionError> {
        let (user, device) = (self.olm.user_id().as_str(), self.olm.device_id().as_str());
        if device_keys(&self.api, user, device).await?.is_some() {
            return Ok(());
        }
        self.store.mark_unusable();
        Err(EncryptionError::Deleted(self.user.clone()))
    }

    /// One sync of to-device messages only. Returns when there is something, or after the timeout. Must not run
    /// concurrently with another sync.
    pub(super) async fn sync(&self, timeout: Duration) -> Result<Synced, EncryptionError> {
        let answer = self.poll(timeout, &Interest::default().filter()).await?;
        self.take_in(answer).await
    }

    /// The token of the next sync; `None` before the first.
    pub(super) async fn token(&self) -> Result<Option<String>, EncryptionError> {
        let own = self.own_token.as_ref();
        let own = own.and_then(|own| own.lock().unwrap_or_else(PoisonError::into_inner).clone());
        if own.is_some() {
            return Ok(own);
        }
        Ok(self.olm.store().next_batch_token().await?)
    }

    /// Requests a sync. Cancel-safe.
    pub(super) async fn poll(&self, timeout: Duration, filter: &str) -> Result<SyncAnswer, EncryptionError> {
        let path = sync_path(self.token().await?.as_deref(), timeout, filter);
        self.api.get(&path, "sync", timeout + DEADLINE).await
    }

    /// Processes the answer to a sync. Not cancel-safe.
    pub(super) async fn take_in(&self, answer: SyncAnswer) -> Result<Synced, EncryptionError> {
        let (messages, has_new_rules) = (answer.to_device.events.len(), answer.account_data.has_push_rules());
        let (mut requests, to_device_events): (Vec<_>, Vec<_>) =
            answer.to_device.events.into_iter().partition(is_verification_request);
        requests.retain(|request| is_by(request, &self.user));
        let is_first = self.token().await?.is_none();
        let own_token = self.own_token.as_ref().filter(|_| !is_first);
        let changes = EncryptionSyncChanges {
            to_device_events,
            changed_devices: &answer.device_lists,
            one_time_keys_counts: &answer.device_one_time_keys_count,
            unused_fallback_keys: answer.device_unused_fallback_key_types.as_deref(),
            next_batch_token: own_token.is_none().then(|| answer.next_batch.clone()),
        };
        let (_, keys) = self.olm.receive_sync_changes(changes, &settings()).await?;
        if let Some(own_token) = own_token {
            *own_token.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer.next_batch);
        }
        let sessions = keys.into_iter().map(|key| key.session_id).collect();
        Ok(Synced { messages, sessions, request: requests.pop(), has_call_events: false, has_new_rules })
    }

    /// Gives a verification request to the library; `None` if it is too old, or from an unknown device.
    pub(super) async fn receive_request(
        &self,
        request: VerificationAsk,
    ) -> Result<Option<VerificationRequest>, EncryptionError> {
        let RequestEvent { content, .. } =
            request.deserialize_as_unchecked().map_err(|_| EncryptionError::Unexpected("sync"))?;
        let changes = EncryptionSyncChanges {
            to_device_events: vec![request],
            changed_devices: &DeviceLists::default(),
            one_time_keys_counts: &BTreeMap::new(),
            unused_fallback_keys: None,
            next_batch_token: None,
        };
        self.olm.receive_sync_changes(changes, &settings()).await?;
        Ok(self.olm.get_verification_request(self.olm.user_id(), content.transaction_id))
    }

    /// Decrypts the event with the keys in the store, without any request.
    pub(super) async fn decrypt(&self, encrypted: Encrypted<'_>) -> Result<Plain, Undecryptable> {
        let malformed = |_| Undecryptable::Never("it is malformed");
        let content = RawValue::from_string(encrypted.content.to_owned()).map_err(malformed)?;
        let room = RoomId::parse(encrypted.room_id).map_err(|_| Undecryptable::Never("its room has no valid id"))?;
        let ciphertext: Ciphertext = serde_json::from_str(content.get()).map_err(malformed)?;
        let message = MegolmMessage::from_base64(&ciphertext.ciphertext)
            .map_err(|_| Undecryptable::Never("its ciphertext is malformed"))?;
        let event = json!({
            "type": "m.room.encrypted", "event_id": encrypted.event_id, "sender": encrypted.sender,
            "room_id": encrypted.room_id, "origin_server_ts": 0, "content": content,
        });
        let event: Raw<EncryptedEvent> = Raw::from_json(to_raw_value(&event).map_err(malformed)?);
        let decrypted = self.olm.decrypt_room_event(&event, &room, &settings()).await.map_err(|error| match error {
            MegolmError::MissingRoomKey(_) | MegolmError::Decryption(DecryptionError::UnknownMessageIndex(..)) => {
                Undecryptable::LacksKey
            }
            MegolmError::Store(error) => Undecryptable::Store(error.into()),
            MegolmError::EventError(_)
            | MegolmError::JsonError(_)
            | MegolmError::MismatchedIdentityKeys(_)
            | MegolmError::Decode(_)
            | MegolmError::Decryption(_)
            | MegolmError::SenderIdentityNotTrusted(_) => {
                Undecryptable::Never("it cannot be decrypted with the key of its session")
            }
        })?;
        if is_forged(&decrypted.encryption_info.verification_state) {
            return Err(Undecryptable::Never("it is not by the sender that it names"));
        }
        let json = decrypted.event.into_json();
        let PlainEvent { r#type: event_type, content } =
            serde_json::from_str(json.get()).map_err(|_| Undecryptable::Never("what it says is malformed"))?;
        let message = format!("{} {}", ciphertext.session_id, message.message_index());
        Ok(Plain { event: Raw::from_json(json), event_type, content, message })
    }

    /// Whether the session is verified, as far as known.
    pub(super) async fn trust(&self) -> Result<Trust, EncryptionError> {
        let (user, device) = (self.olm.user_id(), self.olm.device_id());
        if self.olm.get_identity(user, None).await?.is_none() {
            return Ok(Trust::NoIdentity);
        }
        let device = self.olm.get_device(user, device, None).await?;
        let is_signed = device.is_some_and(|device| device.is_cross_signed_by_owner());
        Ok(if is_signed { Trust::Verified } else { Trust::Unverified })
    }
}

fn is_verification_request(event: &Raw<AnyToDeviceEvent>) -> bool {
    matches!(event.get_field::<&str>("type"), Ok(Some("m.key.verification.request")))
}

fn is_by(request: &VerificationAsk, user: &str) -> bool {
    request.deserialize_as_unchecked::<RequestEvent>().is_ok_and(|request| request.sender == user)
}

/// The keys of this device at the homeserver.
async fn device_keys(api: &Api, user: &str, device: &str) -> Result<Option<serde_json::Value>, EncryptionError> {
    let query = json!({"device_keys": {user: [device]}}).to_string();
    let path = "/_matrix/client/v3/keys/query";
    let answer = api.ask(Method::POST, path, Some(query.into()), DEADLINE).await?;
    let answer: serde_json::Value =
        serde_json::from_slice(&answer).map_err(|_| EncryptionError::Unexpected("keys/query"))?;
    let devices = answer.get("device_keys").and_then(|users| users.get(user));
    Ok(devices.and_then(|devices| devices.get(device)).cloned())
}

/// Whether the key belongs to another sender than the homeserver claims.
fn is_forged(state: &matrix_sdk_common::deserialized_responses::VerificationState) -> bool {
    use matrix_sdk_common::deserialized_responses::{VerificationLevel, VerificationState};
    matches!(state, VerificationState::Unverified(VerificationLevel::MismatchedSender))
}

/// The session id of a notice's ciphertext.
pub(super) fn session_of(notice: &EncryptedNotice) -> Option<String> {
    serde_json::from_str::<Ciphertext>(&notice.content).ok().map(|ciphertext| ciphertext.session_id)
}
