//! What is still to be said to the notification service: one thing for each popup, the newest (pure).

use std::collections::VecDeque;

use super::desk::MAX_WAITING;
use crate::present::popup::{Popup, PopupKey, PopupSerial};

/// One thing to say.
#[derive(Debug)]
pub(super) enum Task {
    Show(PopupSerial, Popup),
    Withdraw(PopupKey),
}

impl Task {
    fn key(&self) -> &PopupKey {
        match self {
            Self::Show(_, popup) => &popup.key,
            Self::Withdraw(key) => key,
        }
    }

    fn serial(&self) -> Option<PopupSerial> {
        match self {
            Self::Show(serial, _) => Some(*serial),
            Self::Withdraw(_) => None,
        }
    }
}

/// In order of first mention.
#[derive(Debug, Default)]
pub(super) struct Queue(VecDeque<Task>);

impl Queue {
    pub(super) fn show(&mut self, serial: PopupSerial, popup: Popup) -> Result<(), String> {
        if let Some(task) = self.0.iter_mut().find(|task| *task.key() == popup.key) {
            *task = Task::Show(serial, popup);
        } else if self.0.iter().filter_map(Task::serial).count() < MAX_WAITING {
            self.0.push_back(Task::Show(serial, popup));
        } else {
            return Err(format!("{MAX_WAITING} popups are waiting already"));
        }
        Ok(())
    }

    pub(super) fn withdraw(&mut self, key: PopupKey) {
        self.forget(&key);
        self.0.push_back(Task::Withdraw(key));
    }

    pub(super) fn forget(&mut self, key: &PopupKey) {
        self.0.retain(|task| task.key() != key);
    }

    pub(super) fn forget_withdrawals(&mut self) {
        self.0.retain(|task| task.serial().is_some());
    }

    pub(super) fn next(&mut self) -> Option<Task> {
        self.0.pop_front()
    }

    pub(super) fn has_popups(&self) -> bool {
        self.0.iter().any(|task| task.serial().is_some())
    }

    pub(super) fn keys(&self) -> Vec<PopupKey> {
        self.0.iter().map(|task| task.key().clone()).collect()
    }

    /// Takes out the popups, oldest first.
    pub(super) fn take_popups(&mut self) -> impl Iterator<Item = PopupSerial> + use<> {
        let (popups, rest): (VecDeque<_>, _) =
            std::mem::take(&mut self.0).into_iter().partition(|task| task.serial().is_some());
        self.0 = rest;
        popups.into_iter().filter_map(|task| task.serial())
    }
}
