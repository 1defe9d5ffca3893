//! Evaluates push rules for an account whose homeserver counts events that notify, and does not list them.

use ruma::{UserId, serde::Raw};
use serde_json::{
    Value, json,
    value::{RawValue, to_raw_value},
};

use super::{api::Api, machine::Plain, rules::Rules};
use crate::{accounts::SignIn, inbox::Verdict, push::notify::Notification, secrets::Secrets, session::Sessions};

/// Evaluates one account's push rules.
pub(crate) struct Judge {
    api: Api,
    rules: Rules,
    user: String,
}

impl Judge {
    pub(crate) fn new(secrets: &Secrets, sign_in: &SignIn) -> Self {
        let api = Api::new(Sessions::new(secrets.clone()), sign_in.clone());
        Self { api, rules: Rules::default(), user: sign_in.user_id.clone() }
    }

    /// The result of the rules for an event of the room; [`Verdict::AsPushed`] if they are not available.
    pub(crate) async fn verdict(&mut self, room_id: &str, event: &Notification) -> Verdict {
        let (Ok(user), Some(plain)) = (UserId::parse(&self.user), plain(room_id, event)) else {
            return Verdict::AsPushed;
        };
        self.rules.verdict(&self.api, &user, room_id, &plain).await
    }
}

/// The event in the form that the rules evaluate.
fn plain(room_id: &str, event: &Notification) -> Option<Plain> {
    let event_type = event.event_type.clone()?;
    let content = RawValue::from_string(event.content.clone().unwrap_or_else(|| "{}".to_owned())).ok()?;
    let mut whole = json!({
        "type": event_type, "event_id": event.event_id, "sender": event.sender, "room_id": room_id,
        "origin_server_ts": 0, "content": content,
    });
    if event_type == "m.room.tombstone" {
        // The only state event for which default rules notify.
        whole["state_key"] = Value::String(String::new());
    }
    let whole = to_raw_value(&whole).ok()?;
    Some(Plain { event: Raw::from_json(whole), event_type, content, message: String::new() })
}
