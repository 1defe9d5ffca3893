//! What holds for every input: the fuzz targets look for one that breaks it, and a test of Pushbell's own
//! (`tests/hostile/finds.rs`) replays those that did.

#[path = "notice.rs"]
mod notice;

use std::{
    collections::{BTreeMap, HashSet},
    fs,
    path::PathBuf,
    sync::LazyLock,
};

use self::notice::notice_of;
use jiff::Timestamp;
use pushbell::{
    accounts::{Accounts, Admission},
    config::{Config, ConfigError, OpenWith},
    desktop::{
        OpenTarget,
        links::{self, Opening},
    },
    notice::{Call, CallState, Notice, NoticeId, RoomDigest},
    present::{self, RenderOptions, popup::Popup},
    push::{
        event::{Meaning, meaning},
        notify::{MAX_CONTENT_BYTES, MAX_ID_BYTES, MAX_NAME_BYTES, MAX_SOUND_NAME_CHARS, Notification, SoundTweak},
        text,
    },
    sound::lookup::{Choice, Places},
};
use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory as _};

/// A text as it may be shown: bounded, without anything that acts, hides or piles up.
#[track_caller]
pub fn assert_harmless(text: &str, max_chars: usize, max_lines: usize) {
    assert!(text.chars().count() <= max_chars, "{} characters: {text:?}", text.chars().count());
    assert!(text.split('\n').count() <= max_lines, "too many lines: {text:?}");
    let mut marks = 0;
    let mut is_isolating = false;
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        rest = &rest[character.len_utf8()..];
        if character == '\u{1f3f4}' {
            rest = without_flag_tags(rest);
        }
        // Names from right to left stand between a pair of isolates.
        if matches!(character, '\u{2068}' | '\u{2069}') {
            assert_eq!(character == '\u{2068}', !is_isolating, "isolates without each other: {text:?}");
            is_isolating = !is_isolating;
            continue;
        }
        let joins = matches!(character, '\u{200c}' | '\u{200d}');
        // Signs of Arabic, Syriac and Kaithi that stand before a number: "format" by category, but visible.
        let precedes_number = matches!(
            character,
            '\u{600}'
                ..='\u{605}' | '\u{6dd}' | '\u{70f}' | '\u{890}' | '\u{891}' | '\u{8e2}' | '\u{110bd}' | '\u{110cd}'
        );
        let category = character.general_category();
        assert!(category != GeneralCategory::Control || character == '\n', "a control character: {text:?}");
        let is_format = category == GeneralCategory::Format;
        assert!(!is_format || joins || precedes_number, "invisible {character:?}: {text:?}");
        assert!(!matches!(character, '\u{2028}' | '\u{2029}'), "a line end: {text:?}");
        let fills = matches!(character, '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' | '\u{34f}' | '\u{2800}');
        assert!(!fills, "a letter without a shape: {text:?}");
        // A joiner does not end what is piled up on a character.
        if character.general_category_group() == GeneralCategoryGroup::Mark {
            marks += 1;
        } else if !joins {
            marks = 0;
        }
        assert!(marks <= 4, "a tower of marks: {text:?}");
    }
    assert!(!is_isolating, "an open isolate: {text:?}");
}

/// What follows the tags that make a black flag that of England, say.
fn without_flag_tags(text: &str) -> &str {
    let letters = text.trim_start_matches(|c| matches!(c, '\u{e0030}'..='\u{e0039}' | '\u{e0061}'..='\u{e007a}'));
    let count = text.chars().count() - letters.chars().count();
    letters.strip_prefix('\u{e007f}').filter(|_| (1..=6).contains(&count)).unwrap_or(text)
}

