//! Each kind of event by itself.

use super::*;

/// Checks the text of a message event in Mission Control.
#[track_caller]
fn says(event_type: &str, content: &str, text: &str) {
    check(&notice(event_type, content), "Major Tom in Mission Control", text);
}

#[test]
fn messages_are_said_by_their_kind() {
    let says = |content: &str, text: &str| says("m.room.message", content, text);
    says(r#"{"msgtype":"m.text","body":"<b>&amp; \"quotes\"</b>"}"#, r#"<b>&amp; "quotes"</b>"#);
    says(r#"{"body":"no kind"}"#, "no kind");
    says(r#"{"msgtype":"org.example.odd","body":"fallback"}"#, "fallback");
    says(r#"{"msgtype":"m.notice","body":"I am a bot"}"#, "I am a bot");
    says(r#"{"msgtype":"m.emote","body":"waves"}"#, "* Major Tom waves");
    says(r#"{"msgtype":"m.image","body":"cat.png"}"#, "Photo: cat.png");
    says(r#"{"msgtype":"m.image","body":"look!","filename":"cat.png"}"#, "Photo: look!");
    says(r#"{"msgtype":"m.image","body":"cat.png","filename":"cat.png"}"#, "Photo: cat.png");
    says(r#"{"msgtype":"m.image","filename":"cat.png"}"#, "Photo: cat.png");
    says(r#"{"msgtype":"m.image"}"#, "Photo");
    says(r#"{"msgtype":"m.file","body":"plan.pdf"}"#, "File: plan.pdf");
    says(r#"{"msgtype":"m.audio","body":"song.ogg"}"#, "Audio: song.ogg");
    says(r#"{"msgtype":"m.audio","body":"Voice message.ogg","org.matrix.msc3245.voice":{}}"#, "Voice message");
    says(r#"{"msgtype":"m.audio","body":"x.ogg","org.matrix.msc3245.voice":7}"#, "Audio: x.ogg");
    says(r#"{"msgtype":"m.video","body":"cat.mp4"}"#, "Video: cat.mp4");
    says(r#"{"msgtype":"m.location","body":"geo:1,2"}"#, "Location: geo:1,2");
    says(r#"{"msgtype":"m.location","body":"geo:1,2","m.location":{"description":"Home"}}"#, "Location: Home");
    says(r#"{"msgtype":"m.key.verification.request","body":"…"}"#, "Major Tom asks for verification");
}

#[test]
fn a_message_without_readable_text_is_a_new_message() {
    for content in [
        "{}",
        "[]",
        "7",
        r#"{"body":7}"#,
        r#"{"body":"\udfff\ud800"}"#,
        r#"{"msgtype":"m.text","body":" \u202e\u0000 "}"#,
        r#"{"msgtype":"m.emote"}"#,
    ] {
        says("m.room.message", content, "New message");
    }
    check(&Notice { content: None, ..message("") }, "Major Tom in Mission Control", "New message");
    says("m.room.message", r#"{"body":"half \ud800 readable"}"#, "half \u{fffd}\u{fffd}\u{fffd} readable");
}

#[test]
fn extensible_events_are_read_where_there_is_no_body() {
    says("m.room.message", r#"{"org.matrix.msc1767.text":"unstable"}"#, "unstable");
    says("m.room.message", r#"{"m.text":[{"body":"<b>x</b>","mimetype":"text/html"},{"body":"plain"}]}"#, "plain");
    says("m.message", r#"{"m.text":[{"body":"x","mimetype":"text/plain"}]}"#, "x");
    says("org.matrix.msc1767.message", r#"{"m.message":[{"body":"x"}]}"#, "x");
}

#[test]
fn a_reply_is_shown_without_what_it_quotes() {
    let says = |body: &str, text: &str| {
        let relation = r#""m.relates_to":{"m.in_reply_to":{"event_id":"$x"}}"#;
        says("m.room.message", &format!(r#"{{"msgtype":"m.text","body":"{body}",{relation}}}"#), text);
    };
    says("> <@a:hs> one\\n> two\\n\\nanswer\\n> mine", "answer\n> mine");
    says("> <@a:hs> one\\n>\\n> two\\nanswer", "answer");
    says("no quote", "no quote");
    says("> <@a:hs> only a quote", "> <@a:hs> only a quote");
    says("> * <@a:hs> waves\\n\\nanswer", "answer");
    says(">_> look", ">_> look");
    let thread = r#"{"body":"> <@a:hs> x\n\nin a thread","m.relates_to":{"rel_type":"m.thread","event_id":"$t","is_falling_back":true,"m.in_reply_to":{"event_id":"$x"}}}"#;
    let title = "Major Tom in a thread in Mission Control";
    super::check(&notice("m.room.message", thread), title, "> <@a:hs> x\n\nin a thread");
    super::check(&message("> a quote of my own\\n\\nx"), "Major Tom in Mission Control", "> a quote of my own\n\nx");
}

#[test]
fn a_quote_of_the_writers_own_stays() {
    let reply = r#""m.relates_to":{"m.in_reply_to":{"event_id":"$x"}}"#;
    let says = |rest: &str, text: &str| {
        says("m.room.message", &format!(r#"{{"msgtype":"m.text",{rest},{reply}}}"#), text);
    };
    says(r#""body":"> bring cake\n\nand candles""#, "> bring cake\n\nand candles");
    says(r#""body":"> <b> x\ny""#, "> <b> x\ny");
    says(r#""body":"> <@nobody> x\ny""#, "> <@nobody> x\ny");
    let formatted = r#""body":"> <@a:hs> cake\n\nyes","formatted_body""#;
    says(&format!(r#"{formatted}:"<blockquote>cake</blockquote>yes""#), "> <@a:hs> cake\n\nyes");
    says(&format!(r#"{formatted}:"<mx-reply><blockquote>cake</blockquote></mx-reply>yes""#), "yes");
}

#[test]
fn a_spoiler_is_hidden_in_every_kind_of_message() {
    let spoiler = r#""body":"it: secret","formatted_body":"it: <span data-mx-spoiler=\"end\">secret</span>""#;
    let check = |content: &str, text: &str| {
        let notice = notice("m.room.message", content);
        super::check(&notice, "Major Tom in Mission Control", text);
        assert!(!menu_line(&notice, ME, always()).contains("secret"));
        assert_eq!(body(&notice), text);
    };
    check(&format!(r#"{{"msgtype":"m.text",{spoiler}}}"#), "it: (spoiler: end)");
    check(&format!(r#"{{"msgtype":"m.notice",{spoiler}}}"#), "it: (spoiler: end)");
    check(&format!(r#"{{"msgtype":"m.emote",{spoiler}}}"#), "* Major Tom it: (spoiler: end)");
    check(&format!(r#"{{"msgtype":"m.image","filename":"x.png",{spoiler}}}"#), "Photo: it: (spoiler: end)");
    let relation = r#""m.relates_to":{"rel_type":"m.replace","event_id":"$x"}"#;
    check(&format!(r#"{{"body":"* secret",{relation},"m.new_content":{{{spoiler}}}}}"#), "it: (spoiler: end)");
    let reply = r#""m.relates_to":{"m.in_reply_to":{"event_id":"$x"}}"#;
    let quoting = r#""body":"> <@a:hs> x\n\nsecret","formatted_body":"<mx-reply>x</mx-reply><span data-mx-spoiler>secret</span>""#;
    check(&format!(r#"{{"msgtype":"m.text",{quoting},{reply}}}"#), "(spoiler)");
    let html = r#"{"body":"<span data-mx-spoiler>secret</span>","mimetype":"text/html"}"#;
    check(&format!(r#"{{"m.text":[{html},{{"body":"secret"}}]}}"#), "(spoiler)");
}

#[test]
fn formatted_text_alone_is_read_without_its_tags() {
    let says = |rest: &str, text: &str| says("m.room.message", &format!(r#"{{"msgtype":"m.notice",{rest}}}"#), text);
    says(r#""formatted_body":"<b>Deploy</b> &amp; tests finished""#, "Deploy & tests finished");
    says(r#""body":"","formatted_body":"<b>Backup</b> failed""#, "Backup failed");
    says(r#""body":" \u200b","formatted_body":"<p>a</p><p>b</p>""#, "a\nb");
    says(r#""body":"plain","formatted_body":"<b>rich</b>""#, "plain");
    says(r#""formatted_body":"<img src='mxc://x'>""#, "New message");
}

#[test]
fn history_keeps_the_indentation_of_code() {
    assert_eq!(body(&message("```\\nfn x() {\\n    1\\n}\\n```")), "```\nfn x() {\n    1\n}\n```");
}

#[test]
fn an_edit_shown_alone_says_its_new_content() {
    let edit = r#"{"body":"* new","msgtype":"m.text","m.new_content":{"body":"new","msgtype":"m.text"},"m.relates_to":{"rel_type":"m.replace","event_id":"$x"}}"#;
    says("m.room.message", edit, "new");
    says("m.room.message", r#"{"body":"as it is","m.new_content":{"body":"no edit"}}"#, "as it is");
    let mention = edit.replacen('{', r#"{"m.mentions":{"user_ids":["@me:hs"]},"#, 1);
    let mention = Notice { highlight: true, ..notice("m.room.message", &mention) };
    check(&mention, "Major Tom mentioned you in Mission Control", "new");
}

#[test]
fn a_redacted_event_says_nothing_of_what_it_said() {
    let redacted = Notice { redacted: true, ..highlight("secret", r#"{"room":true}"#) };
    check(&redacted, "Major Tom in Mission Control", "Message deleted");
    assert_eq!(menu_line(&redacted, ME, always()), "Major Tom in Mission Control: Message deleted");
    assert_eq!(body(&redacted), "Message deleted");
}

#[test]
fn other_things_that_people_say() {
    says("m.room.encrypted", r#"{"algorithm":"x"}"#, "Encrypted message");
    says("m.sticker", r#"{"body":"Cat waves"}"#, "Sticker: Cat waves");
    says("m.sticker", "{}", "Sticker");
    says("m.reaction", r#"{"m.relates_to":{"rel_type":"m.annotation","key":"👍"}}"#, "Major Tom reacted 👍");
    says("m.reaction", r#"{"m.relates_to":{"key":"mxc://hs/x"}}"#, "Major Tom reacted");
    says("m.reaction", "{}", "Major Tom reacted");
    let question = r#"{"org.matrix.msc3381.poll.start":{"question":{"org.matrix.msc1767.text":"Lunch?"}}}"#;
    says("org.matrix.msc3381.poll.start", question, "Poll: Lunch?");
    says("m.poll.start", r#"{"m.poll":{"question":{"m.text":[{"body":"Lunch?"}]}}}"#, "Poll: Lunch?");
    says("m.poll.start", r#"{"m.poll":{"question":{"body":"Lunch?"}}}"#, "Poll: Lunch?");
    says("m.poll.start", r#"{"m.text":[{"body":"Lunch? 1. Yes"}]}"#, "Poll: Lunch? 1. Yes");
    says("m.poll.start", "{}", "Poll");
    says("m.poll.response", "{}", "Major Tom voted in a poll");
    says("org.matrix.msc3381.poll.end", r#"{"m.text":"x"}"#, "Major Tom ended a poll");
    for event_type in ["m.beacon_info", "org.matrix.msc3672.beacon_info"] {
        says(event_type, "{}", "Major Tom shares a live location");
        says(event_type, r#"{"live":true}"#, "Major Tom shares a live location");
        says(event_type, r#"{"live":false,"timeout":3600000}"#, "Major Tom stopped sharing a live location");
    }
    says("m.room.redaction", "{}", "Major Tom deleted a message");
}

#[test]
fn an_unknown_type_is_said_in_words() {
    says("org.example.some_thing", "{}", "Some thing");
    says("org.example.some-thing", r#"{"m.text":[{"body":"hi"}]}"#, "Some thing: hi");
    says("m.room.something_new", "{}", "Room something new");
    says("m.policy.rule.somebody", "{}", "Policy rule somebody");
    says("org.matrix.msc9999.call.something", "{}", "Call something");
    says("org.matrix.msc9999", "{}", "Msc9999");
    says("m.room.third_party_invite", "{}", "Major Tom invited somebody by email");
    says("m.policy.rule.user", r#"{"entity":"@bad:x"}"#, "Major Tom changed a ban list");
    says("im.vector.modular.widgets", "{}", "Major Tom changed the widgets of the room");
    says("m.call.candidates", "{}", "Major Tom is connecting a call");
    says("org.matrix.msc3401.call.member", r#"{"application":"m.call"}"#, "Major Tom is in a call");
    says("m.call.member", "{}", "Major Tom left a call");
    says("plain", "{}", "Plain");
    says("org.example.\u{202e}", "{}", "Example");
    says("...", "{}", "New message");
}

#[test]
fn calls_that_do_not_ring_are_messages() {
    says("m.rtc.notification", r#"{"notification_type":"notification"}"#, "Major Tom started a call");
    says("org.matrix.msc4075.call.notify", r#"{"notify_type":"notify"}"#, "Major Tom started a call");
    says(
        "org.matrix.msc4075.rtc.notification",
        r#"{"notification_type":"ring","m.call.intent":"audio"}"#,
        "Voice call",
    );
    says("m.call.invite", "{}", "Call");
    says("m.call.hangup", "{}", "Call ended");
    says("m.call.answer", "{}", "Call answered");
    says("m.call.reject", "{}", "Call declined");
}

#[test]
fn an_invite_is_a_sentence_and_its_reason() {
    let invite = notice("m.room.member", r#"{"membership":"invite","reason":"join us"}"#);
    check(&invite, "Major Tom invites you to Mission Control", "join us");
    assert_eq!(body(&invite), "Major Tom invites you to Mission Control\njoin us");
    let by_field = Notice { membership: Some("invite".to_owned()), ..notice("m.room.member", "{}") };
    check(&by_field, "Major Tom invites you to Mission Control", "");
    check(&Notice { content: None, room_name: None, ..by_field }, "Major Tom invites you to chat", "");
    assert_eq!(popup(&invite, always()).category, "im.received");
    let before = by("Carol", 0, message("hi"));
    let two = |options| room_popup(&digest(2, &[&before, &invite]), ME, options).text;
    assert_eq!(two(always()), "Carol: hi\njoin us");
    assert_eq!(two(never()), "1 message", "an invite is none");
    let silent = notice("m.room.member", r#"{"membership":"invite"}"#);
    assert_eq!(room_popup(&digest(2, &[&before, &silent]), ME, always()).text, "Carol: hi");
    let joined = Notice { id: NoticeId(2), ..message("welcome") };
    let answered = room_popup(&digest(2, &[&invite, &joined]), ME, always());
    assert_eq!((answered.title.as_str(), answered.text.as_str()), ("Major Tom in Mission Control", "welcome"));
    let invites = digest(2, &[&Notice { id: NoticeId(0), ..invite.clone() }, &invite]);
    assert_eq!(room_popup(&invites, ME, never()).text, "");
}

#[test]
fn members_come_and_go_in_words() {
    let member = |user_is_target, content: &str| Notice { user_is_target, ..notice("m.room.member", content) };
    check(
        &member(true, r#"{"membership":"leave","reason":"spam"}"#),
        "Major Tom removed you from Mission Control",
        "spam",
    );
    check(&member(true, r#"{"membership":"ban"}"#), "Major Tom banned you from Mission Control", "");
    let nowhere = Notice { room_name: None, ..member(true, r#"{"membership":"ban"}"#) };
    check(&nowhere, "Major Tom banned you from a room", "");
    for (content, text) in [
        (r#"{"membership":"join"}"#, "Major Tom joined"),
        (r#"{"membership":"knock","reason":"please"}"#, "Major Tom asks to join: please"),
        (r#"{"membership":"leave"}"#, "A member left"),
        (r#"{"membership":"ban"}"#, "Major Tom banned a member"),
        (r#"{"membership":7}"#, "Major Tom changed a membership"),
    ] {
        check(&member(false, content), "Major Tom in Mission Control", text);
    }
}

#[test]
fn changes_of_a_room_are_said_in_words() {
    says("m.room.name", r#"{"name":"Ground Control"}"#, "Major Tom renamed the room to Ground Control");
    says("m.room.name", r#"{"name":""}"#, "Major Tom removed the room's name");
    says("m.room.topic", r#"{"topic":"Space"}"#, "Major Tom changed the topic to Space");
    says("m.room.topic", "{}", "Major Tom removed the topic");
    says("m.room.tombstone", r#"{"body":"moved","replacement_room":"!n"}"#, "The room was upgraded: moved");
    says("m.room.tombstone", "{}", "The room was upgraded");
    says("m.room.avatar", "{}", "Major Tom changed the room's picture");
    says("m.room.canonical_alias", r##"{"alias":"#mc:hs"}"##, "Major Tom changed the room's address to #mc:hs");
    says("m.room.encryption", "{}", "Major Tom turned on encryption");
    says("m.room.pinned_events", "{}", "Major Tom changed the pinned messages");
}

#[test]
fn history_shows_the_text_or_nothing() {
    let check = |notice: &Notice, expected: &str| assert_eq!(body(notice), expected);
    check(&message("one\\ntwo"), "one\ntwo");
    check(&Notice { content: None, ..message("") }, "");
    check(&notice("m.room.message", r#"{"msgtype":"m.emote","body":"waves"}"#), "* Major Tom waves");
    check(&notice("m.room.encrypted", "{}"), "Encrypted message");
    assert_eq!(body(&message(&"x".repeat(100_000))).chars().count(), MAX_BODY_CHARS);
}
