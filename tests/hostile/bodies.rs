//! Pushes whose bodies are hostile JSON or not JSON.

use std::time::{Duration, Instant};

use crate::{rig::http::Answer, stage::Stage};

/// The reference push gateway's limit, which is also ours.
const MAX_BODY: usize = 512 * 1024;
const DEPTH: usize = 100_000;
/// Nesting depth of objects that leaves room for an array of the same depth.
const OBJECTS: usize = 45_000;
/// Time limit of an answer: homeservers wait a minute, and an attacker must not block for longer than a moment.
const ANSWER_TIME_LIMIT: Duration = Duration::from_secs(5);

fn arrays(depth: usize) -> String {
    format!("{}1{}", "[".repeat(depth), "]".repeat(depth))
}

fn objects(depth: usize) -> String {
    format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth))
}

fn answer(stage: &Stage, body: impl Into<Vec<u8>>) -> Answer {
    let start = Instant::now();
    let answer = stage.app.post(body.into());
    assert!(start.elapsed() < ANSWER_TIME_LIMIT, "it took {:?}", start.elapsed());
    answer
}

/// A push to the account with these fields in its `notification`.
fn push(stage: &Stage, fields: &str) -> String {
    format!(r#"{{"notification":{{"type":"m.room.message",{fields},"devices":[{}]}}}}"#, stage.device())
}

#[test]
fn any_event_of_a_real_account_gets_its_200_and_a_popup() {
    let mut stage = Stage::set("");
    let (arrays, objects) = (arrays(DEPTH), objects(OBJECTS));
    // This deep, and still short enough for an event.
    let kept = "[".repeat(60_000) + "]".repeat(60_000).as_str();
    let rows: &[(&str, String)] = &[
        ("deep arrays", format!(r#"{{"body":{arrays}}}"#)),
        ("deep arrays that are kept", format!(r#"{{"body":{kept}}}"#)),
        ("deep objects", format!(r#"{{"body":{objects}}}"#)),
        ("deep below an unknown key", format!(r#"{{"x":{arrays}}}"#)),
        ("deep, and no object", arrays.clone()),
        ("deep relation", format!(r#"{{"m.relates_to":{arrays},"m.new_content":{arrays}}}"#)),
        ("a lone surrogate", r#"{"body":"\ud800"}"#.into()),
        ("a lone surrogate in a key", r#"{"\udfff":"x"}"#.into()),
        ("surrogates in the wrong order", r#"{"body":"\udc00\ud800"}"#.into()),
        ("1e999", r#"{"body":1e999}"#.into()),
        ("-1e999 everywhere", r#"{"body":-1e999,"msgtype":1e999,"m.relates_to":1e999}"#.into()),
        ("a number of 100,000 digits", format!(r#"{{"body":{}}}"#, "9".repeat(DEPTH))),
        ("wrong types", r#"{"body":{},"msgtype":[],"m.relates_to":"x","m.mentions":7}"#.into()),
        ("a string", r#""text""#.into()),
        ("null", "null".into()),
        ("a content larger than any event", format!(r#"{{"body":"{}"}}"#, "x".repeat(200 * 1024))),
        ("many keys", format!("{{{}}}", vec![r#""k":0"#; 60_000].join(","))),
    ];
    for (number, (what, content)) in rows.iter().enumerate() {
        let room = format!("room{number}");
        let fields =
            format!(r#""event_id":"${number}","room_id":"!{room}:hs","room_name":"{room}","content":{content}"#);
        let answer = answer(&stage, push(&stage, &fields));
        assert_eq!((answer.status, &*answer.body), (200, r#"{"rejected":[]}"#), "{what}");
        let popup = stage.desktop.notifications().wait_for_notify(what, |popup| popup.summary == room);
        assert!(matches!(&*popup.body, "" | "New message"), "{what}: {popup:?}");
        // One at a time, so that none is summarized.
        stage.app.ok(&["clear"]);
    }

    let elsewhere = [
        ("id", format!(r#""event_id":{arrays},"id":"$elsewhere""#)),
        ("names", format!(r#""id":"$names","room_name":{arrays},"sender_display_name":{objects},"sender":[{{}}]"#)),
        ("counts", format!(r#""id":"$counts","counts":{{"unread":{arrays},"missed_calls":1e999}}"#)),
        ("counts that are none", format!(r#""id":"$none","counts":{objects}"#)),
        ("type and prio", r#""id":"$type","prio":7,"membership":{},"user_is_target":"yes""#.into()),
        ("an unknown key", format!(r#""id":"$unknown","x":{objects}"#)),
        ("half a pair in a name", r#""id":"$half","sender_display_name":"\ud83d","room_name":"\udfff\ud83d""#.into()),
        ("numbers", r#""id":"$numbers","counts":{"unread":-1,"missed_calls":18446744073709551616}"#.into()),
        ("control characters", r#""id":"$\u0000\u001b[2J","room_id":"\u0000","sender":"\u202e""#.into()),
    ];
    for (what, fields) in elsewhere {
        assert_eq!(answer(&stage, push(&stage, &fields)).status, 200, "{what}");
    }
    let devices = [
        format!(r#"{{"x":{arrays}}},{}"#, stage.device()),
        format!(r#"{arrays},null,7,"x",[],{}"#, stage.device()),
        format!(r#"{{"app_id":1e999,"pushkey":{{}}}},{}"#, stage.device()),
        stage.device().to_string().replacen('{', &format!(r#"{{"tweaks":{arrays},"data":{objects},"#), 1),
        stage.device().to_string().replacen('{', r#"{"tweaks":{"sound":{"a":1e999},"highlight":"\ud800"},"#, 1),
    ];
    for devices in devices {
        let body = format!(r#"{{"notification":{{"id":"$d","devices":[{devices}]}}}}"#);
        let answer = answer(&stage, body);
        assert_eq!((answer.status, &*answer.body), (200, r#"{"rejected":[]}"#), "{}", &devices[devices.len() - 200..]);
    }
    stage.serves("afterwards");
    stage.memory_is_bounded();
}

#[test]
fn repeated_keys_and_invalid_utf_8_spoil_only_themselves() {
    let stage = Stage::set("");
    let fields = r#""event_id":"$dup","room_id":"!a:hs","room_name":"first","room_name":"last","content":{"body":"one"},
        "content":{"body":"two","body":"three"}"#;
    let twice = format!(r#"{{"notification":7,{}"#, &push(&stage, fields)[1..]);
    assert_eq!(answer(&stage, twice).status, 200);
    let popup = stage.desktop.notifications().wait_for_notify("the last of them", |popup| popup.summary == "last");
    assert_eq!(popup.body, "three");

    let mut body =
        push(&stage, r#""event_id":"$u","room_id":"!b:hs","room_name":"X?X","content":{"body":"a?b"}"#).into_bytes();
    for byte in body.iter_mut().filter(|byte| **byte == b'?') {
        *byte = 0xff;
    }
    assert_eq!(answer(&stage, body).status, 200);
    let popup = stage.desktop.notifications().wait_for_notify("it is shown", |popup| popup.summary == "X\u{fffd}X");
    assert_eq!(popup.body, "a\u{fffd}b");
}

#[test]
fn lists_and_names_of_any_length_are_bounded() {
    let mut stage = Stage::set("");
    let before = stage.peak_memory();
    let listed = |device: &str, count: usize| {
        let devices = format!("{device},").repeat(count);
        format!(r#"{{"notification":{{"id":"$many","devices":[{devices}{}]}}}}"#, stage.device())
    };
    // A million exceed the body limit; as many as fit are processed.
    assert_eq!(answer(&stage, listed("{}", 1_000_000)).status, 413);
    for (device, size) in [("0", 2), ("{}", 3), ("[]", 3), (r#"{"app_id":"a","pushkey":"b"}"#, 29)] {
        let body = listed(device, (MAX_BODY - 1000) / size);
        let answer = answer(&stage, body);
        assert_eq!(answer.status, 200, "{device}: {}", answer.body);
    }
    let strangers: Vec<String> =
        (0..15_000).map(|number| format!(r#"{{"app_id":"a","pushkey":"{number}"}}"#)).collect();
    let body = format!(r#"{{"notification":{{"devices":[{},{}]}}}}"#, strangers.join(","), stage.device());
    assert_eq!(answer(&stage, body).json()["rejected"].as_array().map(Vec::len), Some(15_000));

    let fitting = "n".repeat(MAX_BODY - 1000);
    for (number, key) in
        ["room_name", "sender_display_name", "room_alias", "sender", "event_id", "room_id", "type", "x"]
            .iter()
            .enumerate()
    {
        let body = |name: &str| push(&stage, &format!(r#""id":"$long{number}","{key}":"{name}""#));
        assert_eq!(answer(&stage, body(&fitting)).status, 200, "{key}");
        assert_eq!(answer(&stage, body(&"n".repeat(MAX_BODY))).status, 413, "{key}");
    }
    for line in stage.app.history() {
        assert!(line.to_string().len() < 8 * 1024, "{}", &line.to_string()[..8 * 1024]);
    }
    let path = stage.app.database();
    let wal = path.with_extension("db-wal");
    let size = [path, wal].iter().filter_map(|path| std::fs::metadata(path).ok()).map(|file| file.len()).sum::<u64>();
    assert!(size < 2 * 1024 * 1024, "the database has {size} bytes");
    stage.serves("afterwards");
    println!("memory: {before} MiB before, {} MiB at most", stage.peak_memory());
    stage.memory_is_bounded();
}

#[test]
fn what_is_no_push_gets_a_400_that_says_why() {
    let mut stage = Stage::set("");
    let arrays = arrays(DEPTH);
    let rows: &[(Vec<u8>, &str)] = &[
        ("[".repeat(MAX_BODY).into_bytes(), "M_NOT_JSON"),
        (r#"{"a":"#.repeat(DEPTH).into_bytes(), "M_NOT_JSON"),
        (arrays.clone().into_bytes(), "M_BAD_JSON"),
        (format!(r#"{{"notification":{arrays}}}"#).into_bytes(), "M_BAD_JSON"),
        (format!(r#"{{"notification":{{"devices":{}}}}}"#, objects(OBJECTS)).into_bytes(), "M_BAD_JSON"),
        (format!(r#"{{"notification":{{"devices":{arrays}}}}}"#).into_bytes(), "M_MISSING_PARAM"),
        (b"\x00".repeat(1000), "M_NOT_JSON"),
        (b"\xff\xfe{\0}\0".to_vec(), "M_NOT_JSON"),
        (b"\xef\xbb\xbf{}".to_vec(), "M_NOT_JSON"),
        (r#"{"notification":{"devices":[{"app_id":"\ud800","pushkey":"\ud800"}]}}"#.into(), "M_MISSING_PARAM"),
        (b"{} {}".to_vec(), "M_NOT_JSON"),
        (b"{\"notification\":{\"devices\":[],}}".to_vec(), "M_NOT_JSON"),
        (vec![b' '; MAX_BODY], "M_NOT_JSON"),
    ];
    for (body, errcode) in rows {
        let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        let answer = answer(&stage, body.clone());
        assert_eq!(answer.status, 400, "{shown}: {answer:?}");
        assert_eq!(answer.json()["errcode"], *errcode, "{shown}: {answer:?}");
        assert!(answer.body.len() < 400, "{answer:?}");
    }
    stage.serves("afterwards");
    stage.memory_is_bounded();
}
