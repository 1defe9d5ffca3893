//! What holds for every body that anybody could send.

use proptest::prelude::*;

use super::super::*;
use crate::push::event::meaning;

/// JSON text of any shape: keys twice, lone surrogates, numbers beyond every range, depth.
fn json() -> impl Strategy<Value = String> {
    let string = prop_oneof![
        any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap()),
        proptest::sample::select(vec![r#""""#, r#""\ud800""#, r#""a\udfff\u0000""#, r#""ring""#, r#""../x""#])
            .prop_map(str::to_owned),
    ];
    let number = proptest::sample::select(vec!["0", "-1", "1.5", "1e999", "-1e-999", "99999999999999999999", "3.0"]);
    let leaf = prop_oneof![
        string.clone(),
        number.prop_map(str::to_owned),
        proptest::sample::select(vec!["null", "true", "false", "{}", "[]"]).prop_map(str::to_owned),
        (1..300_usize).prop_map(|depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth))),
    ];
    let key = prop_oneof![
        string,
        proptest::sample::select(vec!["sound", "highlight", "unread", "body", "m.relates_to", "call_id", "lifetime"])
            .prop_map(|key| format!("\"{key}\"")),
    ];
    leaf.prop_recursive(4, 24, 5, move |inner| {
        let members = proptest::collection::vec((key.clone(), inner.clone()), 0..5);
        prop_oneof![
            proptest::collection::vec(inner, 0..4).prop_map(|elements| format!("[{}]", elements.join(","))),
            members.prop_map(|members| {
                let members: Vec<_> = members.into_iter().map(|(key, value)| format!("{key}: {value}")).collect();
                format!("{{{}}}", members.join(" ,\n"))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn no_body_panics(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Notification::parse(&body);
    }

    #[test]
    fn no_json_panics(body in json()) {
        let _ = Notification::parse(body.as_bytes());
        let _ = Notification::parse(format!(r#"{{"notification":{body}}}"#).as_bytes());
        let _ = Notification::parse(format!(r#"{{"notification":{{"devices":{body}}},"devices":{body}}}"#).as_bytes());
        for event_type in ["m.call.invite", "m.rtc.notification", "m.call.hangup", "m.room.redaction", "m.room.message"] {
            let _ = meaning(Some(event_type), Some(&body));
        }
    }

    #[test]
    fn nothing_beside_the_devices_refuses_a_push(
        values in proptest::collection::vec(json(), 14),
        beside in json(),
        tweaks in json(),
        data in json(),
    ) {
        let keys = [
            "content", "sender_display_name", "room_name", "room_alias", "roomName", "sender", "type", "event_id", "id",
            "room_id", "membership", "user_is_target", "prio", "counts",
        ];
        let members: Vec<_> = keys.iter().zip(&values).map(|(key, value)| format!("\"{key}\":{value},")).collect();
        let body = format!(
            r#"{{"odd":{beside},"notification":{{{}"devices":[{beside},{{"app_id":"a","data":{data},"pushkey":"k",
                "tweaks":{tweaks},"pushkey_ts":{data}}}]}}}}"#,
            members.concat(),
        );
        let push = Notification::parse(body.as_bytes());
        prop_assert!(push.is_ok(), "{push:?}");
        let push = push.unwrap();
        prop_assert!(push.devices.iter().any(|device| device.pushkey == "k"));
        for name in [&push.sender_display_name, &push.room_name, &push.room_alias].into_iter().flatten() {
            prop_assert!((1..=MAX_NAME_BYTES).contains(&name.len()));
        }
        for id in [&push.event_id, &push.id, &push.room_id, &push.event_type, &push.sender].into_iter().flatten() {
            prop_assert!((1..=MAX_ID_BYTES).contains(&id.len()));
        }
        for device in &push.devices {
            prop_assert_eq!(&SoundTweak::from_stored(device.tweaks.sound.as_stored()), &device.tweaks.sound);
        }
    }
}
