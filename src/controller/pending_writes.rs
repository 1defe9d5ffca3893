//! Writes to the inbox that are still pending, for example because it was locked.

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

/// Keys of the inbox's settings table.
pub(super) const PAUSED_UNTIL: &str = "paused_until";
pub(super) const MUTED: &str = "muted";
pub(super) const POPUPS: &str = "popups";

/// The pending writes.
#[derive(Debug, Default)]
pub(super) struct PendingWrites {
    /// What was shown. Nothing else is shown before this is recorded, or it would be shown again after a crash.
    shown: Vec<Shown>,
    /// What was read on this desktop, with the same rule: else it would be shown again.
    reads: Vec<Read>,
    /// Rooms that were muted.
    mutes: Vec<MutedRoom>,
    /// Settings with their values.
    settings: BTreeMap<&'static str, Option<String>>,
    /// The existing accounts; the inbox forgets the counts of all others.
    accounts: Option<Vec<String>>,
}

impl PendingWrites {
    /// Records that a popup was shown.
    pub(super) fn shown(&mut self, about: &About) {
        self.shown.extend(match about {
            About::Room { room, up_to, .. } => Some(Shown::Room(room.clone(), *up_to)),
            About::Call { call, state, .. } => Some(Shown::Call(*call, *state)),
            About::Summary(summary) => Some(Shown::Everything(summary.up_to)),
            About::Own(_) => None,
        });
    }

    /// Records that a popup was seen.
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

    /// The inbox is a new one: writes that referred to the old one are dropped.
    pub(super) fn inbox_is_new(&mut self) {
        self.shown.clear();
        self.reads.clear();
    }

    /// Writes everything pending, each entry once.
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
    /// Reads the state of the previous run. Pending writes of this run take precedence.
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
        // An unreadable value comes from another version: its popups are left alone.
        if let Some(popups) = popups.and_then(|popups| serde_json::from_str::<PersistedPopups>(&popups).ok()) {
            self.screen.adopt(popups);
        }
        self.is_restored = true;
        Ok(())
    }
}
