//! Another encrypting client: one that writes to Alice, or Alice's own other client.

use std::{
    borrow::Cow,
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

use hyper::{Method, http};
use matrix_sdk_crypto::{
    CollectStrategy, DecryptionSettings, EncryptionSettings, EncryptionSyncChanges, OlmMachine, Sas, TrustRequirement,
    VerificationRequest, VerificationRequestState,
    secret_storage::SecretStorageKey,
    store::types::BackupDecryptionKey,
    types::{
        RoomKeyBackupInfo,
        requests::{AnyOutgoingRequest, OutgoingVerificationRequest, ToDeviceRequest},
    },
};
use ruma::{
    OwnedUserId, RoomId, UserId,
    api::{
        IncomingResponse, MatrixVersion, OutgoingRequest, SupportedVersions,
        auth_scheme::{AuthScheme, SendAccessToken},
        client::{
            backup::add_backup_keys, keys::get_keys, sync::sync_events::DeviceLists, to_device::send_event_to_device,
        },
        path_builder::VersionHistory,
    },
    events::{
        EventContentFromType as _, secret::request::SecretName, secret_storage::key::SecretStorageKeyEventContent,
    },
    serde::Raw,
};
use serde_json::{Value, json, value::to_raw_value};

use crate::rig::{SOON, Synapse, bus::block_on, http as web, synapse::User, wait_for, wait_until};

/// A signed-in client with its keys in memory.
pub(crate) struct Client {
    pub(crate) user: User,
    port: u16,
    olm: OlmMachine,
    /// Whether it sends keys only to verified sessions.
    pub(crate) excludes_insecure_devices: bool,
    /// The token at which its next sync starts.
    since: RefCell<Option<String>>,
    /// To-device events from other devices.
    received: RefCell<Vec<Value>>,
}

impl Client {
    /// A client for this user's session; uploads its keys.
    pub(crate) fn new(synapse: &Synapse, user: &User) -> Self {
        let who = user.request(&Method::GET, "account/whoami", &Value::Null);
        let device = who["device_id"].as_str().unwrap();
        let id = UserId::parse(&user.id).unwrap();
        let olm = block_on(OlmMachine::new(&id, device.into()));
        let client = Self {
            user: user.clone(),
            port: synapse.port,
            olm,
            excludes_insecure_devices: false,
            since: RefCell::default(),
            received: RefCell::default(),
        };
        client.upload();
        client
    }

    /// Sends a request of the client-server API.
    fn send<R>(&self, request: R) -> R::IncomingResponse
    where
        R: OutgoingRequest<PathBuilder = VersionHistory>,
        for<'a> R::Authentication: AuthScheme<Input<'a> = SendAccessToken<'a>>,
    {
        let versions = SupportedVersions { versions: [MatrixVersion::V1_11].into(), features: BTreeSet::default() };
        let token = SendAccessToken::IfRequired("");
        let request =
            request.try_into_http_request::<Vec<u8>>("http://localhost", token, Cow::Owned(versions)).unwrap();
        let (head, body) = request.into_parts();
        let path = head.uri.path_and_query().unwrap().as_str();
        let answer = web::request(self.port, &head.method, path, Some(&self.user.token), body).unwrap();
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        let answer = http::Response::new(answer.body.into_bytes());
        R::IncomingResponse::try_from_http_response(answer).unwrap_or_else(|_| panic!("{path}"))
    }

    fn upload(&self) {
        for request in block_on(self.olm.outgoing_requests()).unwrap() {
            let id = request.request_id();
            match request.request() {
                AnyOutgoingRequest::KeysUpload(upload) => {
                    let sent = self.send(upload.clone());
                    block_on(self.olm.mark_request_as_sent(id, &sent)).unwrap();
                }
                AnyOutgoingRequest::KeysQuery(query) => {
                    let mut all = get_keys::v3::Request::new();
                    all.device_keys.clone_from(&query.device_keys);
                    let sent = self.send(all);
                    block_on(self.olm.mark_request_as_sent(id, &sent)).unwrap();
                }
                AnyOutgoingRequest::SignatureUpload(signatures) => {
                    let sent = self.send(signatures.clone());
                    block_on(self.olm.mark_request_as_sent(id, &sent)).unwrap();
                }
                AnyOutgoingRequest::ToDeviceRequest(message) => self.send_to_device(message),
                AnyOutgoingRequest::KeysClaim(claim) => {
                    let sent = self.send(claim.clone());
                    block_on(self.olm.mark_request_as_sent(id, &sent)).unwrap();
                }
                AnyOutgoingRequest::RoomMessage(_) => {}
            }
        }
    }

    fn send_to_device(&self, message: &ToDeviceRequest) {
        let ToDeviceRequest { event_type, txn_id, messages } = message.clone();
        let sent = self.send(send_event_to_device::v3::Request::new_raw(event_type, txn_id, messages));
        block_on(self.olm.mark_request_as_sent(&message.txn_id, &sent)).unwrap();
    }

    fn query(&self, user: &UserId) {
        let (id, query) = self.olm.query_keys_for_users([user]);
        let mut request = get_keys::v3::Request::new();
        request.device_keys = query.device_keys;
        let sent = self.send(request);
        block_on(self.olm.mark_request_as_sent(&id, &sent)).unwrap();
    }

    /// Encrypts an event for this user. Also returns the to-device requests that share its room key, if the key is new.
    pub(crate) fn encrypt(
        &self,
        room: &str,
        to: &User,
        event_type: &str,
        content: &Value,
    ) -> (Value, Vec<ToDeviceRequest>) {
        let (room, to) = (RoomId::parse(room).unwrap(), UserId::parse(&to.id).unwrap());
        block_on(self.olm.update_tracked_users([&*to])).unwrap();
        self.query(&to);
        if let Some((id, claim)) = block_on(self.olm.get_missing_sessions([&*to].into_iter())).unwrap() {
            let claimed = self.send(claim);
            block_on(self.olm.mark_request_as_sent(&id, &claimed)).unwrap();
        }
        let sharing_strategy = if self.excludes_insecure_devices {
            CollectStrategy::IdentityBasedStrategy
        } else {
            CollectStrategy::AllDevices
        };
        let settings = EncryptionSettings { sharing_strategy, ..EncryptionSettings::default() };
        let keys = block_on(self.olm.share_room_key(&room, [&*to].into_iter(), settings)).unwrap();
        let content = Raw::from_json(to_raw_value(content).unwrap());
        let encrypted = block_on(self.olm.encrypt_room_event_raw(&room, event_type, &content)).unwrap();
        let keys = keys.into_iter().map(|key| (*key).clone()).collect();
        (serde_json::from_str(encrypted.content.json().get()).unwrap(), keys)
    }

    /// Sends the room keys.
    pub(crate) fn deliver(&self, keys: &[ToDeviceRequest]) {
        for key in keys {
            self.send_to_device(key);
        }
    }

    /// Sends the room keys to this client only.
    pub(crate) fn deliver_to(&self, keys: &[ToDeviceRequest], other: &Self) {
        for key in keys {
            let mut key = key.clone();
            for messages in key.messages.values_mut() {
                messages.retain(|device, _| device.to_string() == other.olm.device_id().as_str());
            }
            self.send_to_device(&key);
        }
    }

    /// Sends the room key, then the encrypted event; returns the event ID.
    pub(crate) fn send_encrypted(&self, room: &str, to: &User, event_type: &str, content: &Value) -> String {
        let (ciphertext, keys) = self.encrypt(room, to, event_type, content);
        self.deliver(&keys);
        self.user.send_event(room, "m.room.encrypted", &ciphertext)
    }

    /// Sends an encrypted message; returns its event ID.
    pub(crate) fn write(&self, room: &str, to: &User, text: &str) -> String {
        self.send_encrypted(room, to, "m.room.message", &json!({"msgtype": "m.text", "body": text}))
    }

    /// Makes the next message use a new room key.
    pub(crate) fn rotate(&self, room: &str) {
        block_on(self.olm.discard_room_key(&RoomId::parse(room).unwrap())).unwrap();
    }

    /// Syncs, processes what was received, and sends the resulting requests.
    pub(crate) fn sync(&self) {
        let since = self.since.borrow().as_ref().map(|since| format!("&since={since}")).unwrap_or_default();
        let answer = self.user.request(&Method::GET, &format!("sync?timeout=0{since}"), &Value::Null);
        let next = answer["next_batch"].as_str().unwrap().to_owned();
        let part = |name: &str| answer.get(name).cloned().unwrap_or_else(|| json!({}));
        let device_lists: DeviceLists = serde_json::from_value(part("device_lists")).unwrap();
        let events = part("to_device")["events"].clone();
        self.received.borrow_mut().extend(events.as_array().into_iter().flatten().cloned());
        let changes = EncryptionSyncChanges {
            to_device_events: serde_json::from_value(if events.is_null() { json!([]) } else { events }).unwrap(),
            changed_devices: &device_lists,
            one_time_keys_counts: &serde_json::from_value(part("device_one_time_keys_count")).unwrap(),
            unused_fallback_keys: None,
            next_batch_token: Some(next.clone()),
        };
        let settings = DecryptionSettings { sender_device_trust_requirement: TrustRequirement::Untrusted };
        block_on(self.olm.receive_sync_changes(changes, &settings)).unwrap();
        *self.since.borrow_mut() = Some(next);
        self.upload();
    }

    /// Decrypts an event of the room.
    pub(crate) fn read(&self, room: &str, event: &Value) -> Value {
        let settings = DecryptionSettings { sender_device_trust_requirement: TrustRequirement::Untrusted };
        let event = Raw::from_json(to_raw_value(event).unwrap());
        let read = block_on(self.olm.decrypt_room_event(&event, &RoomId::parse(room).unwrap(), &settings)).unwrap();
        serde_json::from_str(read.event.json().get()).unwrap()
    }

    fn id(&self) -> OwnedUserId {
        UserId::parse(&self.user.id).unwrap()
    }

    fn send_verification(&self, message: OutgoingVerificationRequest) {
        let OutgoingVerificationRequest::ToDevice(message) = message else { panic!("nothing is in a room") };
        self.send_to_device(&message);
    }

    /// Requests verification of another session of the same user.
    pub(crate) fn request_verification(&self, device: &str) -> VerificationRequest {
        self.query(&self.id());
        let device = block_on(self.olm.get_device(&self.id(), device.into(), None)).unwrap().unwrap();
        let (request, message) = device.request_verification();
        self.send_verification(message);
        request
    }

    /// The verification request of another session of the same user, not answered yet.
    pub(crate) fn verification_request(&self) -> VerificationRequest {
        wait_for("a verification is asked for", SOON, || {
            self.query(&self.id());
            self.sync();
            let requests = self.olm.get_verification_requests(&self.id());
            requests.into_iter().find(|request| matches!(request.state(), VerificationRequestState::Requested { .. }))
        })
    }

    /// Accepts the verification and exchanges keys until there are emoji.
    pub(crate) fn exchange_keys(&self, request: &VerificationRequest) -> Sas {
        if let Some(message) = request.accept() {
            self.send_verification(message);
        }
        wait_for("there are emoji", SOON, || {
            self.sync();
            let VerificationRequestState::Transitioned { verification, .. } = request.state() else { return None };
            let sas = *verification.sas_v1()?;
            if let Some(message) = sas.accept() {
                self.send_verification(message);
            }
            sas.can_be_presented().then_some(sas)
        })
    }

    /// Confirms that the emoji match, and signs the other session.
    pub(crate) fn confirm(&self, sas: &Sas) {
        let (messages, signatures) = block_on(sas.confirm()).unwrap();
        for message in messages {
            self.send_verification(message);
        }
        if let Some(signatures) = signatures {
            self.send(signatures);
        }
        wait_until("the other has confirmed", SOON, || {
            self.sync();
            sas.is_done()
        });
    }

    /// Whether another device has sent a to-device event of this type.
    pub(crate) fn has_received(&self, event_type: &str) -> bool {
        self.sync();
        self.received.borrow().iter().any(|received| received["type"] == event_type)
    }

    /// The secrets that other devices have requested.
    pub(crate) fn secrets_asked_for(&self) -> Vec<String> {
        let received = self.received.borrow();
        let asked = received.iter().filter(|event| event["content"]["action"] == "request");
        asked.map(|event| event["content"]["name"].as_str().unwrap().to_owned()).collect()
    }

    /// Sends another user's device a verification request that claims to come from a device of that user.
    pub(crate) fn request_verification_of_other(&self, other: &Self, device: &str) {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
        let request = json!({
            "from_device": other.olm.device_id(), "methods": ["m.sas.v1"], "timestamp": u64::try_from(now).unwrap(),
            "transaction_id": "forged",
        });
        let messages = json!({"messages": {&other.user.id: {device: request}}});
        self.user.request(&Method::PUT, "sendToDevice/m.key.verification.request/forged", &messages);
    }

    /// Cancels a verification.
    pub(crate) fn cancel(&self, request: &VerificationRequest) {
        self.send_verification(request.cancel().unwrap());
    }

    /// Creates a key backup that is not signed, whose key is shared with nobody.
    pub(crate) fn make_unsigned_backup(&self) {
        let info = BackupDecryptionKey::new().to_backup_info();
        self.user.request(&Method::POST, "room_keys/version", &serde_json::to_value(&info).unwrap());
    }

    /// Creates a key backup for the account, with its key in secret storage.
    pub(crate) fn set_up_backup(&self, recovery_key: &str) {
        let key = BackupDecryptionKey::new();
        let mut info: RoomKeyBackupInfo = key.to_backup_info();
        block_on(self.olm.backup_machine().sign_backup(&mut info)).unwrap();
        let version = self.user.request(&Method::POST, "room_keys/version", &serde_json::to_value(&info).unwrap());
        let version = version["version"].as_str().unwrap().to_owned();
        let id = self.account_data("m.secret_storage.default_key")["key"].as_str().unwrap().to_owned();
        let content = self.account_data(&format!("m.secret_storage.key.{id}"));
        let content = to_raw_value(&content).unwrap();
        let content =
            SecretStorageKeyEventContent::from_parts(&format!("m.secret_storage.key.{id}"), &content).unwrap();
        let storage = SecretStorageKey::from_account_data(recovery_key, content).unwrap();
        let sealed = storage.encrypt(key.to_base64().into_bytes(), &SecretName::RecoveryKey);
        let content = json!({"encrypted": {&id: serde_json::to_value(&sealed).unwrap()}});
        self.put_account_data(SecretName::RecoveryKey.as_str(), &content);
        let public = key.megolm_v1_public_key();
        public.set_version(version.clone());
        block_on(self.olm.backup_machine().save_decryption_key(Some(key), Some(version))).unwrap();
        block_on(self.olm.backup_machine().enable_backup_v1(public)).unwrap();
    }

    /// Uploads all room keys to the backup.
    pub(crate) fn back_up(&self) {
        let Some((id, request)) = block_on(self.olm.backup_machine().backup()).unwrap() else { return };
        let rooms = json!({"rooms": serde_json::to_value(&request.rooms).unwrap()});
        let path = format!("room_keys/keys?version={}", request.version);
        self.user.request(&Method::PUT, &path, &rooms);
        let answer = add_backup_keys::v3::Response::new(String::new(), ruma::uint!(0));
        block_on(self.olm.mark_request_as_sent(&id, &answer)).unwrap();
    }

    fn account_data(&self, event_type: &str) -> Value {
        self.user.request(&Method::GET, &self.account_data_path(event_type), &Value::Null)
    }

    fn put_account_data(&self, event_type: &str, content: &Value) {
        self.user.request(&Method::PUT, &self.account_data_path(event_type), content);
    }

    fn account_data_path(&self, event_type: &str) -> String {
        let encode =
            |text: &str| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string();
        format!("user/{}/account_data/{}", encode(&self.user.id), encode(event_type))
    }

    /// Sets up cross-signing and secret storage for the account, as ordinary clients do; returns the recovery key.
    pub(crate) fn set_up_identity(&self) -> String {
        self.set_up_identity_with(None)
    }

    /// The same with this passphrase, if there is one.
    pub(crate) fn set_up_identity_with(&self, passphrase: Option<&str>) -> String {
        let requests = block_on(self.olm.bootstrap_cross_signing(true)).unwrap();
        let mut keys = serde_json::Map::new();
        let upload = requests.upload_signing_keys_req;
        for (name, key) in [
            ("master_key", serde_json::to_value(&upload.master_key).unwrap()),
            ("self_signing_key", serde_json::to_value(&upload.self_signing_key).unwrap()),
            ("user_signing_key", serde_json::to_value(&upload.user_signing_key).unwrap()),
        ] {
            keys.insert(name.to_owned(), key);
        }
        let identifier = json!({"type": "m.id.user", "user": self.user.id});
        keys.insert(
            "auth".to_owned(),
            json!({"type": "m.login.password", "identifier": identifier, "password": "secret"}),
        );
        self.user.request(&Method::POST, "keys/device_signing/upload", &Value::Object(keys));
        self.send(requests.upload_signatures_req);
        self.query(&UserId::parse(&self.user.id).unwrap());

        let storage = passphrase.map_or_else(SecretStorageKey::new, SecretStorageKey::new_from_passphrase);
        let put = |event_type: &str, content: &Value| self.put_account_data(event_type, content);
        let id = storage.key_id();
        put(&storage.event_type().to_string(), &serde_json::to_value(storage.event_content()).unwrap());
        put("m.secret_storage.default_key", &json!({"key": id}));
        let secrets = block_on(self.olm.export_cross_signing_keys()).unwrap().unwrap();
        for (name, secret) in [
            (SecretName::CrossSigningMasterKey, &secrets.master_key),
            (SecretName::CrossSigningSelfSigningKey, &secrets.self_signing_key),
            (SecretName::CrossSigningUserSigningKey, &secrets.user_signing_key),
        ] {
            let sealed = storage.encrypt(secret.clone().unwrap().into_bytes(), &name);
            put(name.as_str(), &json!({"encrypted": BTreeMap::from([(id, serde_json::to_value(&sealed).unwrap())])}));
        }
        storage.to_base58()
    }
}