/// Texts of popups: [`text::line()`], [`text::paragraph()`], [`text::escape_markup()`]. The first two bytes say how long
/// it may become.
pub fn text(data: &[u8]) {
    let [chars, lines, rest @ ..] = data else { return };
    let (max_chars, max_lines) = (usize::from(*chars), usize::from(lines % 9) + 1);
    let input = String::from_utf8_lossy(rest);

    let line = text::line(&input, max_chars);
    assert_harmless(&line, max_chars, 1);
    assert_eq!(text::line(&line, max_chars), line, "made harmless twice, of {input:?}");

    let paragraph = text::paragraph(&input, max_chars, max_lines);
    assert_harmless(&paragraph, max_chars, max_lines);
    assert_eq!(text::paragraph(&paragraph, max_chars, max_lines), paragraph, "made harmless twice, of {input:?}");
    for shown in [&line, &paragraph] {
        assert!(!shown.contains(['\u{2068}', '\u{2069}']), "isolates of a stranger: {shown:?}");
    }

    for compose in [text::composed, text::history] {
        let composed = compose(&input, max_chars, max_lines);
        assert_harmless(&composed, max_chars, max_lines);
        assert_eq!(compose(&composed, max_chars, max_lines), composed, "made harmless twice, of {input:?}");
    }

    let spelled_out = text::spelled_out(&input);
    assert_harmless(&spelled_out, usize::MAX, usize::MAX);
    assert_eq!(text::spelled_out(&spelled_out), spelled_out);

    for shown in [&*line, &*paragraph, &*input] {
        let escaped = text::escape_markup(shown);
        assert!(!escaped.contains(['<', '>']), "{escaped:?}");
        assert_eq!(unescape(&escaped), shown);
    }
}

fn unescape(markup: &str) -> String {
    let mut pieces = markup.split('&');
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (entity, rest) = piece.split_once(';').expect("each & begins an entity");
        text.push(match entity {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            other => panic!("an unknown entity {other:?}"),
        });
        text.push_str(rest);
    }
    text
}

const TYPES: [&str; 16] = [
    "m.room.message",
    "m.room.member",
    "m.room.encrypted",
    "m.reaction",
    "m.sticker",
    "m.poll.start",
    "m.poll.end",
    "m.call.invite",
    "m.call.hangup",
    "m.rtc.notification",
    "m.room.name",
    "m.room.topic",
    "m.room.tombstone",
    "m.room.redaction",
    "m.call.notify",
    "org.example.some_thing",
];

/// The body of a push, and everything that is made from it. What is no push is read as the `content` of one.
pub fn body(data: &[u8]) {
    match Notification::parse(data) {
        Ok(push) => check_push(&push),
        Err(error) => {
            assert!(error.to_string().len() < 300, "{error}");
            let [kind, content @ ..] = data else { return };
            let content = String::from_utf8_lossy(content);
            let name = serde_json::to_string(&*content).expect("a string is JSON");
            let kind = TYPES[usize::from(*kind) % TYPES.len()];
            let wrapped = format!(
                r#"{{"notification":{{"event_id":"$e","room_id":"!r:hs","type":"{kind}","sender":"@a:hs",
                "sender_display_name":{name},"membership":"invite","user_is_target":true,"content":{content},
                "devices":[{{"app_id":"a","pushkey":"k","tweaks":{{"highlight":true,"sound":{name}}}}}]}}}}"#
            );
            if let Ok(push) = Notification::parse(wrapped.as_bytes()) {
                check_push(&push);
            }
        }
    }
}

