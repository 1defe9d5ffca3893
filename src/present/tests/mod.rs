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

fn always() -> RenderOptions {
    RenderOptions::default()
}

fn never() -> RenderOptions {
    RenderOptions { show_text: false, timeout: Timeout::Milliseconds(5000), ..always() }
}

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
        sample: false,
        call_state: None,
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
    room_popup(&digest(1, &[notice]), ME, options)
}

/// So many messages, the newest of which are these, oldest first.
fn digest(count: u64, lines: &[&Notice]) -> RoomDigest {
    let lines: Vec<Notice> = lines.iter().map(|notice| (*notice).clone()).collect();
    let highlight = lines.iter().rfind(|notice| notice.highlight).cloned();
    RoomDigest { count, oldest: lines[0].id, newest: lines.last().unwrap().clone(), highlight, lines }
}

#[track_caller]
fn check(notice: &Notice, title: &str, text: &str) {
    let popup = popup(notice, always());
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
    check(&keyword, "A highlight from Major Tom in Mission Control", "hi");
    for odd in [r#"{"user_ids":[7],"room":"yes"}"#, r#"{"user_ids":"x"}"#] {
        check(&highlight("hi", odd), "A highlight from Major Tom in Mission Control", "hi");
    }
    check(&Notice { room_name: None, ..you.clone() }, "Major Tom mentioned you", "hi");
    check(&Notice { room_name: None, ..room }, "Major Tom mentioned the room", "hi");
    check(&Notice { room_name: None, ..keyword.clone() }, "A highlight from Major Tom", "hi");
    let nobody = Notice { sender: None, sender_display_name: None, ..keyword };
    check(&nobody, "A highlight in Mission Control", "hi");
    let nobody = Notice { sender: None, sender_display_name: None, ..you.clone() };
    check(&nobody, "Somebody mentioned you in Mission Control", "hi");
    assert_eq!(popup(&you, always()).urgency, Urgency::Critical);
    assert_eq!(popup(&message("hi"), always()).urgency, Urgency::Normal);
    assert_eq!(popup(&Notice { prio: Priority::Low, ..message("hi") }, always()).urgency, Urgency::Normal);
}

