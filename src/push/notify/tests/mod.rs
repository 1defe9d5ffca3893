mod properties;

use super::*;

const DEVICE: &str = r#"{"app_id":"a","pushkey":"k"}"#;

/// A push whose notification has these members and one device.
fn push(members: &str) -> Notification {
    let body = format!(r#"{{"notification":{{{members},"devices":[{DEVICE}]}}}}"#);
    Notification::parse(body.as_bytes()).unwrap_or_else(|error| panic!("{error}: {body}"))
}

fn sound(tweaks: &str) -> SoundTweak {
    let body = format!(r#"{{"notification":{{"devices":[{{"app_id":"a","pushkey":"k","tweaks":{tweaks}}}]}}}}"#);
    Notification::parse(body.as_bytes()).unwrap().devices[0].tweaks.sound.clone()
}

#[test]
fn a_body_that_is_no_push_is_refused_with_what_is_wrong() {
    let check = |body: &str, expected: &str| {
        let error = Notification::parse(body.as_bytes()).expect_err(body);
        let kind = match &error {
            PushError::NotJson(_) => "not json",
            PushError::BadJson(_) => "bad json",
            PushError::MissingParam(_) => "missing",
        };
        assert_eq!(format!("{kind}: {error}"), expected, "{body}");
    };
    check("", "not json: the body is not JSON: EOF while parsing a value at line 1 column 0");
    check("{\"notification\":", "not json: the body is not JSON: EOF while parsing a value at line 1 column 16");
    check("{} {}", "not json: the body is not JSON: trailing characters at line 1 column 4");
    check("[]", "bad json: the body is not a JSON object");
    check("null", "bad json: the body is not a JSON object");
    check("{}", "missing: `notification` is missing");
    check(r#"{"notification":null}"#, "missing: `notification` is missing");
    check(r#"{"notification":[]}"#, "bad json: `notification` is not an object");
    check(r#"{"notification":{}}"#, "missing: `notification.devices` is missing");
    check(r#"{"notification":{"devices":null}}"#, "missing: `notification.devices` is missing");
    check(r#"{"notification":{"devices":{}}}"#, "bad json: `notification.devices` is not an array");
    let unusable = "missing: `notification.devices` has no object with the strings `app_id` and `pushkey`";
    check(r#"{"notification":{"devices":[]}}"#, unusable);
    check(r#"{"notification":{"devices":[1,{"app_id":"a"},{"pushkey":"k"}]}}"#, unusable);
    check(r#"{"notification":{"devices":[{"app_id":1,"pushkey":"k"},{"app_id":"a","pushkey":null}]}}"#, unusable);
}

#[test]
fn a_field_of_the_wrong_type_or_size_counts_as_absent() {
    let fields = [
        "event_id",
        "id",
        "room_id",
        "type",
        "sender",
        "sender_display_name",
        "room_name",
        "room_alias",
        "membership",
        "user_is_target",
        "prio",
        "content",
        "counts",
    ];
    let long = format!("\"{}\"", "x".repeat(MAX_ID_BYTES + 1));
    for field in fields {
        for value in ["null", "1", "-1.5e999", "\"\"", "[]", "[{}]", "\"\\ud800\"", long.as_str()] {
            let push = push(&format!("\"{field}\":{value}"));
            let ids = [&push.event_id, &push.id, &push.room_id, &push.event_type, &push.sender, &push.membership];
            assert!(ids.iter().all(|id| id.is_none()), "{field}: {value}");
            assert!(!push.user_is_target && push.prio == Priority::High, "{field}: {value}");
            assert!(push.content.is_none() && push.counts.is_none(), "{field}: {value}");
        }
    }
}

#[test]
fn names_are_bounded_and_kept_where_they_are_not_unicode() {
    let name = |json: &str| push(&format!("\"room_name\":\"{json}\"")).room_name;
    assert_eq!(name("Mission Control"), Some("Mission Control".to_owned()));
    assert_eq!(name(""), None);
    assert!(name("a\\ud800b").is_some_and(|name| name.starts_with('a') && name.ends_with('b')));
    assert_eq!(name(&"é".repeat(2000)).map(|name| name.len()), Some(MAX_NAME_BYTES));
    assert_eq!(name(&format!("x{}", "é".repeat(2000))).map(|name| name.len()), Some(MAX_NAME_BYTES - 1));
}

#[test]
fn the_spellings_of_the_first_days_are_read() {
    let both = push(r#""roomName":"Old","roomAlias":"\u0023old:hs","room_name":"New""#);
    assert_eq!(both.room_name.as_deref(), Some("New"));
    assert_eq!(both.room_alias.as_deref(), Some("#old:hs"));
    assert_eq!(push(r#""roomName":"Old","room_name":"""#).room_name.as_deref(), Some("Old"));
}

#[test]
fn counts_are_read_inside_or_beside_the_notification() {
    let check = |inside: &str, beside: &str, expected: Option<(u64, Option<u64>)>| {
        let body = format!(r#"{{"notification":{{"counts":{inside},"devices":[{DEVICE}]}},"counts":{beside}}}"#);
        let counts = Notification::parse(body.as_bytes()).unwrap().counts;
        assert_eq!(counts.map(|counts| (counts.unread, counts.missed_calls)), expected, "{body}");
    };
    check("null", "null", None);
    check("null", r#"{"unread":2,"missed_calls":1}"#, Some((2, Some(1))));
    check("[3]", r#"{"unread":2}"#, Some((2, None)));
    check(r#"{"unread":3}"#, r#"{"unread":2}"#, Some((3, None)));
    check("{}", "null", Some((0, None)));
    check(r#"{"missed_calls":0}"#, "null", Some((0, Some(0))));
    check(r#"{"unread":4.0,"missed_calls":"1"}"#, "null", Some((4, None)));
    check(r#"{"unread":-4,"missed_calls":-1}"#, "null", Some((0, None)));
    let largest = 9_007_199_254_740_991;
    check(r#"{"unread":1e999,"missed_calls":99999999999999999999}"#, "null", Some((largest, Some(largest))));
    check(r#"{"unread":9007199254740993}"#, "null", Some((largest, None)));
}

#[test]
fn a_notification_of_nothing_but_devices_is_a_badge_of_zero() {
    let counts = |body: &str| Notification::parse(body.as_bytes()).unwrap().counts;
    let check = |members: &str, expected: Option<Counts>| {
        let body = format!(r#"{{"notification":{{{members}"devices":[{DEVICE}]}}}}"#);
        assert_eq!(counts(&body), expected, "{body}");
    };
    let zero = Some(Counts { unread: 0, missed_calls: None });
    check("", zero);
    check(r#""counts":{},"#, zero);
    assert_eq!(counts(&format!(r#"{{"notification":{{}},"devices":[{DEVICE}]}}"#)), zero);
    for more in [r#""room_id":"!r","#, r#""event_id":"$e","#, r#""prio":"low","#, r#""counts":7,"#] {
        check(more, None);
    }
}

#[test]
fn tweaks_may_be_a_list_of_actions() {
    let check = |list: &str, sound: SoundTweak, highlight: bool| {
        let body = format!(r#"{{"notification":{{"devices":[{{"app_id":"a","pushkey":"k","tweaks":{list}}}]}}}}"#);
        let devices = Notification::parse(body.as_bytes()).unwrap().devices;
        assert_eq!(devices[0].tweaks, Tweaks { sound, highlight }, "{list}");
    };
    let default = || SoundTweak::Named("default".to_owned());
    check(r#"[{"set_tweak":"sound","value":"default"},{"set_tweak":"highlight"}]"#, default(), true);
    check(r#"[{"set_tweak":"sound","value":"default"},{"set_tweak":"highlight","value":false}]"#, default(), false);
    check(r#"["notify",7,null,{"set_tweak":"highlight","value":true}]"#, SoundTweak::Silent, true);
    check(r#"[{"set_tweak":"sound"}]"#, SoundTweak::Unusable, false);
    for silent in ["null", "\"\"", "false"] {
        check(&format!(r#"[{{"set_tweak":"sound","value":{silent}}}]"#), SoundTweak::Silent, false);
    }
    check(r#"[{"set_tweak":"sound","value":"../x"},{"set_tweak":"other"},{"value":1}]"#, SoundTweak::Unusable, false);
    check(r#"[[{"set_tweak":"highlight"}]]"#, SoundTweak::Silent, false);
}

#[test]
fn well_formed_devices_are_kept_and_others_dropped() {
    let body = r#"{"notification":{"devices":[7,null,{"app_id":"a","pushkey":"é\n\"","tweaks":{"highlight":true}},
        {"app_id":"b"},{"app_id":"","pushkey":"","data":[],"pushkey_ts":"x"},{"app_id":"c","pushkey":"\ud800"}]},
        "devices":[{"app_id":"beside","pushkey":"beside"}]}"#;
    let devices = Notification::parse(body.as_bytes()).unwrap().devices;
    let keys: Vec<_> = devices.iter().map(|device| (device.app_id.as_str(), device.pushkey.as_str())).collect();
    assert_eq!(keys, [("a", "é\n\""), ("", "")]);
    assert!(devices[0].tweaks.highlight && !devices[1].tweaks.highlight);
}

#[test]
fn devices_beside_the_notification_are_the_fallback() {
    for inside in ["null", "[]", "{}", "[1]", r#"[{"app_id":"a"}]"#] {
        let body = format!(r#"{{"notification":{{"devices":{inside}}},"devices":[{DEVICE}]}}"#);
        assert_eq!(Notification::parse(body.as_bytes()).unwrap().devices.len(), 1, "{body}");
    }
}

#[test]
fn a_sound_is_silence_a_name_or_unusable_but_never_a_path() {
    let named = |name: &str| SoundTweak::Named(name.to_owned());
    let long = format!(r#"{{"sound":"{}"}}"#, "x".repeat(4096));
    let check = |tweaks: &str, expected: SoundTweak| assert_eq!(sound(tweaks), expected, "{tweaks}");
    for silent in ["null", "[]", "7", "{}", r#"{"sound":null}"#, r#"{"sound":false}"#, r#"{"sound":""}"#] {
        check(silent, SoundTweak::Silent);
    }
    check(r#"{"sound":"default"}"#, named("default"));
    check(r#"{"sound":"ring"}"#, named("ring"));
    check(r#"{"sound":"bing.wav"}"#, named("bing.wav"));
    check(r#"{"sound":"größe 2"}"#, named("größe 2"));
    let paths = ["../../etc/passwd", "/etc/passwd", r"..\\x", "C:x", ".", "..", r"a\u0000b", r"a\nb", r"\ud800"];
    for path in paths {
        check(&format!(r#"{{"sound":"{path}"}}"#), SoundTweak::Unusable);
    }
    for odd in [r#"{"sound":true}"#, r#"{"sound":{}}"#, r#"{"sound":[]}"#, r#"{"sound":1e999}"#, long.as_str()] {
        check(odd, SoundTweak::Unusable);
    }
}

#[test]
fn a_stored_sound_comes_back_as_it_was() {
    for tweak in [SoundTweak::Silent, SoundTweak::Named("bing.wav".to_owned()), SoundTweak::Unusable] {
        assert_eq!(SoundTweak::from_stored(tweak.as_stored()), tweak);
    }
}

#[test]
fn a_badge_only_push_is_no_event() {
    assert!(!push(r#""counts":{"unread":0},"id":"","sender":"","type":null"#).is_event());
    assert!(!push(r#""room_id":"!r","counts":{"unread":0},"content":{ }"#).is_event());
    for event in [r#""event_id":"$e""#, r#""id":"x""#, r#""type":"m.room.message""#, r#""content":{"body":"x"}"#] {
        assert!(push(event).is_event(), "{event}");
    }
}

#[test]
fn bytes_that_are_not_utf_8_do_not_refuse_a_push() {
    let mut body = br#"{"notification":{"event_id":"$e","content":{"body":""#.to_vec();
    body.extend([0xff, 0xc3, 0xed, 0xa0, 0x80]);
    body.extend(br#""},"devices":[{"app_id":"a","pushkey":"k"}]}}"#);
    let push = Notification::parse(&body).unwrap();
    assert_eq!(push.event_id.as_deref(), Some("$e"));
    assert!(push.content.is_some());
}

#[test]
fn content_of_any_depth_is_kept_unless_it_is_too_large() {
    let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(50_000), "]".repeat(50_000));
    assert_eq!(push(&format!(r#""content":{deep}"#)).content.unwrap(), deep);
    let large = format!(r#"{{"body":"{}"}}"#, "x".repeat(MAX_CONTENT_BYTES));
    assert!(push(&format!(r#""content":{large}"#)).content.is_none());
}

#[test]
fn depth_anywhere_in_a_body_does_not_overflow_the_stack() {
    let deep = format!("{}{}", r#"{"a":["#.repeat(40_000), "]}".repeat(40_000));
    let body = format!(
        r#"{{"x":{deep},"notification":{{"room_name":{deep},"devices":[{deep},{{"app_id":"a","pushkey":"k","data":{deep},"tweaks":{{"sound":{deep}}}}}]}}}}"#
    );
    assert_eq!(Notification::parse(body.as_bytes()).unwrap().devices[0].tweaks.sound, SoundTweak::Unusable);
}
