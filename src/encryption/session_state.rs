//! The state of an account's session and backup, and the news of it that the user has not been told yet.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{
    Trust,
    backup::{self, BackupState},
    error::EncryptionError,
    machine::{Machine, VerificationAsk},
};
use crate::{
    control::EncryptionStatus,
    present::{popup::OwnPopup, words},
    push::text,
};

/// Key in the store: what was told.
const TOLD: &str = "pushbell.told";
/// Key in the store: the last request to verify this session.
const REQUEST: &str = "pushbell.verification_request";

/// Lifetime of a verification request in milliseconds, as specified.
const REQUEST_LIFE: i64 = 10 * 60 * 1000;

/// Maximum length of a session's name, in characters.
const LONGEST_NAME: usize = 60;

/// The state of session and backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SessionState {
    trust: Trust,
    /// It is or was verified.
    was_verified: bool,
    backup: BackupState,
    /// The store's key is in a file.
    has_key_file: bool,
}

/// News that the user is told once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct News {
    pub(super) popup: OwnPopup,
    pub(super) text: String,
}

/// What the user was told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Told {
    was_verified: bool,
    is_unverified: bool,
    /// The version of the stored backup key, if that backup is no longer the account's.
    reset_backup: Option<String>,
    /// The account's other sessions; `None` before they are known.
    sessions: Option<BTreeSet<String>>,
}

/// Returns the state, and the news, which count as told from then on. The account's devices have to be queried before.
/// `backup` is the state of the backup, if the homeserver was asked.
pub(super) async fn look(
    machine: &Machine,
    request: Option<&VerificationAsk>,
    backup: Option<BackupState>,
    account: &str,
) -> Result<(SessionState, Vec<News>), EncryptionError> {
    let store = machine.olm.store();
    let before: Told = store.get_value(TOLD).await?.unwrap_or_default();
    let trust = machine.trust().await?;
    let version = backup::version(machine).await?;
    let was_reset = version.is_some() && before.reset_backup == version;
    let backup = match backup {
        Some(said) if said != BackupState::Unknown => said,
        _ if version.is_none() => BackupState::Unused,
        _ if was_reset => BackupState::Reset,
        _ => BackupState::Current,
    };
    let is_verified = trust == Trust::Verified;
    let state = SessionState {
        trust,
        was_verified: before.was_verified || is_verified,
        backup,
        has_key_file: machine.store.key_file().exists(),
    };
    let sessions = sessions(machine).await?;
    let mut news = Vec::new();
    if trust == Trust::Unverified && !before.is_unverified {
        let text = words::session_unverified(account, before.was_verified);
        news.push(News { popup: OwnPopup::Unverified, text });
    }
    if backup == BackupState::Reset && !was_reset {
        let text = words::backup_reset(account);
        news.push(News { popup: OwnPopup::BackupReset, text });
    }
    let known = before.sessions.as_ref();
    for (id, name) in sessions.iter().filter(|(id, _)| known.is_some_and(|known| !known.contains(id))) {
        let text = words::new_sign_in(account, &name_of(id, name.as_deref()));
        news.push(News { popup: OwnPopup::NewSignIn, text });
    }
    if let Some(request) = request
        && !is_verified
        && let Some(name) = asked_by(request, &sessions)
    {
        keep_request(machine, request).await?;
        let text = words::verification_asked(account, &name);
        news.push(News { popup: OwnPopup::VerificationAsked, text });
    }
    let told = Told {
        was_verified: state.was_verified,
        is_unverified: trust == Trust::Unverified,
        reset_backup: version.filter(|_| backup == BackupState::Reset),
        sessions: Some(sessions.into_iter().map(|(id, _)| id).collect()),
    };
    if told != before {
        store.set_value(TOLD, &told).await?;
    }
    Ok((state, news))
}

/// Ids and names of the account's other sessions with keys.
async fn sessions(machine: &Machine) -> Result<Vec<(String, Option<String>)>, EncryptionError> {
    let devices = machine.olm.get_user_devices(machine.olm.user_id(), None).await?;
    let others = devices.devices().filter(|device| !device.is_our_own_device() && !device.is_dehydrated());
    Ok(others.map(|device| (device.device_id().to_string(), device.display_name().map(str::to_owned))).collect())
}

/// The printable name of a session: its names may contain anything.
fn name_of(id: &str, name: Option<&str>) -> String {
    let id = text::line(id, LONGEST_NAME);
    name.map_or_else(|| id.clone(), |name| format!("\"{}\" ({id})", text::line(name, LONGEST_NAME)))
}

/// The name of the session that sent the request, if it is known.
fn asked_by(request: &VerificationAsk, sessions: &[(String, Option<String>)]) -> Option<String> {
    #[derive(Deserialize)]
    struct Content {
        from_device: String,
    }
    let Content { from_device } = request.get_field("content").ok()??;
    sessions.iter().find(|(id, _)| *id == from_device).map(|(id, name)| name_of(id, name.as_deref()))
}

/// Stores a request to verify this session, so that a command can answer it.
pub(super) async fn keep_request(machine: &Machine, request: &VerificationAsk) -> Result<(), EncryptionError> {
    Ok(machine.olm.store().set_value(REQUEST, &request.json().get()).await?)
}

/// Removes and returns the last request to verify this session.
pub(super) async fn take_request(machine: &Machine) -> Result<Option<VerificationAsk>, EncryptionError> {
    let request = last_request(machine).await?;
    if request.is_some() {
        machine.olm.store().set_value(REQUEST, &"").await?;
    }
    Ok(request)
}

/// The last request to verify this session.
pub(super) async fn last_request(machine: &Machine) -> Result<Option<VerificationAsk>, EncryptionError> {
    let request: Option<String> = machine.olm.store().get_value(REQUEST).await?;
    let request = request.filter(|request| !request.is_empty());
    Ok(request.and_then(|request| RawValue::from_string(request).ok()).map(VerificationAsk::from_json))
}

/// Whether there is a request that can still be answered.
pub(super) async fn is_asked(machine: &Machine) -> Result<bool, EncryptionError> {
    #[derive(Deserialize)]
    struct Content {
        timestamp: i64,
    }
    let request = last_request(machine).await?;
    let content = request.and_then(|request| request.get_field::<Content>("content").ok().flatten());
    let age = content.map(|content| Timestamp::now().as_millisecond().saturating_sub(content.timestamp));
    Ok(age.is_some_and(|age| age < REQUEST_LIFE))
}

impl SessionState {
    /// Its description for `status`.
    pub(super) fn describe(self, account: &str) -> EncryptionStatus {
        let says = match self.trust {
            Trust::Verified => "encrypted messages are read".to_owned(),
            Trust::Unverified if self.was_verified => format!(
                "the session is no longer verified, as after a reset of the account's cross-signing: run `pushbell verify \
                 {account}` to go on reading all encrypted messages"
            ),
            Trust::Unverified => format!(
                "encrypted messages are read, but not those of people whose clients send nothing to unverified sessions: run \
                 `pushbell verify {account}`"
            ),
            Trust::NoIdentity => {
                "encrypted messages are read; the account has no cross-signing that this session could be \
                                  verified with: set up encryption in your usual client"
                    .to_owned()
            }
        };
        EncryptionStatus {
            encryption: Some(says),
            verified: Some(self.trust == Trust::Verified),
            key_backup: match self.backup {
                BackupState::Unused | BackupState::Unknown => None,
                BackupState::Current => Some(true),
                BackupState::Reset => Some(false),
            },
            key_in_file: self.has_key_file,
        }
    }
}
