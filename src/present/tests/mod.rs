//! What each kind of event becomes, row by row.

mod bounds;
mod kinds;

use jiff::Timestamp;

use super::*;
use crate::{
    notice::{NoticeId, Presentation},
    push::notify::{Priority, SoundTweak},
};

/// Whose popups they are.
const ME: Option<&str> = Some("@me:hs");

const ALWAYS: RenderOptions = RenderOptions { show_text: true, timeout: Timeout::Default };
const NEVER: RenderOptions = RenderOptions { show_text: false, timeout: Timeout::Milliseconds(5000) };

/// Major Tom says this in Mission Control.
fn notice(event_type: &str, content: &str) -> Notice {
    Notice {
        id: NoticeId(1),
        account: "home".to_owned(),
        event_id: Some("$e".to_owned()),
        room_id: Some("!r".to_owned()),
        event_type: Some(event_type.to_owned()),
        sender: Some("@tom:hs.test".to_owned()),
        sender_display_name: Some("Major Tom".to_owned()),
        room_name: Some("Mission Control".to_owned()),
        room_alias: None,
        membership: None,
        user_is_target: false,
        prio: Priority::High,
        sound: SoundTweak::Silent,
        highlight: false,
        content: Some(content.to_owned()),
        redacted: false,
        received_at: Timestamp::UNIX_EPOCH,
        presentation: Presentation::Waiting,
        read: false,
    }
}

