//! Sample pushes, as Synapse would send them. The endpoint knows one by a one-time number of the running program: it is
//! shown like any push, but proves nothing about a homeserver and sets no number.

use std::{fmt, net::SocketAddr, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use clap::ValueEnum;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    accounts::Account,
    http_client,
    push::{notify, text},
};

/// How long the endpoint may take: it answers once the notice is on disk.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest answer that is repeated, in characters.
const MAX_ANSWER_CHARS: usize = 200;

const ROOM: &str = "!pushbell-test:example.org";
const SENDER: &str = "@major.tom:example.org";
const RINGING_MILLISECONDS: u32 = 15_000;

/// What a push gateway answers.
#[derive(Deserialize)]
struct Answer {
    rejected: Vec<String>,
}

/// What a sample push is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// A message in a room
    Message,
    /// A message that mentions you
    Mention,
    /// A call that rings for 15 seconds
    Call,
    /// An invitation to a room
    Invite,
    /// Only a new number for the badge
    Badge,
    /// A message whose text the homeserver cannot read
    Encrypted,
}

/// The body of a push for this account. Each is about an event of its own. `number` is from
/// [`Intake::begin_sample`](crate::intake::Intake::begin_sample).
///
/// # Errors
/// When the system has no random numbers.
pub(crate) fn body(kind: Kind, account: &Account, number: &str) -> Result<Value, getrandom::Error> {
    let mut device = json!({ "app_id": account.app_id, "pushkey": account.pushkey, "pushkey_ts": 0, "data": { notify::SAMPLE: number } });
    let Some((event_type, content)) = event(kind, account)? else {
        let notification =
            json!({ "id": "", "type": null, "sender": "", "counts": { "unread": 1 }, "devices": [device] });
        return Ok(json!({ "notification": notification }));
    };
    let sound = if kind == Kind::Call { "ring" } else { "default" };
    device["tweaks"] = json!({ "sound": sound, "highlight": kind == Kind::Mention });
    let id = format!("${}", random_id()?);
    let mut notification = json!({
        "event_id": id,
        "id": id,
        "room_id": ROOM,
        "type": event_type,
        "sender": SENDER,
        "sender_display_name": "Major Tom",
        "prio": "high",
        "content": content,
        "counts": { "unread": 1 },
        "devices": [device],
    });
    if kind == Kind::Invite {
        notification["room_name"] = json!("Secret Plans");
        notification["membership"] = json!("invite");
        notification["user_is_target"] = json!(true);
    } else if kind != Kind::Call {
        notification["room_name"] = json!("Mission Control");
    }
    Ok(json!({ "notification": notification }))
}

/// Sends a sample push to this account through the endpoint of the running program. `listen`: its listening addresses. Returns
/// the endpoint's base URL.
///
/// # Errors
/// A sentence when the push was not accepted.
pub(crate) async fn send(
    kind: Kind,
    account: &Account,
    number: &str,
    listen: &[String],
    has_tls: bool,
) -> Result<String, String> {
    let address = listen.first().and_then(|address| address.parse::<SocketAddr>().ok());
    let address = address.ok_or_else(|| "the running Pushbell does not say where it listens".to_owned())?;
    let scheme = if has_tls { "https" } else { "http" };
    let failed = |reason: &dyn fmt::Display| format!("{scheme}://{address}: {reason}");
    let body = body(kind, account, number).map_err(|error| failed(&error))?.to_string().into_bytes();
    let sending = http_client::post_to_own_endpoint(scheme, address, notify::PATH, body, PATIENCE);
    let (code, answer) = sending.await.map_err(|error| failed(&error.reason))?;
    if code != 200 {
        let answer = text::line(&String::from_utf8_lossy(&answer), MAX_ANSWER_CHARS);
        return Err(failed(&format_args!("the push was answered with {code}: {answer}")));
    }
    let Answer { rejected } = serde_json::from_slice(&answer).map_err(|error| failed(&error))?;
    if !rejected.is_empty() {
        return Err(failed(&format_args!("the running Pushbell does not know the account \"{}\"", account.name)));
    }
    Ok(format!("{scheme}://{address}"))
}

/// Type and content of the event of a push; a badge has none.
fn event(kind: Kind, account: &Account) -> Result<Option<(&'static str, Value)>, getrandom::Error> {
    Ok(Some(match kind {
        Kind::Message => ("m.room.message", json!({ "msgtype": "m.text", "body": "This is a test message." })),
        Kind::Mention => {
            let user = account.sign_in.as_ref().map_or("@you:example.org", |sign_in| &sign_in.user_id);
            let body = "This is a test message that mentions you.";
            let content = json!({ "msgtype": "m.text", "body": body, "m.mentions": { "user_ids": [user] } });
            ("m.room.message", content)
        }
        Kind::Call => {
            let content = json!({
                "call_id": random_id()?,
                "party_id": "pushbell-test",
                "version": "1",
                "lifetime": RINGING_MILLISECONDS,
                "offer": { "type": "offer", "sdp": "v=0\r\n" },
            });
            ("m.call.invite", content)
        }
        Kind::Invite => {
            let content =
                json!({ "membership": "invite", "displayname": "You", "reason": "This is a test invitation." });
            ("m.room.member", content)
        }
        Kind::Encrypted => {
            let content = json!({
                "algorithm": "m.megolm.v1.aes-sha2",
                "ciphertext": random_id()?,
                "session_id": random_id()?,
                "sender_key": random_id()?,
                "device_id": "PUSHBELL",
            });
            ("m.room.encrypted", content)
        }
        Kind::Badge => return Ok(None),
    }))
}

/// 256 random bits.
pub(crate) fn random_id() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        accounts::tests::account,
        push::notify::{Notification, SoundTweak},
    };

    fn parsed(kind: Kind) -> Notification {
        let account = account("home", "app", "key");
        let body = body(kind, &account, "number").unwrap();
        Notification::parse(&serde_json::to_vec(&body).unwrap()).unwrap()
    }

    #[test]
    fn every_kind_is_a_push_that_the_endpoint_understands() {
        for kind in Kind::value_variants() {
            let push = parsed(*kind);
            assert_eq!(push.devices[0].sample.as_deref(), Some("number"), "{kind:?}");
            assert_eq!(push.devices[0].pushkey, "key", "{kind:?}");
            assert_eq!(push.event_id.is_some(), *kind != Kind::Badge, "{kind:?}");
        }
    }

    #[test]
    fn kinds_differ_where_it_matters() {
        let (mention, call, invite) = (parsed(Kind::Mention), parsed(Kind::Call), parsed(Kind::Invite));
        assert!(mention.devices[0].tweaks.highlight);
        assert_eq!(call.devices[0].tweaks.sound, SoundTweak::Named("ring".to_owned()));
        assert_eq!((call.event_type.as_deref(), call.room_name), (Some("m.call.invite"), None));
        assert_eq!((invite.membership.as_deref(), invite.user_is_target), (Some("invite"), true));
    }

    #[test]
    fn no_two_are_about_the_same_event() {
        assert_ne!(parsed(Kind::Message).event_id, parsed(Kind::Message).event_id);
    }
}
