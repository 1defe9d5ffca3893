//! What the next run is told of the popups that stay up when this one ends (pure): so it replaces and withdraws them, and
//! they can be clicked. Numbers and identifiers only; their words are in the inbox.

use serde_json::{Value, json};

use super::popups::Subject;
use crate::{
    desktop::{
        OpenTarget,
        popup::{PopupKey, Standing},
    },
    notice::{NoticeId, Room, RoomKey},
};

/// The setting of the inbox that keeps it.
pub(super) const SETTING: &str = "popups_left_up";

/// The popups of an earlier run, but for those about Pushbell itself: what they say, the next run finds out anew.
#[derive(Debug, Default, PartialEq)]
pub(super) struct LeftUp {
    service: String,
    popups: Vec<Left>,
}

#[derive(Debug, PartialEq)]
struct Left {
    key: PopupKey,
    id: u32,
    /// What it tells of; a summary has none.
    subject: Option<Subject>,
}

impl LeftUp {
    /// From what stays up and what each of it tells of.
    pub(super) fn new(standing: Standing, subject: impl Fn(&PopupKey) -> Option<Subject>) -> Self {
        let popups = standing.popups.into_iter().filter_map(|(key, id)| {
            let subject = subject(&key).map(|subject| Subject { says: None, ..subject });
            let is_known = key == PopupKey::Summary || subject.is_some();
            is_known.then_some(Left { key, id, subject })
        });
        Self { service: standing.service, popups: popups.collect() }
    }

    /// As it was written. Nothing if it was not: then the popups of an earlier run are nobody's.
    pub(super) fn read(written: Option<&str>) -> Self {
        let written: Value = written.and_then(|written| serde_json::from_str(written).ok()).unwrap_or_default();
        let popups = written["popups"].as_array().into_iter().flatten().filter_map(Left::read).collect();
        Self { service: written["service"].as_str().unwrap_or_default().to_owned(), popups }
    }

    /// To be written; `None` if there is nothing to tell.
    pub(super) fn written(&self) -> Option<String> {
        let popups: Vec<_> = self.popups.iter().map(Left::written).collect();
        (!popups.is_empty()).then(|| json!({"service": self.service, "popups": popups}).to_string())
    }

    /// What the desktop is to adopt, if anything.
    pub(super) fn standing(&self) -> Option<Standing> {
        let popups: Vec<_> = self.popups.iter().map(|left| (left.key.clone(), left.id)).collect();
        (!popups.is_empty()).then(|| Standing { service: self.service.clone(), popups })
    }

    /// What this popup told of.
    pub(super) fn subject(&self, key: &PopupKey) -> Option<Subject> {
        self.popups.iter().find(|left| left.key == *key)?.subject.clone()
    }
}

impl Left {
    fn written(&self) -> Value {
        let Some(Subject { room, newest, target, says: _ }) = &self.subject else { return json!({"id": self.id}) };
        let (event_id, user) = match target {
            OpenTarget::Room { room_id: _, event_id, user } => (event_id.as_deref(), user.as_deref()),
            OpenTarget::File(_) => (None, None),
        };
        json!({
            "id": self.id,
            "is_call": matches!(self.key, PopupKey::Call(_)),
            "account": room.account,
            "room": room.room.to_stored(),
            "newest": newest.0,
            "event_id": event_id,
            "user": user,
        })
    }

    fn read(written: &Value) -> Option<Self> {
        let id = written["id"].as_u64()?.try_into().ok()?;
        let text = |name| written[name].as_str().map(str::to_owned);
        let Some(account) = text("account") else { return Some(Self { key: PopupKey::Summary, id, subject: None }) };
        let room = Room::from_stored(&text("room")?);
        let newest = NoticeId(written["newest"].as_i64()?);
        let room_id = room.id().unwrap_or_default().to_owned();
        let room = RoomKey { account, room };
        let target = OpenTarget::Room { room_id, event_id: text("event_id"), user: text("user") };
        let is_call = written["is_call"].as_bool()?;
        let key = if is_call { PopupKey::Call(newest) } else { PopupKey::Room(room.clone()) };
        Some(Self { key, id, subject: Some(Subject { room, newest, target, says: None }) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room() -> RoomKey {
        RoomKey::with_id("home", "!1")
    }

    fn subject() -> Subject {
        let target =
            OpenTarget::Room { room_id: "!1".into(), event_id: Some("$1".into()), user: Some("@bob:hs.test".into()) };
        Subject { room: room(), newest: NoticeId(7), target, says: Some(("Bob".into(), "secret".into())) }
    }

    #[test]
    fn what_is_written_is_read_again_but_for_words_and_popups_about_pushbell() {
        let keys = [PopupKey::Room(room()), PopupKey::Own("Welcome"), PopupKey::Call(NoticeId(5)), PopupKey::Summary];
        let popups = keys.into_iter().zip(1..).collect();
        let told = |key: &PopupKey| match key {
            PopupKey::Room(_) => Some(subject()),
            PopupKey::Call(call) => Some(Subject { newest: *call, ..subject() }),
            PopupKey::Summary | PopupKey::Own(_) => None,
        };
        let left_up = LeftUp::new(Standing { service: "bus :1.4".into(), popups }, told);

        let written = left_up.written().expect("there is something to tell");
        assert!(!written.contains("secret"), "{written}");
        let read = LeftUp::read(Some(&written));

        assert_eq!(read, left_up);
        let popups = vec![(PopupKey::Room(room()), 1), (PopupKey::Call(NoticeId(5)), 3), (PopupKey::Summary, 4)];
        assert_eq!(read.standing(), Some(Standing { service: "bus :1.4".into(), popups }));
        assert_eq!(read.subject(&PopupKey::Room(room())), Some(Subject { says: None, ..subject() }));
        assert_eq!(read.subject(&PopupKey::Call(NoticeId(5))).map(|subject| subject.newest), Some(NoticeId(5)));
        assert_eq!(read.subject(&PopupKey::Summary), None);
    }

    #[test]
    fn nothing_is_gone_on_with_when_nothing_or_nonsense_was_written() {
        for written in [None, Some(""), Some("{}"), Some(r#"{"service":"a","popups":[{"id":-1}]}"#)] {
            let read = LeftUp::read(written);
            assert_eq!((read.standing(), read.written()), (None, None), "{written:?}");
        }
    }
}
