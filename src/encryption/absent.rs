//! A build that reads no encrypted messages.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::{CallNews, ConnectionNews, NotSent, SetUp, Step};
use crate::{
    accounts::{Accounts, SignIn},
    controller::Event,
    homeserver::OutgoingEvent,
    inbox::{Inbox, Seals, Verdict},
    paths::Paths,
    push::{listed::RoomEvent, notify::Notification},
    secrets::Secrets,
};

#[derive(Debug, Clone)]
pub(crate) struct Encryption;

impl Encryption {
    pub(crate) fn start(
        _: Inbox,
        _: &Paths,
        _: &Accounts,
        _: mpsc::UnboundedSender<Event>,
        _: (mpsc::UnboundedSender<CallNews>, mpsc::UnboundedSender<ConnectionNews>),
    ) -> Self {
        Self
    }

    #[expect(clippy::unused_self, reason = "there is nothing to tell")]
    pub(crate) fn accounts(&self, _: Arc<Accounts>) {}

    #[expect(clippy::unused_async, reason = "as where there are keys")]
    pub(crate) async fn send_event(&self, _account: &str, _: OutgoingEvent) -> Result<(), NotSent> {
        Err(NotSent::without_keys())
    }

    #[expect(clippy::unused_async, reason = "as where there are keys")]
    pub(crate) async fn read_events(&self, _account: &str, _room_id: &str, events: Vec<RoomEvent>) -> Vec<RoomEvent> {
        events
    }

    #[expect(clippy::unused_self, reason = "there is nothing to tell")]
    pub(crate) fn upkeep(&self) {}

    #[expect(clippy::unused_self, reason = "there is nothing to tell")]
    pub(crate) fn listen(&self, _account: Arc<str>, _on: bool) {}

    #[expect(clippy::unused_self, reason = "there is nothing to tell")]
    pub(crate) fn reconnect(&self) {}

    #[expect(clippy::unused_self, reason = "there is nothing to tell")]
    pub(crate) fn look(&self) {}

    #[expect(clippy::unused_self, reason = "there is nothing to tell")]
    pub(crate) fn ringing(&self, _rooms: Vec<(String, String)>) {}
}

pub(crate) struct Judge;

impl Judge {
    pub(crate) fn new(_: &Secrets, _: &SignIn) -> Self {
        Self
    }

    #[expect(clippy::unused_async, reason = "as where there are syncs")]
    pub(crate) async fn verdict(&mut self, _room_id: &str, _: &Notification) -> Verdict {
        Verdict::AsPushed
    }
}

pub(crate) fn has_store(_: &Paths, _: &SignIn) -> bool {
    true
}

pub(crate) async fn forget(_: &Paths, _: &Secrets, _: &SignIn) {}

pub(crate) async fn seals(_: &Paths) -> Seals {
    Seals::default()
}

/// Encryption is not in this build.
#[derive(Debug, thiserror::Error)]
#[error("this build of Pushbell reads no encrypted messages")]
pub(crate) struct Absent;

impl Absent {
    #[expect(clippy::unused_self, reason = "no key would do")]
    pub(crate) fn is_wrong_key(&self) -> bool {
        false
    }
}

pub(crate) async fn prove_listening(_: &Paths, _: &Secrets, _: &SignIn) -> Result<(), Absent> {
    Err(Absent)
}

pub(crate) async fn set_up(_: &Paths, _: &Secrets, _: &SignIn) -> Result<SetUp, Absent> {
    Err(Absent)
}

pub(crate) async fn verify(_: &Paths, _: &Secrets, _: &SignIn, _recovery_key: &str) -> Result<(), Absent> {
    Err(Absent)
}

pub(crate) async fn use_backup(_: &Paths, _: &Secrets, _: &SignIn, _recovery_key: &str) -> Result<(), Absent> {
    Err(Absent)
}

pub(crate) async fn use_backup_of_session(_: &Paths, _: &Secrets, _: &SignIn) -> Result<(), Absent> {
    Err(Absent)
}

pub(crate) async fn verify_with_emoji(
    _: &Paths,
    _: &Secrets,
    _: &SignIn,
    _: impl AsyncFnMut(Step<'_>) -> bool,
) -> Result<(), Absent> {
    Err(Absent)
}