fn check_push(push: &Notification) {
    assert!(!push.devices.is_empty());
    for id in [&push.event_id, &push.id, &push.room_id, &push.event_type, &push.sender, &push.membership] {
        assert!(id.as_ref().is_none_or(|id| (1..=MAX_ID_BYTES).contains(&id.len())), "{id:?}");
    }
    for name in [&push.sender_display_name, &push.room_name, &push.room_alias] {
        assert!(name.as_ref().is_none_or(|name| (1..=MAX_NAME_BYTES).contains(&name.len())), "{name:?}");
    }
    let content = push.content.as_deref();
    assert!(content.is_none_or(|content| content.starts_with('{') && content.len() <= MAX_CONTENT_BYTES));
    let _ = push.is_event();

    let Admission::Decided { accepted, rejected } = Accounts::empty().admit(&push.devices) else {
        panic!("no accounts are certainly none");
    };
    let pushkeys: HashSet<_> = push.devices.iter().map(|device| device.pushkey.as_str()).collect();
    assert!(accepted.is_empty() && rejected.iter().count() == pushkeys.len());
    let told: Vec<String> = serde_json::from_str(&serde_json::to_string(&rejected).expect("strings are JSON"))
        .expect("what is told is a list of strings");
    assert!(told.iter().all(|pushkey| pushkeys.contains(pushkey.as_str())));

    for (device, id) in push.devices.iter().take(3).zip(1..) {
        let mut notice = notice_of(push, &device.tweaks, "account", NoticeId(id));
        check_notice(&notice);
        match meaning(notice.event_type.as_deref(), notice.content.as_deref()) {
            Meaning::Edit { new_content, .. } => {
                assert!(new_content.len() <= MAX_CONTENT_BYTES);
                notice.content = Some(new_content);
                check_notice(&notice);
            }
            Meaning::Redaction { .. } => {
                notice.redacted = true;
                check_notice(&notice);
            }
            Meaning::Ringing { lifetime, .. } => assert!(lifetime.as_secs() <= 120, "{lifetime:?}"),
            Meaning::Message | Meaning::CallOver { .. } => {}
        }
    }
}

fn check_notice(notice: &Notice) {
    let popup = |popup: Popup| {
        assert!(!popup.title.is_empty());
        assert_harmless(&popup.title, present::MAX_TITLE_CHARS, 1);
        assert_harmless(&popup.text, present::MAX_TEXT_CHARS, present::MAX_TEXT_LINES);
    };
    for show_text in [true, false] {
        let options =
            RenderOptions { show_text, newest_first: show_text, names_account: !show_text, ..RenderOptions::default() };
        for count in [1, 1000] {
            let highlight = (count > 1).then(|| Notice { id: NoticeId(7), ..notice.clone() });
            let lines = vec![notice.clone()];
            popup(present::room_popup(
                &RoomDigest { count, oldest: notice.id, newest: notice.clone(), highlight, lines },
                Some("@alice:hs"),
                options,
            ));
        }
        for state in [CallState::Ringing, CallState::Missed] {
            let call_id = String::new();
            let call = Call { notice: notice.clone(), call_id, deadline: Timestamp::UNIX_EPOCH, state };
            popup(present::call_popup(&call, options));
        }
        popup(present::summary_popup(u64::MAX, 1, 9, &[present::menu_line(notice, None, options)], options));
        let line = present::menu_line(notice, Some("@alice:hs"), options);
        assert!(!line.is_empty());
        assert_harmless(&line, present::MAX_MENU_CHARS, 1);
    }
    assert_harmless(&present::body(notice), present::MAX_BODY_CHARS, present::MAX_BODY_LINES);
    check_opening(notice);
}

/// What a click opens: an address without anything to escape from, or words of a command that were not taken apart.
fn check_opening(notice: &Notice) {
    let Some(room_id) = notice.room_id.clone() else { return };
    let target = OpenTarget::Room { room_id, event_id: notice.event_id.clone(), user: notice.sender.clone() };
    let command = ["client", "--room={room}", "{event}{user}"].map(str::to_owned).to_vec();
    let address = "https://client.example/#/{room}/{event}?user={user}".to_owned();
    for with in [OpenWith::Matrix, OpenWith::Address(address), OpenWith::Command(command)] {
        match links::opening(&target, &with) {
            Ok(Opening::Matrix { link, web }) => {
                assert!(link.starts_with("matrix:") && web.starts_with("https://matrix.to/#/"), "{link} {web}");
                assert!((link + web.as_str()).bytes().all(|byte| byte.is_ascii_graphic()));
            }
            Ok(Opening::Address(address)) => {
                assert!(address.starts_with("https://client.example/#/"), "{address}");
                assert!(address.bytes().all(|byte| byte.is_ascii_graphic()), "{address:?}");
            }
            Ok(Opening::Command(program, words)) => {
                assert!(program == "client" && words.len() == 2 && words[0].starts_with("--room="), "{words:?}");
                assert!(!words.iter().any(|word| word.contains('\0')), "{words:?}");
            }
            Ok(Opening::File(path)) => panic!("a room is no file: {}", path.display()),
            Err(reason) => assert!(!reason.is_empty()),
        }
    }
}

