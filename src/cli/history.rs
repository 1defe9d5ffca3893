//! `pushbell history`: the inbox, newest first. Read from the database, so it works whether Pushbell runs or not.

use std::io::Write;

use serde_json::{Value, json};

use super::{Context, Failure, arguments::History, block_on, output};
use crate::{
    control, encryption, inbox,
    notice::{Notice, Presentation},
    present,
    push::{
        notify::{Priority, SoundTweak},
        text,
    },
};

/// Maximum width of sender and room, in characters.
const LONGEST_FROM: usize = 36;

pub(super) fn run(context: &Context, asked: &History, out: &mut dyn Write) -> Result<(), Failure> {
    let seals = block_on(async { Ok(encryption::seals(&context.paths).await) })?;
    let account = asked.account.as_deref().map(|named| account_name(context, named)).transpose()?;
    let is_wanted = |notice: &Notice| {
        account.as_ref().is_none_or(|account| notice.account == *account)
            && asked.room.as_deref().is_none_or(|room| is_in_room(notice, room))
            && !(asked.unread && notice.read)
    };
    let notices = inbox::history(&context.paths.database, asked.limit, &seals, is_wanted)?;
    if asked.json {
        for notice in &notices {
            writeln!(out, "{}", output::json(&line(notice))?)?;
        }
    } else if notices.is_empty() {
        if asked.account.is_some() || asked.room.is_some() || asked.unread {
            writeln!(out, "Nothing matches.")?;
        } else if asked.limit > 0 {
            writeln!(out, "Nothing has come yet.")?;
        }
    } else {
        let rows: Vec<_> = notices.iter().map(row).collect();
        output::table(out, ["TIME", "ACCOUNT", "STATE", "FROM", "TEXT"], &rows, output::terminal_columns())?;
    }
    Ok(())
}

/// Name of the account with this name or user ID. Notices of an account that was removed remain under its name.
fn account_name(context: &Context, named: &str) -> Result<String, Failure> {
    Ok(context.accounts()?.of_user(named).map_or(named, |account| &account.name).to_owned())
}

/// Whether the notice's room has this id or alias, or a name that contains it, ignoring case.
fn is_in_room(notice: &Notice, room: &str) -> bool {
    let is = |id: &Option<String>| id.as_deref() == Some(room);
    is(&notice.room_id)
        || is(&notice.room_alias)
        || present::room_name(notice).to_lowercase().contains(&room.to_lowercase())
}

/// A line of `history --json`. Unknown values are null.
fn line(notice: &Notice) -> Value {
    json!({
        "account": notice.account,
        "event_id": notice.event_id,
        "room_id": notice.room_id,
        "type": notice.event_type,
        "sender": notice.sender,
        "sender_display_name": notice.sender_display_name,
        "room_name": notice.room_name,
        "body": present::body(notice),
        "prio": match notice.prio {
            Priority::High => "high",
            Priority::Low => "low",
        },
        "sound": match &notice.sound {
            SoundTweak::Silent => None,
            SoundTweak::Named(name) => Some(name.as_str()),
            SoundTweak::Unusable => Some("default"),
        },
        "highlight": notice.highlight,
        "redacted": notice.redacted,
        "received_at": notice.received_at.to_string(),
        "shown": notice.presentation == Presentation::Shown,
        "read": notice.read,
    })
}

fn row(notice: &Notice) -> [String; 5] {
    let is_waiting = notice.presentation == Presentation::Waiting;
    let state = [(notice.highlight, "highlight"), (!notice.read, "unread"), (is_waiting, "not shown yet")];
    let state: Vec<&str> = state.into_iter().filter(|(holds, _)| *holds).map(|(_, word)| word).collect();
    [
        control::local_time(notice.received_at),
        output::harmless(&notice.account),
        state.join(", "),
        text::line(&from(notice), LONGEST_FROM),
        output::harmless(&present::body(notice)),
    ]
}

