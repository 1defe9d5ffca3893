//! What the inbox has not noted yet, most of all what it could not.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tokio::time::Instant;

use super::{
    Controller,
    pause::Pause,
    screen::{About, PersistedPopups},
};
use crate::{
    desktop::Desktop,
    inbox::{Inbox, InboxError, MutedRoom, Read, Shown},
};

/// The inbox's settings that survive the program.
pub(super) const PAUSED_UNTIL: &str = "paused_until";
pub(super) const MUTED: &str = "muted";
pub(super) const POPUPS: &str = "popups";

/// What is to be written.
#[derive(Debug, Default)]
pub(super) struct PendingWrites {
    /// What was shown. Nothing else is shown before it is noted, or it would be shown again.
    shown: Vec<Shown>,
    /// What the person has read here. Likewise, or what was read would be told of again.
    reads: Vec<Read>,
    /// Rooms that the person has muted.
    mutes: Vec<MutedRoom>,
    /// Settings, with their values.
    settings: BTreeMap<&'static str, Option<String>>,
    /// The accounts that there are; the inbox forgets the numbers of all others.
    accounts: Option<Vec<String>>,
}

impl PendingWrites {
    /// A popup was shown.
    pub(super) fn shown(&mut self, about: &About) {
        self.shown.extend(match about {
            About::Room { room, up_to, .. } => Some(Shown::Room(room.clone(), *up_to)),
            About::Call { call, state, .. } => Some(Shown::Call(*call, *state)),
            About::Summary(summary) => Some(Shown::Everything(summary.up_to)),
            About::Own(_) => None,
        });
    }

    /// The person has seen a popup.
    pub(super) fn seen(&mut self, about: &About) {
        match about {
            About::Room { room, up_to, .. } => self.read(Read::Room(room.clone(), *up_to)),
            About::Call { call, .. } => self.read(Read::Call(*call)),
            About::Summary(_) | About::Own(_) => {}
        }
    }

    pub(super) fn read(&mut self, read: Read) {
        if !self.reads.contains(&read) {
            self.reads.push(read);
        }
    }

    pub(super) fn mute(&mut self, muted: MutedRoom) {
        self.mutes.push(muted);
    }

    pub(super) fn set(&mut self, name: &'static str, value: Option<String>) {
        self.settings.insert(name, value);
    }

    pub(super) fn set_accounts(&mut self, accounts: Vec<String>) {
        self.accounts = Some(accounts);
    }

    /// The inbox has begun anew: what it was to note of the old one means nothing to it.
    pub(super) fn inbox_is_new(&mut self) {
        self.shown.clear();
        self.reads.clear();
    }

    /// Has the inbox note all of it, each only once.
    pub(super) async fn write(&mut self, inbox: &Inbox) -> Result<(), InboxError> {
        while let Some((name, value)) = self.settings.first_key_value() {
            inbox.set_setting(name, value.clone()).await?;
            self.settings.pop_first();
        }
        if let Some(accounts) = &self.accounts {
            inbox.retain_accounts(accounts.clone()).await?;
            self.accounts = None;
        }
        while let Some(muted) = self.mutes.first() {
            inbox.mute(muted.clone(), Timestamp::now()).await?;
            self.mutes.remove(0);
        }
        if !self.shown.is_empty() {
            inbox.mark_shown(self.shown.clone()).await?;
            self.shown.clear();
        }
        while let Some(read) = self.reads.first() {
            inbox.mark_read(read.clone()).await?;
            self.reads.remove(0);
        }
        Ok(())
    }
}

impl<D: Desktop> Controller<D> {
    /// Reads what an earlier run has noted. What the person has done meanwhile counts more.
    pub(super) async fn restore(&mut self) -> Result<(), InboxError> {
        let inbox = &self.parts.inbox;
        let until = inbox.setting(PAUSED_UNTIL).await?.and_then(|until| until.parse().ok());
        let muted = inbox.setting(MUTED).await?.is_some();
        let popups = inbox.setting(POPUPS).await?;
        if !self.pending.settings.contains_key(PAUSED_UNTIL) {
            self.pause = until.map(|until| Pause::new(until, Timestamp::now(), Instant::now()));
        }
        if !self.pending.settings.contains_key(MUTED) {
            self.muted = muted;
        }
        // What cannot be read was written by another version: its popups are left alone.
        if let Some(popups) = popups.and_then(|popups| serde_json::from_str::<PersistedPopups>(&popups).ok()) {
            self.screen.adopt(popups);
        }
        self.is_restored = true;
        Ok(())
    }
}
