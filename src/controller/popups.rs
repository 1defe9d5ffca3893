//! Which popups are up, and which are on their way to the notification service (pure).

use std::collections::HashSet;

use crate::{
    desktop::{
        OpenTarget,
        popup::{Popup, PopupKey, PopupSerial},
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
    /// Title and text that tell of a room, to know whether a correction would change them.
    pub(super) says: Option<(String, String)>,
}

impl Subject {
    /// With what this popup says of it.
    pub(super) fn said_by(self, popup: &Popup) -> Self {
        Self { says: Some((popup.title.clone(), popup.text.clone())), ..self }
    }
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
            says: None,
        }
    }
}

/// A popup that was asked for and has not been answered.
#[derive(Debug)]
struct UnderWay {
    serial: PopupSerial,
    /// What is to be written down once it is shown.
    shown: Option<Shown>,
    subject: Option<Subject>,
    /// Title and text of one that is not about one room.
    says: Option<(String, String)>,
    /// It was to make an outdated one right.
    is_correction: bool,
}

/// One popup: up, on its way, or both when what is up is about to be replaced.
#[derive(Debug)]
struct Entry {
    key: PopupKey,
    /// It is up, or was when last heard of: that it expired is not told.
    is_up: bool,
    /// What the one that is up tells of, if that is notices of one room.
    subject: Option<Subject>,
    /// What the one that is up says, if it is not about one room.
    says: Option<(String, String)>,
    /// What the one that is up tells is no longer right.
    is_outdated: bool,
    under_way: Option<UnderWay>,
}

impl Entry {
    /// It is up and not right, and none is on its way that replaces it.
    fn is_to_be_corrected(&self) -> bool {
        self.is_outdated && self.is_up && self.under_way.is_none()
    }

    fn serial(&self) -> Option<PopupSerial> {
        self.under_way.as_ref().map(|popup| popup.serial)
    }
}

/// The popups of this run of the program, and those that it goes on with: at most one for each key, that asked for longest
/// ago first. The service lists them in that order too, so that the person can still click what is remembered here.
#[derive(Debug, Default)]
pub(super) struct Popups {
    next_serial: u64,
    entries: Vec<Entry>,
}

impl Popups {
    /// A popup is about to be shown; once it is, `shown` is to be written down. One with the same key that is still on
    /// its way is overtaken: its answer, if there is one, does not matter any more.
    pub(super) fn ask(&mut self, key: PopupKey, shown: Option<Shown>, subject: Option<Subject>) -> PopupSerial {
        self.next_serial += 1;
        let serial = PopupSerial(self.next_serial);
        let under_way = UnderWay { serial, shown, subject, says: None, is_correction: false };
        if let Some(index) = self.entries.iter().position(|entry| entry.key == key) {
            let mut entry = self.entries.remove(index);
            let is_correction = std::mem::take(&mut entry.is_outdated);
            entry.under_way = Some(UnderWay { is_correction, ..under_way });
            self.entries.push(entry);
        } else {
            if self.entries.len() == MOST {
                let oldest = self.entries.iter().position(|entry| entry.under_way.is_none());
                self.entries.remove(oldest.unwrap_or(0));
            }
            self.entries.push(Entry {
                key,
                is_up: false,
                subject: None,
                says: None,
                is_outdated: false,
                under_way: Some(under_way),
            });
        }
        serial
    }

    /// A popup of an earlier run is still up.
    pub(super) fn adopt(&mut self, key: PopupKey, subject: Option<Subject>) {
        if let Some(entry) = self.entry(&key) {
            entry.is_up = true;
            entry.subject = entry.subject.take().or(subject);
        } else if self.entries.len() < MOST {
            self.entries.push(Entry { key, is_up: true, subject, says: None, is_outdated: false, under_way: None });
        }
    }

