//! Which popups are up, and which are on their way to the notification service (pure).

use std::collections::{HashMap, HashSet, VecDeque};

use crate::{
    desktop::{
        OpenTarget,
        popup::{PopupKey, PopupSerial},
    },
    inbox::Shown,
    notice::{Notice, NoticeId, RoomKey},
};

/// So many popups are remembered; services show far fewer at once.
const MOST: usize = 256;

/// What a popup tells of.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Subject {
    pub(super) room: RoomKey,
    /// The newest notice that it shows.
    pub(super) newest: NoticeId,
    /// What a click opens.
    pub(super) target: OpenTarget,
}

impl From<&Notice> for Subject {
    fn from(notice: &Notice) -> Self {
        Self {
            room: notice.room(),
            newest: notice.id,
            target: OpenTarget::Room {
                room_id: notice.room_id.clone().unwrap_or_default(),
                event_id: notice.event_id.clone(),
                user: notice.sender.clone(),
            },
        }
    }
}

#[derive(Debug)]
struct UnderWay {
    key: PopupKey,
    shown: Vec<Shown>,
}

/// The popups of this run of the program.
#[derive(Debug, Default)]
pub(super) struct Popups {
    next_serial: u64,
    under_way: HashMap<PopupSerial, UnderWay>,
    /// Popups that are up, or were when last heard of, with their subject; oldest first in `order`.
    open: HashMap<PopupKey, Option<Subject>>,
    order: VecDeque<PopupKey>,
}

impl Popups {
    /// A popup is about to be shown; once it is, `shown` is to be written down.
    pub(super) fn ask(&mut self, key: PopupKey, shown: Vec<Shown>, subject: Option<Subject>) -> PopupSerial {
        self.next_serial += 1;
        let serial = PopupSerial(self.next_serial);
        self.remember(key.clone(), subject);
        self.under_way.insert(serial, UnderWay { key, shown });
        serial
    }

    fn remember(&mut self, key: PopupKey, subject: Option<Subject>) {
        if self.open.insert(key.clone(), subject).is_none() {
            self.order.push_back(key);
        }
        if self.order.len() > MOST
            && let Some(oldest) = self.order.pop_front()
        {
            self.open.remove(&oldest);
        }
    }

    /// The service has shown it: which popup it was, and what is to be written down.
    pub(super) fn shown(&mut self, serial: PopupSerial) -> Option<(PopupKey, Vec<Shown>)> {
        self.under_way.remove(&serial).map(|popup| (popup.key, popup.shown))
    }

    /// The service has not shown it. Whether that popup was still wanted.
    pub(super) fn not_shown(&mut self, serial: PopupSerial) -> bool {
        self.under_way.remove(&serial).is_some_and(|popup| self.forget_key(&popup.key))
    }

    pub(super) fn is_open(&self, key: &PopupKey) -> bool {
        self.open.contains_key(key)
    }

    pub(super) fn is_under_way(&self, key: &PopupKey) -> bool {
        self.under_way.values().any(|popup| popup.key == *key)
    }

    pub(super) fn rooms_under_way(&self) -> HashSet<RoomKey> {
        self.under_way
            .values()
            .filter_map(|popup| match &popup.key {
                PopupKey::Room(room) => Some(room.clone()),
                PopupKey::Call(_) | PopupKey::Summary | PopupKey::Own(_) => None,
            })
            .collect()
    }

    /// What the popup tells of.
    pub(super) fn subject(&self, key: &PopupKey) -> Option<Subject> {
        self.open.get(key).cloned().flatten()
    }

    /// The popup is gone. Whether it was up.
    pub(super) fn forget_key(&mut self, key: &PopupKey) -> bool {
        self.order.retain(|other| other != key);
        self.open.remove(key).is_some()
    }

    /// All popups of which this is true are gone; which they were.
    pub(super) fn forget(&mut self, gone: impl Fn(&PopupKey, Option<&Subject>) -> bool) -> Vec<PopupKey> {
        let keys: Vec<_> =
            self.open.iter().filter(|(key, subject)| gone(key, subject.as_ref())).map(|(key, _)| key.clone()).collect();
        for key in &keys {
            self.forget_key(key);
        }
        keys
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(number: usize) -> PopupKey {
        PopupKey::Room(RoomKey { account: "home".into(), room_id: format!("!{number}") })
    }

    #[test]
    fn what_was_shown_is_told_once() {
        let mut popups = Popups::default();
        let serial = popups.ask(PopupKey::Summary, vec![Shown::Everything(NoticeId(7))], None);
        assert!(popups.is_under_way(&PopupKey::Summary));
        assert_eq!(popups.shown(serial), Some((PopupKey::Summary, vec![Shown::Everything(NoticeId(7))])));
        assert_eq!(popups.shown(serial), None);
        assert!(popups.is_open(&PopupKey::Summary));
    }

    #[test]
    fn a_popup_that_was_not_shown_is_not_up() {
        let mut popups = Popups::default();
        let serial = popups.ask(room(1), vec![], None);
        assert!(popups.not_shown(serial));
        assert!(!popups.is_open(&room(1)));
        assert!(!popups.not_shown(serial));
    }

    #[test]
    fn only_so_many_popups_are_remembered() {
        let mut popups = Popups::default();
        for number in 0..2 * MOST {
            let serial = popups.ask(room(number), vec![], None);
            popups.shown(serial);
        }
        assert_eq!(popups.open.len(), MOST);
        assert!(!popups.is_open(&room(0)));
        assert!(popups.is_open(&room(2 * MOST - 1)));
    }
}