fn message(body: &str) -> Notice {
    notice("m.room.message", &format!(r#"{{"msgtype":"m.text","body":"{body}"}}"#))
}

fn highlight(body: &str, mentions: &str) -> Notice {
    let content = format!(r#"{{"msgtype":"m.text","body":"{body}","m.mentions":{mentions}}}"#);
    Notice { highlight: true, ..notice("m.room.message", &content) }
}

fn by(name: &str, id: i64, notice: Notice) -> Notice {
    Notice { id: NoticeId(id), sender_display_name: Some(name.to_owned()), ..notice }
}

/// The popup of this notice alone.
fn popup(notice: &Notice, options: RenderOptions) -> Popup {
    let highlight = notice.highlight.then(|| notice.clone());
    room_popup(&RoomDigest { count: 1, newest: notice.clone(), highlight }, ME, options)
}

#[track_caller]
fn check(notice: &Notice, title: &str, text: &str) {
    let popup = popup(notice, ALWAYS);
    assert_eq!((popup.title.as_str(), popup.text.as_str()), (title, text), "{:?}", notice.content);
}

fn call(state: CallState, content: &str) -> Call {
    let notice = notice("m.call.invite", content);
    Call { notice, call_id: "c".to_owned(), deadline: Timestamp::UNIX_EPOCH, state }
}

#[test]
fn a_title_says_who_and_where_as_far_as_known() {
    let nobody = Notice { sender: None, sender_display_name: None, ..message("hi") };
    let nowhere = Notice { room_name: None, ..message("hi") };
    check(&message("hi"), "Major Tom in Mission Control", "hi");
    check(&nowhere, "Major Tom", "hi");
    check(&Notice { room_alias: Some("#mc:hs".to_owned()), ..nowhere.clone() }, "Major Tom in #mc:hs", "hi");
    check(&Notice { room_alias: Some("#mc:hs".to_owned()), ..message("hi") }, "Major Tom in Mission Control", "hi");
    check(&Notice { sender_display_name: None, ..nowhere.clone() }, "@tom:hs.test", "hi");
    check(&Notice { sender_display_name: Some("\u{200b}\u{fffd} ".to_owned()), ..nowhere }, "@tom:hs.test", "hi");
    check(&nobody, "Mission Control", "hi");
    check(&Notice { room_name: None, ..nobody }, "New message", "hi");
}

#[test]
fn an_event_id_alone_says_what_is_known() {
    let bare = Notice { event_type: None, sender: None, sender_display_name: None, content: None, ..message("") };
    check(&bare, "Mission Control", "New message");
    check(&Notice { room_name: None, ..bare }, "New message", "");
}

#[test]
fn a_highlight_is_marked_and_important() {
    let you = highlight("hi", r#"{"user_ids":["@me:hs"]}"#);
    let room = highlight("hi", r#"{"room":true,"user_ids":["@me:hs"]}"#);
    let keyword = highlight("hi", "{}");
    check(&you, "Major Tom mentioned you in Mission Control", "hi");
    check(&room, "Major Tom mentioned the room in Mission Control", "hi");
    check(&keyword, "Major Tom in Mission Control (highlight)", "hi");
    check(&highlight("hi", r#"{"user_ids":[7],"room":"yes"}"#), "Major Tom in Mission Control (highlight)", "hi");
    check(&highlight("hi", r#"{"user_ids":"x"}"#), "Major Tom in Mission Control (highlight)", "hi");
    check(&Notice { room_name: None, ..you.clone() }, "Major Tom mentioned you", "hi");
    check(&Notice { room_name: None, ..room }, "Major Tom mentioned the room", "hi");
    check(&Notice { room_name: None, ..keyword }, "Major Tom (highlight)", "hi");
    let nobody = Notice { sender: None, sender_display_name: None, ..you.clone() };
    check(&nobody, "Somebody mentioned you in Mission Control", "hi");
    assert_eq!(popup(&you, ALWAYS).urgency, Urgency::Critical);
    assert_eq!(popup(&message("hi"), ALWAYS).urgency, Urgency::Normal);
    assert_eq!(popup(&Notice { prio: Priority::Low, ..message("hi") }, ALWAYS).urgency, Urgency::Normal);
}

#[test]
fn a_mention_of_others_is_not_mine_where_it_is_known_who_i_am() {
    let title = |mentions: &str, me: Option<&str>| {
        let notice = highlight("hi", mentions);
        let digest = RoomDigest { count: 1, newest: notice.clone(), highlight: Some(notice) };
        room_popup(&digest, me, ALWAYS).title
    };
    let (mine, keyword) = ("Major Tom mentioned you in Mission Control", "Major Tom in Mission Control (highlight)");
    assert_eq!(title(r#"{"user_ids":["@bob:hs","@me:hs"]}"#, ME), mine);
    assert_eq!(title(r#"{"user_ids":["@bob:hs"]}"#, ME), keyword, "a keyword in a reply to Bob");
    assert_eq!(title(r#"{"user_ids":["@me:hs"]}"#, None), mine, "most likely");
    assert_eq!(title(r#"{"user_ids":[]}"#, None), keyword);
    assert_eq!(
        title(r#"{"room":true,"user_ids":["@bob:hs"]}"#, None),
        "Major Tom mentioned the room in Mission Control"
    );
}

#[test]
fn a_popup_of_several_messages_says_how_many_and_shows_the_newest() {
    let digest = RoomDigest { count: 3, newest: message("a\\nb"), highlight: None };
    let popup = room_popup(&digest, ME, ALWAYS);
    assert_eq!(popup.title, "Major Tom in Mission Control");
    assert_eq!(popup.text, "3 messages\na\nb");
    assert_eq!(popup.key, PopupKey::Room(digest.newest.room()));
    assert_eq!((popup.category, popup.timeout), ("im.received", Timeout::Default));
    assert_eq!(popup.actions, [Action::Open]);
    let unknown = Notice { event_type: None, content: None, ..message("") };
    assert_eq!(room_popup(&RoomDigest { newest: unknown, ..digest }, ME, ALWAYS).text, "3 messages");
}

#[test]
fn content_of_any_depth_is_only_content_that_says_nothing() {
    let deep = format!(r#"{{"body":{}{}}}"#, "[".repeat(60_000), "]".repeat(60_000));
    check(&notice("m.room.message", &deep), "Major Tom in Mission Control", "New message");
}

#[test]
fn an_older_highlight_is_never_folded_away() {
    let of = |highlight: Notice, newest: Notice| {
        let popup = room_popup(&RoomDigest { count: 3, newest, highlight: Some(highlight) }, ME, ALWAYS);
        assert_eq!(popup.urgency, Urgency::Critical);
        (popup.title, popup.text)
    };
    let carol = || by("Carol", 9, message("lunch?"));
    let mention = by("Bob", 5, highlight("help", r#"{"user_ids":["@me:hs"]}"#));
    assert_eq!(
        of(mention.clone(), carol()),
        ("Carol in Mission Control".to_owned(), "3 messages\nBob mentioned you: help\nlunch?".to_owned())
    );
    assert_eq!(
        of(by("Bob", 5, highlight("fire", r#"{"room":true}"#)), carol()).1,
        "3 messages\nBob mentioned the room: fire\nlunch?"
    );
    let emote = notice("m.room.message", r#"{"msgtype":"m.emote","body":"waves"}"#);
    assert_eq!(
        of(by("Bob", 5, highlight("cake", "{}")), by("Carol", 9, emote)),
        ("Carol in Mission Control".to_owned(), "3 messages\nBob (highlight): cake\n* Carol waves".to_owned())
    );
    assert_eq!(of(mention.clone(), mention).1, "3 messages\nhelp");
}

#[test]
fn without_preview_only_who_where_and_how_many_are_said() {
    let check = |notice: &Notice, title: &str, text: &str| {
        let popup = popup(notice, NEVER);
        assert_eq!((popup.title.as_str(), popup.text.as_str()), (title, text), "{:?}", notice.content);
        assert_eq!(popup.timeout, Timeout::Milliseconds(5000));
        assert!(!menu_line(notice, ME, NEVER).contains("secret"));
    };
    check(&message("secret"), "Major Tom in Mission Control", "New message");
    check(&notice("m.reaction", r#"{"m.relates_to":{"key":"secret"}}"#), "Major Tom in Mission Control", "New message");
    check(&highlight("secret", r#"{"room":true}"#), "Major Tom mentioned the room in Mission Control", "New message");
    check(
        &notice("m.room.member", r#"{"membership":"invite","reason":"secret"}"#),
        "Major Tom invites you to Mission Control",
        "",
    );
    let bare = Notice { sender: None, sender_display_name: None, room_name: None, ..message("secret") };
    check(&bare, "New message", "");
    let digest = |highlight| RoomDigest { count: 3, newest: by("Carol", 9, message("secret")), highlight };
    assert_eq!(room_popup(&digest(None), ME, NEVER).text, "3 messages");
    let older = room_popup(&digest(Some(highlight("secret", "{}"))), ME, NEVER);
    assert_eq!(older.title, "Carol in Mission Control");
    assert_eq!(older.text, "3 messages\nMajor Tom in Mission Control (highlight)");
}

#[test]
fn a_call_rings_in_a_popup_of_its_own_until_it_is_over() {
    let ringing = call_popup(&call(CallState::Ringing, "{}"), NEVER);
    assert_eq!((ringing.title.as_str(), ringing.text.as_str()), ("Major Tom is calling", "Mission Control"));
    assert_eq!(ringing.key, PopupKey::Call(NoticeId(1)));
    assert_eq!((ringing.urgency, ringing.category), (Urgency::Critical, "call.incoming"));
    assert_eq!(ringing.timeout, Timeout::Never);
    assert_eq!(ringing.actions, [Action::Open, Action::Ignore]);

    let missed = call_popup(&call(CallState::Missed, "{}"), NEVER);
    assert_eq!((missed.title.as_str(), missed.text.as_str()), ("Missed call from Major Tom", "Mission Control"));
    assert_eq!((missed.urgency, missed.category), (Urgency::Normal, "call.unanswered"));
    assert_eq!(missed.timeout, Timeout::Milliseconds(5000));
    assert_eq!(missed.actions, [Action::Open]);
}

#[test]
fn a_call_says_whether_it_is_a_video_call() {
    let text = |content: &str, room: Option<&str>| {
        let mut call = call(CallState::Ringing, content);
        call.notice.room_name = room.map(str::to_owned);
        call_popup(&call, ALWAYS).text
    };
    let video = r#"{"offer":{"sdp":"v=0\r\nm=audio 9\r\nm=video 9\r\n"}}"#;
    assert_eq!(text(video, None), "Video call");
    assert_eq!(text(video, Some("Mission Control")), "Video call in Mission Control");
    assert_eq!(text(r#"{"offer":{"sdp":"v=0\r\nm=audio 9\r\na=m=video\r\n"}}"#, None), "Voice call");
    assert_eq!(text(r#"{"m.call.intent":"video"}"#, None), "Video call");
    assert_eq!(text(r#"{"m.call.intent":"audio"}"#, None), "Voice call");
    assert_eq!(text(r#"{"offer":7}"#, None), "");
}

#[test]
fn a_flood_becomes_one_sentence() {
    let summary = |notices, rooms| summary_popup(notices, rooms, &[], ALWAYS);
    assert_eq!(summary(127, 9).title, "127 messages in 9 rooms");
    assert_eq!(summary(12, 1).title, "12 messages in 1 room");
    assert_eq!(summary(1, 1).title, "1 message in 1 room");
    assert_eq!(summary(127, 9).text, "Click to open the newest");
    assert_eq!(summary(127, 9).key, PopupKey::Summary);
    let mention = by("Bob", 5, highlight("help", r#"{"user_ids":["@me:hs"]}"#));
    let named = summary_popup(9, 4, &[menu_line(&mention, ME, ALWAYS)], ALWAYS);
    assert_eq!((named.title.as_str(), named.urgency), ("9 messages in 4 rooms", Urgency::Critical));
    assert!(named.text.contains("Bob mentioned you") && named.text.contains("help"), "{}", named.text);
}

#[test]
fn a_menu_line_has_who_where_and_the_beginning_of_the_text() {
    let check = |notice: &Notice, expected: &str| assert_eq!(menu_line(notice, ME, ALWAYS), expected);
    check(&message("hi\\nthere"), "Major Tom in Mission Control: hi there");
    check(
        &message("I'm floating in a most peculiar way"),
        "Major Tom in Mission Control: I'm floating in a most peculi…",
    );
    let long = Notice { room_name: Some("The Room With The Longest Name Of All".to_owned()), ..message("hi") };
    check(&long, "Major Tom in The Room With The Long…: hi");
    check(&notice("m.room.member", r#"{"membership":"invite"}"#), "Major Tom invites you to Mission Control");
    assert_eq!(menu_line(&message("hi"), ME, NEVER), "Major Tom in Mission Control");
}

#[test]
fn numbers_are_said_in_words() {
    let check = |unread, missed, expected: &str| assert_eq!(counts_sentence(unread, missed), expected);
    check(0, 0, "nothing unread");
    check(3, 0, "3 unread");
    check(3, 1, "3 unread, 1 missed call");
    check(0, 2, "2 missed calls");
}