    /// A popup that is not about one room is about to be shown, like [`Popups::ask`]; what it says is remembered.
    pub(super) fn ask_saying(&mut self, popup: &Popup, shown: Option<Shown>) -> PopupSerial {
        let serial = self.ask(popup.key.clone(), shown, None);
        if let Some(coming) = self.entry(&popup.key).and_then(|entry| entry.under_way.as_mut()) {
            coming.says = Some((popup.title.clone(), popup.text.clone()));
        }
        serial
    }

    /// The service has shown it: which popup it was, and what is to be written down. Nothing for one that was overtaken
    /// or withdrawn.
    pub(super) fn shown(&mut self, serial: PopupSerial) -> Option<(PopupKey, Option<Shown>)> {
        let entry = self.entries.iter_mut().find(|entry| entry.serial() == Some(serial))?;
        let UnderWay { shown, subject, says, .. } = entry.under_way.take()?;
        entry.is_up = true;
        (entry.subject, entry.says) = (subject, says);
        Some((entry.key.clone(), shown))
    }

    /// The service has not shown it; what was up in its place still is. Says whether it was still wanted.
    pub(super) fn not_shown(&mut self, serial: PopupSerial) -> bool {
        let Some(index) = self.entries.iter().position(|entry| entry.serial() == Some(serial)) else { return false };
        let entry = &mut self.entries[index];
        let was_correction = entry.under_way.take().is_some_and(|popup| popup.is_correction);
        entry.is_outdated |= was_correction;
        if !entry.is_up {
            self.entries.remove(index);
        }
        true
    }

    /// The newest notice that counts as shown with this popup of a room.
    pub(super) fn tells_up_to(&self, serial: PopupSerial) -> Option<NoticeId> {
        let entry = self.entries.iter().find(|entry| entry.serial() == Some(serial))?;
        match entry.under_way.as_ref()?.shown.as_ref()? {
            Shown::Room(_, up_to) => Some(*up_to),
            Shown::Everything(_) | Shown::Call(..) => None,
        }
    }

    pub(super) fn is_up(&self, key: &PopupKey) -> bool {
        self.find(key).is_some_and(|entry| entry.is_up)
    }

    pub(super) fn is_under_way(&self, key: &PopupKey) -> bool {
        self.find(key).is_some_and(|entry| entry.under_way.is_some())
    }

    pub(super) fn rooms_under_way(&self) -> HashSet<RoomKey> {
        self.entries.iter().filter(|entry| entry.under_way.is_some()).filter_map(|entry| room(&entry.key)).collect()
    }

    /// What this popup tells is no longer right.
    pub(super) fn outdate(&mut self, key: &PopupKey) {
        if let Some(entry) = self.entry(key) {
            entry.is_outdated = true;
        }
    }

    /// The rooms whose popup is up and not right, with none on its way that replaces it.
    pub(super) fn outdated(&self) -> Vec<RoomKey> {
        self.entries.iter().filter(|entry| entry.is_to_be_corrected()).filter_map(|entry| room(&entry.key)).collect()
    }

    /// Whether the same is true of the summary.
    pub(super) fn is_summary_outdated(&self) -> bool {
        self.find(&PopupKey::Summary).is_some_and(Entry::is_to_be_corrected)
    }

    /// Whether the summary that is up says just this. If so, it is right after all.
    pub(super) fn summary_says_already(&mut self, popup: &Popup) -> bool {
        let says_already = self.says(popup);
        if let Some(entry) = self.entry(&popup.key).filter(|_| says_already) {
            entry.is_outdated = false;
        }
        says_already
    }

    /// Whether the popup that is up says just this.
    pub(super) fn says(&self, popup: &Popup) -> bool {
        let says = |(title, text): &(String, String)| *title == popup.title && *text == popup.text;
        self.find(&popup.key).is_some_and(|entry| entry.is_up && entry.says.as_ref().is_some_and(says))
    }