#[test]
fn a_mention_of_others_is_not_mine_where_it_is_known_who_i_am() {
    let title = |mentions: &str, me: Option<&str>| {
        let notice = highlight("hi", mentions);
        room_popup(&digest(1, &[&notice]), me, always()).title
    };
    let (mine, keyword) =
        ("Major Tom mentioned you in Mission Control", "A highlight from Major Tom in Mission Control");
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
fn without_mentions_the_text_says_who_is_mentioned() {
    let title = |body: &str, me: Option<&str>| {
        let notice = Notice { highlight: true, ..message(body) };
        room_popup(&digest(1, &[&notice]), me, always()).title
    };
    let you = "Major Tom mentioned you in Mission Control";
    let keyword = "A highlight from Major Tom in Mission Control";
    for body in ["Me: look", "look, me!", "@me:hs look", "ask @ME"] {
        assert_eq!(title(body, ME), you, "{body}");
    }
    for body in ["some cake", "mention", "home", "is it me2", ""] {
        assert_eq!(title(body, ME), keyword, "{body}");
    }
    assert_eq!(title("me: look", None), keyword, "of an account by hand nobody knows whose it is");
    for me in [ME, None] {
        assert_eq!(title("@room fire", me), "Major Tom mentioned the room in Mission Control");
    }
}

#[test]
fn a_popup_shows_the_newest_messages_and_how_many_more() {
    let [one, two, three] = [(1, "one"), (2, "two"), (3, "a\\nb")].map(|(id, body)| by("Major Tom", id, message(body)));
    let popup = room_popup(&digest(3, &[&one, &two, &three]), ME, always());
    assert_eq!(popup.title, "Major Tom in Mission Control");
    assert_eq!(popup.text, "one\ntwo\na\nb");
    assert_eq!(popup.key, PopupKey::Room(one.room()));
    assert_eq!((popup.category, popup.timeout), ("im.received", Timeout::Default));
    assert_eq!(popup.buttons, []);
    let text = |count, lines: &[&Notice], options| room_popup(&digest(count, lines), ME, options).text;
    assert_eq!(text(12, &[&one, &two, &three], always()), "9 more\none\ntwo\na\nb");
    let two_lines = RenderOptions { lines: 2, ..always() };
    assert_eq!(text(12, &[&one, &two, &three], two_lines), "10 more\ntwo\na\nb");
    assert_eq!(text(3, &[&one, &two, &three], RenderOptions { lines: 1, ..always() }), "2 more\na\nb");
    let newest_first = RenderOptions { newest_first: true, ..two_lines };
    assert_eq!(text(12, &[&one, &two, &three], newest_first), "a\nb\ntwo\n10 more");
}

#[test]
fn lines_of_several_people_say_who_wrote_them() {
    let hello = by("Bob", 1, message("hello"));
    let waves = by("Ann", 2, notice("m.room.message", r#"{"msgtype":"m.emote","body":"waves"}"#));
    let lunch = by("Carol", 3, message("lunch?"));
    let popup = room_popup(&digest(3, &[&hello, &waves, &lunch]), ME, always());
    assert_eq!(popup.title, "Carol in Mission Control");
    assert_eq!(popup.text, "Bob: hello\n* Ann waves\nCarol: lunch?");
}

#[test]
fn messages_without_a_text_are_only_counted() {
    let unknown = |id| Notice { id: NoticeId(id), event_type: None, content: None, ..message("") };
    assert_eq!(room_popup(&digest(3, &[&unknown(1), &unknown(2), &unknown(3)]), ME, always()).text, "3 messages");
    let known = by("Major Tom", 2, message("hi"));
    assert_eq!(room_popup(&digest(3, &[&unknown(1), &known, &unknown(3)]), ME, always()).text, "2 more\nhi");
}

#[test]
fn the_newest_message_is_seen_however_long_the_others_are() {
    let long: Vec<Notice> = (1..10).map(|id| by("Bob", id, message(&"x".repeat(5000)))).collect();
    let newest = by("Bob", 10, message("the newest"));
    let lines: Vec<&Notice> = long.iter().chain([&newest]).collect();
    let text = room_popup(&digest(99, &lines), ME, RenderOptions { lines: 10, ..always() }).text;
    assert!(text.starts_with("89 more\n") && text.ends_with("\nthe newest"), "{text}");
    assert_eq!(text.lines().count(), 11);
}

#[test]
fn with_several_accounts_every_title_says_which() {
    let named = RenderOptions { names_account: true, ..always() };
    let work = Notice { account: "work".to_owned(), ..message("hi") };
    assert_eq!(popup(&message("hi"), named).title, "Major Tom in Mission Control (home)");
    assert_eq!(popup(&work, named).title, "Major Tom in Mission Control (work)");
    assert_eq!(menu_line(&work, ME, named), "Major Tom in Mission Control (work): hi");
    let call = |state| Call { notice: work.clone(), ..call(state, "{}") };
    assert_eq!(call_popup(&call(CallState::Ringing), named).title, "Major Tom is calling (work)");
    assert_eq!(call_popup(&call(CallState::Missed), named).title, "Missed call from Major Tom (work)");
    let bare = Notice { sender: None, sender_display_name: None, room_name: None, ..message("secret") };
    let popup = popup(&bare, RenderOptions { show_text: false, ..named });
    assert_eq!((popup.title.as_str(), popup.text.as_str()), ("New message (home)", ""));
    let long = Notice { account: "x".repeat(64), room_name: Some("y".repeat(64)), ..message("hi") };
    assert!(menu_line(&long, ME, named).contains("xxxx…): hi"));
}

#[test]
fn where_popups_show_their_origin_that_says_which_account() {
    let options = RenderOptions { names_account: true, has_origin: true, ..always() };
    let shown = popup(&message("hi"), options);
    assert_eq!((shown.title.as_str(), shown.origin.as_deref()), ("Major Tom in Mission Control", Some("home")));
    let shown = call_popup(&call(CallState::Ringing, "{}"), options);
    assert_eq!((shown.title.as_str(), shown.origin.as_deref()), ("Major Tom is calling", Some("home")));
    assert_eq!(menu_line(&message("hi"), ME, options), "Major Tom in Mission Control (home): hi");
    assert_eq!(popup(&message("hi"), RenderOptions { names_account: false, ..options }).origin, None);
}

#[test]
fn a_message_in_a_thread_is_said_to_be() {
    let thread = r#""m.relates_to":{"rel_type":"m.thread","event_id":"$root"}"#;
    let said = |rest: &str| {
        let content = format!(r#"{{"msgtype":"m.text","body":"hi",{thread}{rest}}}"#);
        notice("m.room.message", &content)
    };
    assert_eq!(popup(&said(""), always()).title, "Major Tom in a thread in Mission Control");
    let direct = Notice { room_name: None, room_alias: None, ..said("") };
    assert_eq!(popup(&direct, always()).title, "Major Tom in a thread");
    let mention = Notice { highlight: true, ..said(r#","m.mentions":{"room":true}"#) };
    assert_eq!(popup(&mention, always()).title, "Major Tom mentioned the room in a thread in Mission Control");
    assert_eq!(popup(&Notice { redacted: true, ..said("") }, always()).title, "Major Tom in Mission Control");
}

#[test]
fn a_name_from_right_to_left_does_not_turn_the_sentence() {
    let room =
        Notice { sender_display_name: Some("שלום\u{2069}".to_owned()), ..highlight("hi", r#"{"room":true}"#) };
    assert_eq!(popup(&room, always()).title, "\u{2068}שלום\u{2069} mentioned the room in Mission Control");
    let there = Notice { room_name: Some("مرحبا".to_owned()), ..message("hi") };
    assert_eq!(popup(&there, always()).title, "Major Tom in \u{2068}مرحبا\u{2069}");
    let emote = r#"{"msgtype":"m.emote","body":"wa\u2069v\u2068es"}"#;
    let waves = Notice { sender_display_name: room.sender_display_name.clone(), ..notice("m.room.message", emote) };
    check(&waves, "\u{2068}שלום\u{2069} in Mission Control", "* \u{2068}שלום\u{2069} waves");
    assert_eq!(body(&waves), "* \u{2068}שלום\u{2069} waves");
    assert_eq!(menu_line(&there, ME, always()), "Major Tom in \u{2068}مرحبا\u{2069}: hi");
}

#[test]
fn content_of_any_depth_is_only_content_that_says_nothing() {
    let deep = format!(r#"{{"body":{}{}}}"#, "[".repeat(60_000), "]".repeat(60_000));
    check(&notice("m.room.message", &deep), "Major Tom in Mission Control", "New message");
}

#[test]
fn an_older_highlight_is_never_folded_away() {
    let of = |highlight: &Notice, lines: &[&Notice]| {
        room_popup(&RoomDigest { highlight: Some(highlight.clone()), ..digest(3, lines) }, ME, always())
    };
    let carol = by("Carol", 9, message("lunch?"));
    let mention = by("Bob", 5, highlight("help", r#"{"user_ids":["@me:hs"]}"#));
    let popup = of(&mention, &[&carol]);
    assert_eq!((&*popup.title, &*popup.text), ("Carol in Mission Control", "1 more\nBob mentioned you: help\nlunch?"));
    let alone = RoomDigest { count: 2, ..digest(2, &[&mention, &carol]) };
    assert_eq!(room_popup(&alone, ME, always()).text, "Bob mentioned you: help\nCarol: lunch?", "among the lines");
    let room = by("Bob", 5, highlight("fire", r#"{"room":true}"#));
    assert_eq!(of(&room, &[&carol]).text, "1 more\nBob mentioned the room: fire\nlunch?");
    let emote = by("Carol", 9, notice("m.room.message", r#"{"msgtype":"m.emote","body":"waves"}"#));
    let popup = of(&by("Bob", 5, highlight("cake", "{}")), &[&emote]);
    assert_eq!(popup.text, "1 more\nA highlight from Bob: cake\n* Carol waves");
    assert_eq!(of(&mention, &[&mention]).text, "2 more\nhelp");
}

#[test]
fn only_the_mention_itself_is_urgent() {
    let mention = Notice { presentation: Presentation::Shown, ..by("Bob", 5, highlight("help", "{}")) };
    let unseen = Notice { presentation: Presentation::Waiting, ..mention.clone() };
    let lol = by("Carol", 9, message("lol"));
    let urgency = |lines: &[&Notice]| room_popup(&digest(2, lines), ME, always()).urgency;
    assert_eq!(urgency(&[&mention]), Urgency::Critical);
    assert_eq!(urgency(&[&mention, &lol]), Urgency::Normal, "chatter after it");
    assert_eq!(urgency(&[&unseen, &lol]), Urgency::Critical, "it was not shown yet");
    assert_eq!(urgency(&[&lol, &mention]), Urgency::Critical);
    let calm = RenderOptions { highlight_urgency: Urgency::Normal, ..always() };
    assert_eq!(room_popup(&digest(2, &[&mention]), ME, calm).urgency, Urgency::Normal, "it would hold up calls");
}

#[test]
fn without_preview_only_who_where_and_how_many_are_said() {
    let check = |notice: &Notice, title: &str, text: &str| {
        let popup = popup(notice, never());
        assert_eq!((popup.title.as_str(), popup.text.as_str()), (title, text), "{:?}", notice.content);
        assert_eq!(popup.timeout, Timeout::Milliseconds(5000));
        assert!(!menu_line(notice, ME, never()).contains("secret"));
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
    let carol = by("Carol", 9, message("secret"));
    assert_eq!(room_popup(&digest(3, &[&carol]), ME, never()).text, "3 messages");
    let older = room_popup(&digest(3, &[&highlight("secret", "{}"), &carol]), ME, never());
    assert_eq!(older.title, "Carol in Mission Control");
    assert_eq!(older.text, "3 messages\nA highlight from Major Tom in Mission Control");
}

#[test]
fn a_call_rings_in_a_popup_of_its_own_until_it_is_over() {
    let ringing = call_popup(&call(CallState::Ringing, "{}"), never());
    assert_eq!((ringing.title.as_str(), ringing.text.as_str()), ("Major Tom is calling", "Mission Control"));
    assert_eq!(ringing.key, PopupKey::Call(NoticeId(1)));
    assert_eq!((ringing.urgency, ringing.category), (Urgency::Critical, "call.incoming"));
    assert_eq!(ringing.timeout, Timeout::Never);
    assert_eq!(ringing.buttons, [Action::Answer, Action::Ignore]);

    let missed = call_popup(&call(CallState::Missed, "{}"), never());
    assert_eq!((missed.title.as_str(), missed.text.as_str()), ("Missed call from Major Tom", "Mission Control"));
    assert_eq!((missed.urgency, missed.category), (Urgency::Normal, "call.unanswered"));
    assert_eq!(missed.timeout, Timeout::Milliseconds(5000));
    assert_eq!(missed.buttons, []);
}

#[test]
fn a_call_says_whether_it_is_a_video_call() {
    let text = |content: &str, room: Option<&str>| {
        let mut call = call(CallState::Ringing, content);
        call.notice.room_name = room.map(str::to_owned);
        call_popup(&call, always()).text
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
    let summary = |notices, rooms| summary_popup(notices, 0, rooms, &[], always());
    assert_eq!(summary(127, 9).title, "127 messages in 9 rooms");
    assert_eq!(summary(12, 1).title, "12 messages in 1 room");
    assert_eq!(summary(1, 1).title, "1 message in 1 room");
    assert_eq!(summary(127, 9).text, "Open it to see the newest");
    assert_eq!(summary(127, 9).key, PopupKey::Summary);
    let mention = by("Bob", 5, highlight("help", r#"{"user_ids":["@me:hs"]}"#));
    let title = |notices, invites| summary_popup(notices, invites, 9, &[], always()).title;
    assert_eq!(title(12, 2), "10 messages and 2 invites in 9 rooms");
    assert_eq!(title(9, 9), "9 invites in 9 rooms");
    let named = summary_popup(9, 0, 4, &[menu_line(&mention, ME, always())], always());
    assert_eq!((named.title.as_str(), named.urgency), ("9 messages in 4 rooms", Urgency::Critical));
    assert!(named.text.contains("Bob mentioned you") && named.text.contains("help"), "{}", named.text);
}

#[test]
fn a_menu_line_has_who_where_and_the_beginning_of_the_text() {
    let check = |notice: &Notice, expected: &str| assert_eq!(menu_line(notice, ME, always()), expected);
    check(&message("hi\\nthere"), "Major Tom in Mission Control: hi there");
    check(
        &message("I'm floating in a most peculiar way"),
        "Major Tom in Mission Control: I'm floating in a most peculi…",
    );
    let long = Notice { room_name: Some("The Room With The Longest Name Of All".to_owned()), ..message("hi") };
    check(&long, "Major Tom in The Room With The Long…: hi");
    check(&notice("m.room.member", r#"{"membership":"invite"}"#), "Major Tom invites you to Mission Control");
    assert_eq!(menu_line(&message("hi"), ME, never()), "Major Tom in Mission Control");
}

#[test]
fn a_menu_line_of_a_call_says_what_became_of_it() {
    let line = |state| menu_line(&Notice { call_state: Some(state), ..notice("m.call.invite", "{}") }, ME, never());
    assert_eq!(line(CallState::Ringing), "Major Tom is calling");
    assert_eq!(line(CallState::Silenced), "Major Tom is calling");
    assert_eq!(line(CallState::Missed), "Missed call from Major Tom");
    assert_eq!(line(CallState::Over), "Call from Major Tom");
    assert_eq!(line(CallState::PerhapsTaken), "Call from Major Tom, perhaps taken elsewhere");
}
