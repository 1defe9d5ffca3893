//! What an event means, read from its `type` and `content` (pure).

use std::{borrow::Cow, collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use serde_json::{json, value::RawValue};

use super::lenient::{Object, Value};

/// The default of `lifetime`.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(60);

/// The maximum of `lifetime`.
const MAX_LIFETIME: Duration = Duration::from_secs(120);

/// What an event means for the inbox.
#[derive(Debug, Clone, PartialEq)]
pub enum Meaning {
    /// It is shown in its room's popup: messages of every kind, invites, reactions, encrypted and unknown events.
    Message,
    /// A call that rings: a popup and a sound of its own, until its deadline.
    Ringing {
        /// `call_id`, if the event has one.
        call_id: Option<String>,
        /// How long it rings: `lifetime`, 60 s when absent or odd, 120 s at most.
        lifetime: Duration,
        /// When the caller sent it (`sender_ts`), if the event says so: it rings no longer than its lifetime after
        /// that.
        sent_at: Option<Timestamp>,
        /// Whom it is for (`invitee`), if it is not for everybody in the room.
        invitee: Option<String>,
    },
    /// A call is over.
    CallOver {
        /// Which.
        call_id: String,
        /// How it ended.
        ending: CallEnding,
    },
    /// An edit (`m.replace`) of an earlier event of the same sender and room.
    Edit {
        /// The event that it replaces.
        event_id: String,
        /// `m.new_content`, as JSON text.
        new_content: String,
    },
    /// A redaction of an earlier event of the same room.
    Redaction {
        /// The event that it takes back (`content.redacts`); rooms of versions before 11 have it outside `content`,
        /// which no push carries.
        event_id: Option<String>,
    },
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallEnding {
    /// `m.call.answer`, `m.call.select_answer` or `m.call.reject`: somebody took or refused it.
    Taken,
    /// `m.call.hangup`: missed if it comes from the caller.
    Hangup,
}

impl Meaning {
    /// Whether it is a call that rings for this user; every call does if the user is not known.
    #[must_use]
    pub fn rings_for(&self, user_id: Option<&str>) -> bool {
        match self {
            Self::Ringing { invitee, .. } => {
                invitee.as_deref().zip(user_id).is_none_or(|(invitee, user_id)| invitee == user_id)
            }
            Self::Message | Self::CallOver { .. } | Self::Edit { .. } | Self::Redaction { .. } => false,
        }
    }
}

/// Reads what an event means. `content` is JSON text of any shape; what cannot be read counts as absent.
#[must_use]
pub fn meaning(event_type: Option<&str>, content: Option<&str>) -> Meaning {
    let content = content.and_then(Object::read).unwrap_or_default();
    let ringing = |sent_at| Meaning::Ringing {
        call_id: content.string("call_id").map(Cow::into_owned),
        lifetime: lifetime(&content),
        sent_at,
        invitee: content.string("invitee").map(Cow::into_owned),
    };
    let over =
        |ending| Meaning::CallOver { call_id: content.string("call_id").unwrap_or_default().into_owned(), ending };
    let says_ring = |key: &str| content.string(key).as_deref() == Some("ring");
    match event_type.unwrap_or_default() {
        "m.call.invite" => ringing(None),
        "m.rtc.notification" | "org.matrix.msc4075.rtc.notification" if says_ring("notification_type") => {
            ringing(sent_at(&content))
        }
        "m.call.notify" | "org.matrix.msc4075.call.notify" if says_ring("notify_type") => ringing(sent_at(&content)),
        "m.call.answer" | "m.call.reject" | "m.call.select_answer" => over(CallEnding::Taken),
        "m.call.hangup" => over(CallEnding::Hangup),
        "m.room.redaction" => Meaning::Redaction { event_id: content.string("redacts").map(Cow::into_owned) },
        _ => edit(&content).unwrap_or(Meaning::Message),
    }
}

/// The event that declines this call, by its `type` and `content`; `None`: there is none for a call of its kind.
/// `call_id`: its `call_id`, else the id of its event. `party_id`: who declines ("Voice over IP", MSC4310).
#[must_use]
pub(crate) fn decline(
    event_type: &str,
    content: &str,
    call_id: &str,
    party_id: &str,
) -> Option<(&'static str, serde_json::Value)> {
    let notification = || json!({"m.relates_to": {"rel_type": "m.reference", "event_id": call_id}});
    match event_type {
        "m.call.invite" => {
            let content = Object::read(content)?;
            content.string("call_id")?;
            Some(match content.string("version") {
                Some(version) => {
                    ("m.call.reject", json!({"call_id": call_id, "party_id": party_id, "version": version}))
                }
                None => ("m.call.hangup", json!({"call_id": call_id, "version": 0})),
            })
        }
        "m.rtc.notification" if call_id.starts_with('$') => Some(("m.rtc.decline", notification())),
        "org.matrix.msc4075.rtc.notification" if call_id.starts_with('$') => {
            Some(("org.matrix.msc4310.rtc.decline", notification()))
        }
        _ => None,
    }
}

/// `content` of a text message that answers this event, in its thread if it is in one. `answered`: its id and
/// `content`.
#[must_use]
pub(crate) fn reply(text: &str, (event_id, content): (&str, &str)) -> serde_json::Value {
    let mut reply = json!({"msgtype": "m.text", "body": text, "m.mentions": {}});
    let content = Object::read(content).unwrap_or_default();
    if let Some(root) = thread_root(&content) {
        // Who knows no threads sees the newest message answered.
        let fallback = json!({"event_id": event_id});
        reply["m.relates_to"] =
            json!({"rel_type": "m.thread", "event_id": root, "is_falling_back": true, "m.in_reply_to": fallback});
    }
    reply
}

/// The first event of the thread that an event with this content is in.
fn thread_root(content: &Object<'_>) -> Option<String> {
    let relation = content.object("m.relates_to")?;
    let is_thread = relation.string("rel_type")? == "m.thread";
    relation.string("event_id").filter(|_| is_thread).map(Cow::into_owned)
}

/// Whether an event with this content is known to be in this thread, given by its first event; `main`: in none.
pub(crate) fn is_in_thread(content: &str, thread: &str) -> bool {
    let Some(content) = Object::read(content) else { return false };
    // An edit does not say in which thread its event is.
    let is_edit =
        content.object("m.relates_to").is_some_and(|it| it.string("rel_type").as_deref() == Some("m.replace"));
    !is_edit && thread_root(&content).as_deref().unwrap_or("main") == thread
}

/// New content of an edited event: it stays in its thread, which the content of an edit does not say.
#[must_use]
pub(crate) fn edited(content: &str, new_content: &str) -> String {
    let relation = Object::read(content).and_then(|content| content.get("m.relates_to"));
    let thread = relation
        .filter(|it| it.object().is_some_and(|relation| relation.string("rel_type").as_deref() == Some("m.thread")));
    let with_thread = thread.and_then(|thread| {
        let mut content: BTreeMap<String, Box<RawValue>> = serde_json::from_str(new_content).ok()?;
        content.insert("m.relates_to".to_owned(), thread.to_raw());
        serde_json::to_string(&content).ok()
    });
    with_thread.unwrap_or_else(|| new_content.to_owned())
}

/// Whether an event of this type says who is in a call (MSC3401, MSC4143).
pub(crate) fn is_call_member(event_type: &str) -> bool {
    let types = ["m.call.member", "org.matrix.msc3401.call.member", "m.rtc.member", "org.matrix.msc4143.rtc.member"];
    types.contains(&event_type)
}

/// Whether its sender leaves a call with this event.
pub(crate) fn is_leaving_call(event_type: &str, content: &str) -> bool {
    is_call_member(event_type) && Object::read(content).is_some_and(|content| content.is_empty())
}

/// Reads `m.relates_to` and `m.new_content` of an edit.
fn edit(content: &Object<'_>) -> Option<Meaning> {
    let relation = content.object("m.relates_to")?;
    let new_content = content.get("m.new_content").filter(|value| value.object().is_some())?;
    (relation.string("rel_type")? == "m.replace").then_some(Meaning::Edit {
        event_id: relation.string("event_id")?.into_owned(),
        new_content: new_content.json().to_owned(),
    })
}

/// `lifetime`, in milliseconds.
fn lifetime(content: &Object<'_>) -> Duration {
    content
        .get("lifetime")
        .and_then(Value::number)
        .filter(|milliseconds| *milliseconds > 0.0 && milliseconds.is_finite())
        .map_or(DEFAULT_LIFETIME, |ms| Duration::from_secs_f64(ms.min(MAX_LIFETIME.as_secs_f64() * 1000.0) / 1000.0))
}

/// `sender_ts` (MSC4075), in milliseconds since the epoch.
fn sent_at(content: &Object<'_>) -> Option<Timestamp> {
    let milliseconds = content.get("sender_ts").and_then(Value::whole_number)?;
    Timestamp::from_millisecond(i64::try_from(milliseconds).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(event_type: &str, content: &str, expected: &Meaning) {
        assert_eq!(&meaning(Some(event_type), Some(content)), expected, "{event_type} {content}");
    }

    fn ringing(call_id: Option<&str>, milliseconds: u64, sent_at: Option<i64>) -> Meaning {
        Meaning::Ringing {
            call_id: call_id.map(str::to_owned),
            lifetime: Duration::from_millis(milliseconds),
            sent_at: sent_at.map(|milliseconds| Timestamp::from_millisecond(milliseconds).unwrap()),
            invitee: None,
        }
    }

    #[test]
    fn a_call_for_somebody_else_does_not_ring() {
        let rings = |content: &str, me: Option<&str>| meaning(Some("m.call.invite"), Some(content)).rings_for(me);
        assert!(rings("{}", Some("@me:hs")) && rings(r#"{"invitee":7}"#, Some("@me:hs")));
        assert!(rings(r#"{"invitee":"@me:hs"}"#, Some("@me:hs")));
        assert!(!rings(r#"{"invitee":"@bob:hs"}"#, Some("@me:hs")));
        assert!(rings(r#"{"invitee":"@bob:hs"}"#, None), "of an account by hand nobody knows whose it is");
        assert!(!Meaning::Message.rings_for(None));
    }

    #[test]
    fn a_call_rings_for_its_lifetime_at_most_two_minutes() {
        let rings_for = |lifetime: &str, expected| {
            check(
                "m.call.invite",
                &format!(r#"{{"call_id":"c","lifetime":{lifetime}}}"#),
                &ringing(Some("c"), expected, None),
            );
        };
        rings_for("30000", 30_000);
        rings_for("30000.0", 30_000);
        rings_for("120000", 120_000);
        rings_for("120001", 120_000);
        rings_for("1e300", 120_000);
        for odd in ["0", "-1", "null", "\"30000\"", "true", "{}", "[30000]", "1e999"] {
            rings_for(odd, 60_000);
        }
        check("m.call.invite", "{}", &ringing(None, 60_000, None));
        check("m.call.invite", r#"{"call_id":""}"#, &ringing(None, 60_000, None));
    }

    #[test]
    fn a_notification_of_a_group_call_rings_when_it_says_so() {
        for event_type in ["m.rtc.notification", "org.matrix.msc4075.rtc.notification"] {
            let content = r#"{"notification_type":"ring","lifetime":30000,"sender_ts":1795336750000}"#;
            check(event_type, content, &ringing(None, 30_000, Some(1_795_336_750_000)));
            check(event_type, r#"{"notification_type":"ring","sender_ts":-1}"#, &ringing(None, 60_000, None));
            check(event_type, r#"{"notification_type":"notification"}"#, &Meaning::Message);
            check(event_type, r#"{"notify_type":"ring"}"#, &Meaning::Message);
            check(event_type, "{}", &Meaning::Message);
        }
        for event_type in ["m.call.notify", "org.matrix.msc4075.call.notify"] {
            check(event_type, r#"{"notify_type":"ring","call_id":"x"}"#, &ringing(Some("x"), 60_000, None));
            let sent = r#"{"notify_type":"ring","sender_ts":1795336750000}"#;
            check(event_type, sent, &ringing(None, 60_000, Some(1_795_336_750_000)));
            check(event_type, r#"{"notify_type":"notify"}"#, &Meaning::Message);
        }
    }

    #[test]
    fn a_call_ends_by_being_taken_or_hung_up() {
        let over = |ending| Meaning::CallOver { call_id: "c".to_owned(), ending };
        for event_type in ["m.call.answer", "m.call.reject", "m.call.select_answer"] {
            check(event_type, r#"{"call_id":"c"}"#, &over(CallEnding::Taken));
        }
        check("m.call.hangup", r#"{"call_id":"c","reason":"invite_timeout"}"#, &over(CallEnding::Hangup));
        let nameless = Meaning::CallOver { call_id: String::new(), ending: CallEnding::Hangup };
        check("m.call.hangup", r#"{"call_id":7}"#, &nameless);
    }

    #[test]
    fn a_call_is_declined_as_its_kind_and_version_know() {
        let check = |event_type: &str, content: &str, call_id: &str, expected: Option<(&str, serde_json::Value)>| {
            assert_eq!(decline(event_type, content, call_id, "D"), expected, "{event_type} {content}");
        };
        let reject = json!({"call_id": "c", "party_id": "D", "version": "1"});
        check("m.call.invite", r#"{"call_id":"b","version":"1"}"#, "c", Some(("m.call.reject", reject)));
        let hangup = json!({"call_id": "c", "version": 0});
        check("m.call.invite", r#"{"call_id":"c","version":0}"#, "c", Some(("m.call.hangup", hangup.clone())));
        check("m.call.invite", r#"{"call_id":"c"}"#, "c", Some(("m.call.hangup", hangup)));
        check("m.call.invite", "{}", "$event", None);
        let declined = json!({"m.relates_to": {"rel_type": "m.reference", "event_id": "$event"}});
        check("m.rtc.notification", "{}", "$event", Some(("m.rtc.decline", declined.clone())));
        let unstable = ("org.matrix.msc4310.rtc.decline", declined);
        check("org.matrix.msc4075.rtc.notification", "{}", "$event", Some(unstable));
        check("m.rtc.notification", "{}", "c", None);
        check("m.call.notify", "{}", "$event", None);
    }

    #[test]
    fn a_reply_goes_into_the_thread_that_it_answers() {
        let check = |content: &str, relation: serde_json::Value| {
            let mut expected = json!({"msgtype": "m.text", "body": "yes", "m.mentions": {}});
            if !relation.is_null() {
                expected["m.relates_to"] = relation;
            }
            assert_eq!(reply("yes", ("$newest", content)), expected, "{content}");
        };
        check(
            r#"{"m.relates_to":{"rel_type":"m.thread","event_id":"$root"}}"#,
            json!({"rel_type": "m.thread", "event_id": "$root", "is_falling_back": true, "m.in_reply_to": {"event_id": "$newest"}}),
        );
        for plain in [
            "",
            "{}",
            r#"{"m.relates_to":{"m.in_reply_to":{"event_id":"$x"}}}"#,
            r#"{"m.relates_to":{"rel_type":"m.thread"}}"#,
            r#"{"m.relates_to":7}"#,
        ] {
            check(plain, serde_json::Value::Null);
        }
    }

    #[test]
    fn an_edited_event_stays_in_its_thread() {
        let thread = r#""m.relates_to":{"event_id":"$root","rel_type":"m.thread"}"#;
        let (old, new) = (format!(r#"{{"body":"old",{thread}}}"#), r#"{"body":"new","m.relates_to":7}"#);
        assert_eq!(edited(&old, new), format!(r#"{{"body":"new",{thread}}}"#));
        for other in ["", "{}", r#"{"m.relates_to":{"rel_type":"m.annotation"}}"#] {
            assert_eq!(edited(other, new), new);
        }
        assert_eq!(edited(&old, "odd"), "odd");
    }

    #[test]
    fn an_edit_needs_its_event_and_its_new_content() {
        let relation = r#""m.relates_to":{"rel_type":"m.replace","event_id":"$e"}"#;
        let edit = Meaning::Edit { event_id: "$e".to_owned(), new_content: r#"{"body":"new"}"#.to_owned() };
        check("m.room.message", &format!(r#"{{{relation},"m.new_content":{{"body":"new"}}}}"#), &edit);
        for odd in [
            format!("{{{relation}}}"),
            format!(r#"{{{relation},"m.new_content":"new"}}"#),
            r#"{"m.relates_to":{"rel_type":"m.replace"},"m.new_content":{}}"#.to_owned(),
            r#"{"m.relates_to":{"rel_type":"m.thread","event_id":"$e"},"m.new_content":{}}"#.to_owned(),
            r#"{"m.relates_to":7,"m.new_content":{}}"#.to_owned(),
        ] {
            check("m.room.message", &odd, &Meaning::Message);
        }
    }

    #[test]
    fn a_redaction_is_one_whether_or_not_it_names_its_event() {
        let redaction = |event_id: Option<&str>| Meaning::Redaction { event_id: event_id.map(str::to_owned) };
        check("m.room.redaction", r#"{"redacts":"$e"}"#, &redaction(Some("$e")));
        for nameless in [r#"{"redacts":{}}"#, r#"{"reason":"spam"}"#, "{}", "[]", "7", "null", "not json", ""] {
            check("m.room.redaction", nameless, &redaction(None));
        }
        assert_eq!(meaning(Some("m.room.redaction"), None), redaction(None));
    }

    #[test]
    fn unreadable_content_counts_as_absent() {
        assert_eq!(meaning(None, None), Meaning::Message);
        assert_eq!(meaning(Some("m.call.invite"), None), ringing(None, 60_000, None));
        assert_eq!(meaning(Some("m.room.message"), None), Meaning::Message);
        for odd in ["[]", "7", "null", "not json", "{", ""] {
            check("m.room.message", odd, &Meaning::Message);
        }
    }
}