    /// Whether the popup that is up tells just this. If so, it is right after all.
    pub(super) fn tells_already(&mut self, key: &PopupKey, subject: &Subject) -> bool {
        match self.entry(key) {
            Some(entry) if entry.is_up && entry.subject.as_ref() == Some(subject) => {
                entry.is_outdated = false;
                true
            }
            Some(_) | None => false,
        }
    }

    /// What the popup that is up tells of.
    pub(super) fn subject(&self, key: &PopupKey) -> Option<Subject> {
        self.find(key)?.subject.clone()
    }

    /// The person has dismissed what was up; what it told of. One on its way to replace it is kept.
    pub(super) fn dismissed(&mut self, key: &PopupKey) -> Option<Subject> {
        let entry = self.entry(key)?;
        entry.is_up = false;
        let subject = entry.subject.take();
        self.entries.retain(|entry| entry.is_up || entry.under_way.is_some());
        subject
    }

    /// Whether the popup on its way tells of nothing newer than this.
    pub(super) fn brings_nothing_newer(&self, key: &PopupKey, than: &Subject) -> bool {
        let coming = self.find(key).and_then(|entry| entry.under_way.as_ref()?.subject.as_ref());
        coming.is_some_and(|coming| coming.newest <= than.newest)
    }

    /// The popup is withdrawn, also if it is only on its way. Whether there was one.
    pub(super) fn forget_key(&mut self, key: &PopupKey) -> bool {
        let before = self.entries.len();
        self.entries.retain(|entry| entry.key != *key);
        self.entries.len() < before
    }

    /// All popups of which this is true are withdrawn, also those only on their way; which they were. Of one that is about
    /// to be replaced it is asked what the coming one tells of.
    pub(super) fn forget(&mut self, gone: impl Fn(&PopupKey, Option<&Subject>) -> bool) -> Vec<PopupKey> {
        let is_gone = |entry: &mut Entry| {
            let coming = entry.under_way.as_ref().and_then(|popup| popup.subject.as_ref());
            gone(&entry.key, coming.or(entry.subject.as_ref()))
        };
        self.entries.extract_if(.., is_gone).map(|entry| entry.key).collect()
    }

    fn find(&self, key: &PopupKey) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == *key)
    }

    fn entry(&mut self, key: &PopupKey) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.key == *key)
    }
}

