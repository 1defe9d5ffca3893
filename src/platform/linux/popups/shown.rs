//! The popups that the notification service knows by a number, and what its signals say of them (pure).

use crate::desktop::DesktopEvent;
use crate::present::popup::PopupKey;

/// Popups remembered at a time; an older one can no longer be replaced, withdrawn or clicked.
const MAX_SHOWN: usize = 256;

/// Bytes of an activation token that is believed.
const MAX_TOKEN: usize = 4096;

/// A signal of org.freedesktop.Notifications. Its sender does not matter: whoever is on the session bus is the person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Signal {
    /// `ActivationToken`, which comes before the action that it belongs to.
    Token { id: u32, token: String },
    /// `ActionInvoked`
    Action { id: u32, action: String },
    /// `NotificationClosed`
    Closed { id: u32, reason: Reason },
}

/// Why a popup was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// 2: by the person.
    Dismissed,
    /// 3: by `CloseNotification`.
    Withdrawn,
    /// 1, 4 and what else there may be: it left the screen, and may still be listed by the service.
    Expired,
}

#[derive(Debug)]
struct Entry {
    key: PopupKey,
    id: u32,
    token: Option<String>,
    /// An action was chosen: that the popup closes then is no dismissal.
    activated: bool,
}

/// Oldest first; one for each key and for each id.
#[derive(Debug, Default)]
pub(super) struct Shown(Vec<Entry>);

impl Shown {
    pub(super) fn contains(&self, key: &PopupKey) -> bool {
        self.id(key).is_some()
    }

    pub(super) fn id(&self, key: &PopupKey) -> Option<u32> {
        self.0.iter().find(|entry| entry.key == *key).map(|entry| entry.id)
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = PopupKey> + '_ {
        self.0.iter().map(|entry| entry.key.clone())
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = (PopupKey, u32)> + '_ {
        self.0.iter().map(|entry| (entry.key.clone(), entry.id))
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn insert(&mut self, key: PopupKey, id: u32) {
        self.0.retain(|entry| entry.key != key && entry.id != id);
        if self.0.len() == MAX_SHOWN {
            self.0.remove(0);
        }
        self.0.push(Entry { key, id, token: None, activated: false });
    }

    /// Forgets a popup, and returns its id.
    pub(super) fn forget(&mut self, key: &PopupKey) -> Option<u32> {
        let index = self.0.iter().position(|entry| entry.key == *key)?;
        Some(self.0.remove(index).id)
    }

    pub(super) fn knows(&self, signal: &Signal) -> bool {
        self.0.iter().any(|entry| entry.id == signal.id())
    }

    /// What a signal means to us.
    pub(super) fn signal(&mut self, signal: Signal) -> Option<DesktopEvent> {
        let index = self.0.iter().position(|entry| entry.id == signal.id())?;
        let entry = &mut self.0[index];
        match signal {
            Signal::Token { token, .. } => {
                entry.token = Some(token).filter(|token| token.len() <= MAX_TOKEN);
                None
            }
            Signal::Action { action, .. } => {
                entry.activated = true;
                Some(DesktopEvent::Activated { key: entry.key.clone(), action, token: entry.token.take() })
            }
            Signal::Closed { reason, .. } => {
                let dismissed = reason == Reason::Dismissed && !entry.activated;
                if reason == Reason::Expired && !entry.activated {
                    return None;
                }
                let key = self.0.remove(index).key;
                dismissed.then_some(DesktopEvent::Dismissed(key))
            }
        }
    }
}

impl Signal {
    fn id(&self) -> u32 {
        match self {
            Self::Token { id, .. } | Self::Action { id, .. } | Self::Closed { id, .. } => *id,
        }
    }
}
