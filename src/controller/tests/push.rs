//! Pushes to be.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    accounts::{CountsScope, tests::account},
    inbox::{Delivery, MissedEvent, Recipient},
    push::notify::{Counts, Notification, SoundTweak, Tweaks},
};

/// A push to be, for the account "home" unless it says otherwise.
#[derive(Debug, Clone)]
pub(super) struct Push {
    notification: Notification,
    recipient: Recipient,
    received_at: Timestamp,
}

/// Numbers without an event.
pub(super) fn badge(unread: u64) -> Push {
    let notification = Notification { counts: Some(Counts { unread, missed_calls: None }), ..Notification::default() };
    let recipient = Recipient::new(&account("home", "app", "key"), Tweaks::default());
    Push { notification, recipient, received_at: Timestamp::now() }
}

/// An event of Bob's; the room is called like its id.
pub(super) fn event(event_id: &str, room: &str, event_type: &str, content: &Value) -> Push {
    let mut push = badge(0);
    push.notification = Notification {
        event_id: Some(event_id.to_owned()),
        room_id: Some(room.to_owned()),
        room_name: Some(room.to_owned()),
        event_type: Some(event_type.to_owned()),
        sender: Some("@bob:hs".to_owned()),
        sender_display_name: Some("Bob".to_owned()),
        content: Some(content.to_string()),
        ..Notification::default()
    };
    push
}

/// A message that says its own event id.
pub(super) fn message(event_id: &str, room: &str) -> Push {
    event(event_id, room, "m.room.message", &json!({"msgtype": "m.text", "body": event_id}))
}

pub(super) fn edit(event_id: &str, room: &str, of: &str, body: &str) -> Push {
    let content = json!({
        "msgtype": "m.text",
        "body": format!("* {body}"),
        "m.new_content": {"msgtype": "m.text", "body": body},
        "m.relates_to": {"rel_type": "m.replace", "event_id": of},
    });
    event(event_id, room, "m.room.message", &content)
}

pub(super) fn redaction(event_id: &str, room: &str, of: &str) -> Push {
    event(event_id, room, "m.room.redaction", &json!({"redacts": of}))
}

/// A call that rings for a minute with the sound "ring".
pub(super) fn call(call_id: &str, room: &str) -> Push {
    let content = json!({"call_id": call_id, "lifetime": 60_000});
    event(&format!("call {call_id}"), room, "m.call.invite", &content).sound("ring")
}

pub(super) fn answer_of_call(call_id: &str, room: &str) -> Push {
    event(&format!("answer {call_id}"), room, "m.call.answer", &json!({"call_id": call_id}))
}

impl Push {
    pub(super) fn for_account(mut self, account: &str) -> Self {
        self.recipient.account = account.into();
        self
    }

    pub(super) fn unread(mut self, unread: u64) -> Self {
        self.notification.counts = Some(Counts { unread, missed_calls: None });
        self
    }

    pub(super) fn per_room(mut self) -> Self {
        self.recipient.counts = CountsScope::Room;
        self
    }

    /// A room for numbers without an event.
    pub(super) fn of_room(mut self, room: &str) -> Self {
        self.notification.room_id = Some(room.to_owned());
        self
    }

    pub(super) fn highlight(mut self) -> Self {
        self.recipient.tweaks.highlight = true;
        self
    }

    pub(super) fn sound(mut self, name: &str) -> Self {
        self.recipient.tweaks.sound = SoundTweak::Named(name.to_owned());
        self
    }

    /// Of this event nothing came but its ids, and the rest is asked for.
    pub(super) fn ids_only(mut self) -> Self {
        let Notification { event_id, room_id, .. } = self.notification;
        self.notification = Notification { event_id, room_id, ..Notification::default() };
        self.recipient.fetches_details = true;
        self
    }

    /// What the homeserver says of the event when it is asked.
    pub(super) fn details(self) -> Notification {
        self.notification
    }

    /// The event as it is caught up with.
    pub(super) fn missed(self) -> MissedEvent {
        MissedEvent { notification: self.notification, tweaks: self.recipient.tweaks, read: false }
    }

    pub(super) fn received_at(mut self, received_at: Timestamp) -> Self {
        self.received_at = received_at;
        self
    }

    pub(super) fn delivery(self, replayed: bool) -> Delivery {
        Delivery {
            is_sample: false,
            notification: self.notification,
            recipients: vec![self.recipient],
            received_at: self.received_at,
            replayed,
        }
    }
}