fn room(key: &PopupKey) -> Option<RoomKey> {
    match key {
        PopupKey::Room(room) => Some(room.clone()),
        PopupKey::Call(_) | PopupKey::Summary | PopupKey::Own(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room_key(number: usize) -> RoomKey {
        RoomKey::with_id("home", format!("!{number}"))
    }

    fn room(number: usize) -> PopupKey {
        PopupKey::Room(room_key(number))
    }

    fn subject(newest: i64) -> Subject {
        let target = OpenTarget::Room { room_id: "!1".into(), event_id: None, user: None };
        Subject { room: room_key(1), newest: NoticeId(newest), target, says: None }
    }

    #[test]
    fn what_was_shown_is_told_once() {
        let mut popups = Popups::default();
        let everything = Shown::Everything(NoticeId(7));
        let serial = popups.ask(PopupKey::Summary, Some(everything.clone()), None);
        assert!(popups.is_under_way(&PopupKey::Summary) && !popups.is_up(&PopupKey::Summary));
        assert_eq!(popups.shown(serial), Some((PopupKey::Summary, Some(everything))));
        assert_eq!(popups.shown(serial), None);
        assert!(popups.is_up(&PopupKey::Summary) && !popups.is_under_way(&PopupKey::Summary));
    }

    #[test]
    fn a_popup_that_was_not_shown_is_not_up() {
        let mut popups = Popups::default();
        let serial = popups.ask(room(1), None, None);
        assert!(popups.not_shown(serial));
        assert!(!popups.is_up(&room(1)));
        assert!(!popups.not_shown(serial));
    }

    #[test]
    fn what_was_up_before_an_update_that_failed_still_is() {
        let mut popups = Popups::default();
        let serial = popups.ask(room(1), None, Some(subject(1)));
        popups.shown(serial);
        let serial = popups.ask(room(1), None, Some(subject(2)));
        assert_eq!(popups.subject(&room(1)), Some(subject(1)), "what is on its way cannot have been clicked");
        popups.not_shown(serial);
        assert_eq!(popups.subject(&room(1)), Some(subject(1)));
        assert_eq!(popups.outdated(), [], "what is new waits in the inbox, and may be told otherwise");
    }

    #[test]
    fn a_correction_that_failed_is_still_due() {
        let mut popups = Popups::default();
        let serial = popups.ask(room(1), None, Some(subject(1)));
        popups.shown(serial);
        popups.outdate(&room(1));
        let serial = popups.ask(room(1), None, Some(subject(1)));
        assert_eq!(popups.outdated(), []);
        popups.not_shown(serial);
        assert_eq!(popups.outdated(), [room_key(1)]);
    }

    #[test]
    fn a_dismissed_popup_comes_up_again_when_its_update_was_on_its_way() {
        let mut popups = Popups::default();
        let serial = popups.ask(room(1), None, Some(subject(1)));
        popups.shown(serial);
        let serial = popups.ask(room(1), None, Some(subject(2)));
        assert_eq!(popups.dismissed(&room(1)), Some(subject(1)));
        assert!(!popups.is_up(&room(1)) && popups.is_under_way(&room(1)));
        popups.shown(serial);
        assert_eq!(popups.dismissed(&room(1)), Some(subject(2)));
        assert!(popups.entries.is_empty());
    }

    #[test]
    fn a_withdrawn_or_overtaken_popup_is_under_way_no_more_though_it_is_never_answered() {
        let mut popups = Popups::default();
        let first = popups.ask(room(1), None, Some(subject(1)));
        let second = popups.ask(room(1), None, Some(subject(2)));
        assert_eq!(popups.shown(first), None);
        assert!(popups.is_under_way(&room(1)), "the second is still awaited");
        assert_eq!(popups.forget(|key, subject| *key == room(1) && subject.is_some()), [room(1)]);
        assert_eq!((popups.rooms_under_way().len(), popups.shown(second)), (0, None));
    }

    #[test]
    fn a_popup_that_is_outdated_while_on_its_way_is_told_once_it_is_up() {
        let mut popups = Popups::default();
        let serial = popups.ask(room(1), None, Some(subject(1)));
        popups.outdate(&room(1));
        popups.outdate(&room(2));
        assert_eq!(popups.outdated(), []);
        popups.shown(serial);
        assert_eq!(popups.outdated(), [room_key(1)]);
        popups.ask(room(1), None, Some(subject(1)));
        assert_eq!(popups.outdated(), []);
    }

    #[test]
    fn only_so_many_popups_are_remembered_and_those_on_their_way_longest() {
        let mut popups = Popups::default();
        popups.ask(room(0), None, None);
        for number in 1..2 * MOST {
            let serial = popups.ask(room(number), None, None);
            popups.shown(serial);
        }
        assert_eq!(popups.entries.len(), MOST);
        assert!(popups.is_under_way(&room(0)) && !popups.is_up(&room(1)) && popups.is_up(&room(2 * MOST - 1)));
        for number in 0..2 * MOST {
            popups.ask(room(number), None, None);
        }
        assert_eq!(popups.entries.len(), MOST, "even if the service answers nothing");
    }

    #[test]
    fn what_was_asked_for_lately_is_remembered_though_it_first_came_long_ago() {
        let mut popups = Popups::default();
        let mut show = |number| {
            let serial = popups.ask(room(number), None, None);
            popups.shown(serial);
        };
        (0..MOST).for_each(&mut show);
        show(0);
        show(MOST);
        assert!(popups.is_up(&room(0)) && !popups.is_up(&room(1)));
    }
}
