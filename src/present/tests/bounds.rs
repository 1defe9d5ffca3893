//! What holds for every event that anybody could craft.

use proptest::prelude::*;

use super::*;

const TYPES: &[&str] = &[
    "m.room.message",
    "m.room.member",
    "m.room.encrypted",
    "m.reaction",
    "m.sticker",
    "m.poll.start",
    "m.call.invite",
    "m.call.hangup",
    "m.rtc.notification",
    "m.room.name",
    "m.room.topic",
    "m.room.tombstone",
    "m.room.redaction",
    "org.example.some_thing",
    "",
];

const KEYS: &[&str] = &[
    "body",
    "msgtype",
    "filename",
    "formatted_body",
    "m.relates_to",
    "m.in_reply_to",
    "rel_type",
    "key",
    "event_id",
    "m.new_content",
    "m.mentions",
    "room",
    "user_ids",
    "membership",
    "reason",
    "m.poll",
    "question",
    "m.text",
    "name",
    "topic",
    "offer",
    "sdp",
    "m.call.intent",
    "notification_type",
    "m.location",
    "description",
    "org.matrix.msc3245.voice",
];

const WORDS: &[&str] = &[
    "m.text",
    "m.emote",
    "m.image",
    "m.audio",
    "m.location",
    "m.replace",
    "invite",
    "leave",
    "ban",
    "ring",
    "video",
    "> quoted\n\ntext",
    "<b>a</b> <span data-mx-spoiler=\"b\">c</span>",
    "",
];

/// Text with everything that could act on a desktop.
fn hostile() -> impl Strategy<Value = String> {
    let character = prop_oneof![
        any::<char>(),
        proptest::char::range('\u{0}', '\u{ff}'),
        proptest::char::range('\u{2000}', '\u{206f}'),
        proptest::sample::select(vec!['\u{1b}', '[', '\n', '\u{202e}', '\u{feff}', '\u{301}', '<', '&', '"'])
    ];
    prop_oneof![
        proptest::collection::vec(character.clone(), 0..40).prop_map(String::from_iter),
        (character, 500..3000_usize).prop_map(|(character, count)| character.to_string().repeat(count)),
    ]
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        proptest::sample::select(WORDS).prop_map(Into::into),
        hostile().prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 24, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Into::into),
            proptest::collection::vec((proptest::sample::select(KEYS), inner), 0..6)
                .prop_map(|pairs| pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
        ]
    })
}

fn any_notice() -> impl Strategy<Value = Notice> {
    let content = proptest::option::of(prop_oneof![json().prop_map(|json| json.to_string()), hostile()]);
    let names = (proptest::option::of(hostile()), proptest::option::of(hostile()), proptest::option::of(hostile()));
    let event_type = prop_oneof![proptest::sample::select(TYPES).prop_map(str::to_owned), hostile()];
    (proptest::option::of(event_type), content, names, any::<(bool, bool, bool)>(), 1..3_i64).prop_map(
        |(event_type, content, (sender, name, room), (highlight, user_is_target, redacted), id)| Notice {
            id: NoticeId(id),
            event_type,
            content,
            sender,
            sender_display_name: name,
            room_name: room,
            highlight,
            user_is_target,
            redacted,
            ..message("")
        },
    )
}

fn is_harmless(text: &str, max_chars: usize, max_lines: usize) -> bool {
    text.chars().count() <= max_chars
        && text.split('\n').count() <= max_lines
        && text.matches('\u{2068}').count() == text.matches('\u{2069}').count()
        && !text.chars().any(|c| {
            (c.is_control() && c != '\n')
                || matches!(c, '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}')
                || matches!(c, '\u{2066}' | '\u{2067}' | '\u{feff}' | '\u{e0000}'..='\u{e0fff}')
        })
}

proptest! {
    #[test]
    fn everything_shown_is_bounded_and_harmless(
        newest in any_notice(),
        older in any_notice(),
        count in 1..5_u64,
        show_text in any::<bool>(),
    ) {
        let options = RenderOptions { show_text, names_account: count == 2, newest_first: count == 3, ..always() };
        let highlight = older.highlight.then(|| older.clone());
        let lines = vec![older.clone(), newest.clone()];
        let digest = RoomDigest { count, oldest: older.id, highlight, newest: newest.clone(), lines };
        let call = |state| Call { notice: newest.clone(), call_id: String::new(), deadline: Timestamp::UNIX_EPOCH, state };
        for popup in [
            room_popup(&digest, ME, options),
            call_popup(&call(CallState::Ringing), options),
            call_popup(&call(CallState::Missed), options),
        ] {
            prop_assert!(!popup.title.is_empty());
            prop_assert!(is_harmless(&popup.title, MAX_TITLE_CHARS, 1), "{:?}", popup.title);
            prop_assert!(is_harmless(&popup.text, MAX_TEXT_CHARS, MAX_TEXT_LINES), "{:?}", popup.text);
        }
        let line = menu_line(&newest, ME, options);
        prop_assert!(is_harmless(&line, MAX_MENU_CHARS, 1) && !line.is_empty(), "{line:?}");
        let body = body(&newest);
        prop_assert!(is_harmless(&body, MAX_BODY_CHARS, MAX_BODY_LINES), "{body:?}");
    }
}