/// The configuration: read whole or refused with a bounded list of faults that a terminal can show.
pub fn config(data: &[u8]) {
    let written = String::from_utf8_lossy(data);
    match Config::parse(&written, "x") {
        Ok(config) => {
            assert!(!config.server.listen.is_empty());
            assert!(config.server.extra_paths.iter().all(|path| path.starts_with('/') && path != "/health"));
            assert!((0.0..=1.0).contains(&config.sound.volume));
            assert!(config.sound.directory.is_none_or(|path| path.is_absolute()));
            assert!(config.history.keep_days >= 1);
            if let Some(url) = &config.server.public_url {
                assert!(url.starts_with("http") && !url.ends_with('/') && !url.contains(['?', '#', '@']), "{url}");
            }
            match config.popup.open {
                OpenWith::Command(words) => assert!(words.first().is_some_and(|program| !program.is_empty())),
                OpenWith::Address(address) => assert!(address.contains(':')),
                OpenWith::Matrix => {}
            }
        }
        Err(ConfigError::Unreadable { .. } | ConfigError::Emptied { .. }) => panic!("nothing was read"),
        Err(ConfigError::Faulty { faults, .. }) => {
            assert!((1..=20).contains(&faults.len()), "{} faults", faults.len());
            for fault in &faults {
                assert!((1..=written.lines().count() + 1).contains(&fault.line), "{fault}");
                // Nothing in it would have to be spelled out, so it can go to a terminal, a log and a popup.
                let said = fault.to_string();
                assert_harmless(&said, 600, 1);
                assert_eq!(text::spelled_out(&said), said);
            }
            assert!(faults.is_sorted_by_key(|fault| fault.line), "{faults:?}");
        }
    }
}

/// Where the sound target looks: a person's directory and a theme's, with files beside them that nobody may reach.
static PLACES: LazyLock<(tempfile::TempDir, Places)> = LazyLock::new(|| {
    let root = tempfile::tempdir().expect("a temporary directory");
    let [directory, theme] = ["own", "theme"].map(|name| root.path().join(name));
    for path in [&directory, &theme, &directory.join("sub"), &directory.join("chime.ogg")] {
        fs::create_dir(path).expect("the directory is writable");
    }
    let files = ["own/a.wav", "own/b", "own/chime.wav", "own/ä.mp3", "own/sub/c.wav", "theme/bell.oga", "secret.wav"];
    for file in files {
        fs::write(root.path().join(file), "").expect("the directory is writable");
    }
    let tweaks = BTreeMap::from([("named".to_owned(), "bing".to_owned())]);
    (root, Places { tweaks, directory, themes: vec![theme] })
});

/// The `sound` tweak: never a path, whatever it says, and the same after it was stored.
pub fn sound(data: &[u8]) {
    let name = String::from_utf8_lossy(data);
    let tweak = SoundTweak::from_name(&name);
    assert_eq!(SoundTweak::from_stored(tweak.as_stored()), tweak);
    match &tweak {
        SoundTweak::Silent => assert!(name.is_empty()),
        SoundTweak::Named(usable) => assert!(*usable == *name && name.chars().count() <= MAX_SOUND_NAME_CHARS),
        SoundTweak::Unusable => {}
    }
    let (_, places) = &*PLACES;
    // Also a name that did not come through `from_name`.
    for tweak in [tweak, SoundTweak::Named(name.into_owned())] {
        match places.choose(&tweak) {
            None => assert_eq!(tweak, SoundTweak::Silent),
            Some(Choice::Bundled(_)) => {}
            Some(Choice::File(path)) => {
                let allowed: Vec<&PathBuf> = [&places.directory].into_iter().chain(&places.themes).collect();
                let parent = path.parent().map(fs::canonicalize).expect("a parent").expect("it is there");
                assert!(allowed.iter().any(|place| **place == parent), "{}", path.display());
                assert!(path.exists(), "{}", path.display());
            }
        }
    }
}