/// "Major Tom in Mission Control", as far as known.
fn from(notice: &Notice) -> String {
    let who = notice.sender_display_name.as_ref().or(notice.sender.as_ref());
    let room = notice.room_name.as_ref().or(notice.room_alias.as_ref());
    match (who, room) {
        (Some(who), Some(room)) => format!("{who} in {room}"),
        (Some(who), None) => who.clone(),
        (None, Some(room)) => room.clone(),
        (None, None) => notice.room_id.clone().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::notice::NoticeId;

    fn notice() -> Notice {
        Notice {
            id: NoticeId(1),
            account: "home".to_owned(),
            event_id: Some("$1".to_owned()),
            room_id: Some("!r:example.org".to_owned()),
            event_type: Some("m.room.message".to_owned()),
            sender: Some("@major.tom:example.org".to_owned()),
            sender_display_name: Some("Major\u{202e} Tom".to_owned()),
            room_name: Some("Mission Control".to_owned()),
            room_alias: None,
            membership: None,
            user_is_target: false,
            prio: Priority::Low,
            sound: SoundTweak::Silent,
            highlight: true,
            content: Some(json!({ "msgtype": "m.text", "body": "one\ntwo \u{1b}[2J" }).to_string()),
            redacted: false,
            received_at: Timestamp::UNIX_EPOCH,
            presentation: Presentation::Waiting,
            read: false,
            sample: false,
            call_state: None,
        }
    }

    #[test]
    fn people_read_one_harmless_line() {
        let [_, account, state, from, text] = row(&notice());
        assert_eq!(account, "home");
        assert_eq!(from, "Major Tom in Mission Control");
        assert_eq!(text, "one two");
        assert_eq!(state, "highlight, unread, not shown yet");
    }

    #[test]
    fn who_and_where_are_said_as_far_as_known() {
        let check = |change: fn(&mut Notice), expected: &str| {
            let mut notice = Notice { sender_display_name: None, room_name: None, ..notice() };
            change(&mut notice);
            assert_eq!(from(&notice), expected);
        };
        check(|_| {}, "@major.tom:example.org");
        check(|notice| notice.room_alias = Some("#mc:example.org".into()), "@major.tom:example.org in #mc:example.org");
        check(|notice| notice.sender = None, "!r:example.org");
    }

    #[test]
    fn scripts_find_every_promised_field() {
        let line = |notice: &Notice| -> serde_json::Value {
            let line = output::json(&line(notice)).unwrap();
            assert!(!line.contains(['\n', '\u{1b}', '\u{202e}']));
            serde_json::from_str(&line).unwrap()
        };
        let expected = json!({
            "account": "home", "event_id": "$1", "room_id": "!r:example.org", "type": "m.room.message",
            "sender": "@major.tom:example.org", "sender_display_name": "Major\u{202e} Tom",
            "room_name": "Mission Control", "body": "one\ntwo", "prio": "low", "sound": null, "highlight": true,
            "redacted": false, "received_at": "1970-01-01T00:00:00Z", "shown": false, "read": false,
        });
        assert_eq!(line(&notice()), expected);
        let bare = Notice {
            event_id: None,
            content: None,
            sound: SoundTweak::Unusable,
            presentation: Presentation::Shown,
            ..notice()
        };
        let bare = line(&bare);
        assert_eq!(
            (&bare["event_id"], &bare["sound"], &bare["shown"]),
            (&json!(null), &json!("default"), &json!(true))
        );
    }

    #[test]
    fn a_room_is_found_by_id_alias_or_part_of_its_name() {
        let check = |notice: &Notice, room: &str, expected| assert_eq!(is_in_room(notice, room), expected, "{room}");
        let named = Notice { room_alias: Some("#control:example.org".to_owned()), ..notice() };
        for room in ["!r:example.org", "#control:example.org", "mission control", "CONTROL"] {
            check(&named, room, true);
        }
        for room in ["!r:example", "#control", "Kitchen", "Tom"] {
            check(&named, room, false);
        }
        let direct = Notice { room_name: None, ..notice() };
        check(&direct, "major", true);
    }
}
