//! A line of a relay's stream (pure): a JSON object. Fields of the wrong type count as absent.

use crate::push::{
    lenient::{Object, Value},
    listed::EventRef,
    notify::{Device, Notification},
};

/// A line.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    /// The relay's time in seconds since the epoch; 0 if absent.
    pub(crate) time: u64,
    /// The push in it, if it is a message.
    pub(crate) hint: Option<Hint>,
    /// A keepalive, sent at regular intervals.
    pub(crate) is_keepalive: bool,
}

/// What is used of a push through a relay.
#[derive(Debug, Clone)]
pub(crate) struct Hint {
    /// The event; `None` for a push of counts alone, sent when something is read.
    pub(crate) event: Option<EventRef>,
    /// The push's devices.
    pub(crate) devices: Vec<Device>,
}

impl Line {
    pub(crate) fn parse(line: &[u8]) -> Option<Self> {
        let object = Object::read(str::from_utf8(line).ok()?)?;
        let event = object.string("event")?;
        let time = object.get("time").and_then(Value::whole_number).unwrap_or(0);
        let hint = (event == "message").then(|| hint(&object)).flatten();
        Some(Self { time, hint, is_keepalive: event == "keepalive" })
    }
}

/// Messages with an `encoding` are not UTF-8, and so not pushes of a homeserver.
fn hint(object: &Object<'_>) -> Option<Hint> {
    if object.has("encoding") {
        return None;
    }
    let push = Notification::parse(object.string("message")?.as_bytes()).ok()?;
    let event = push.room_id.zip(push.event_id).map(|(room_id, event_id)| EventRef { room_id, event_id });
    Some(Hint { event, devices: push.devices })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn parse(line: &Value) -> Option<Line> {
        Line::parse(line.to_string().as_bytes())
    }

    #[test]
    fn lines_of_ntfy_are_parsed() {
        let open =
            parse(&json!({"id": "DpnSmZh8zkFO", "time": 1_795_912_664, "event": "open", "topic": "up"})).unwrap();
        assert!(open.time == 1_795_912_664 && open.hint.is_none() && !open.is_keepalive);
        assert!(parse(&json!({"time": 1, "event": "keepalive"})).unwrap().is_keepalive);
        let device = json!({"app_id": "a", "pushkey": "k", "data": {"format": "event_id_only"}});
        let push = json!({"notification": {"counts": {"unread": 2}, "devices": [device], "event_id": "$1",
            "prio": "low", "room_id": "!r"}});
        let message = json!({"id": "i", "time": 5, "expires": 9, "event": "message", "message": push.to_string()});
        let hint = parse(&message).unwrap().hint.unwrap();
        let event = EventRef { room_id: "!r".to_owned(), event_id: "$1".to_owned() };
        assert_eq!((hint.event, &*hint.devices[0].pushkey), (Some(event), "k"));
        let badge = json!({"notification": {"counts": {}, "devices": [device]}}).to_string();
        let hint = parse(&json!({"event": "message", "message": badge})).unwrap().hint.unwrap();
        assert_eq!(hint.event, None);
    }

    #[test]
    fn malformed_lines_are_ignored() {
        for line in ["", "{", "[]", "7", "{\"event\": 7}", "\u{0}", "{\"time\": 5}"] {
            assert!(Line::parse(line.as_bytes()).is_none(), "{line}");
        }
        assert!(Line::parse(b"\xff\xfe").is_none());
        for message in [json!("hello"), json!(7), json!({}), json!("{\"notification\": {\"devices\": []}}")] {
            assert!(parse(&json!({"event": "message", "time": 5, "message": message})).unwrap().hint.is_none());
        }
        let device = json!({"app_id": "a", "pushkey": "k"});
        let push = json!({"notification": {"devices": [device]}}).to_string();
        let encoded = json!({"event": "message", "encoding": "base64", "message": push});
        assert!(parse(&encoded).unwrap().hint.is_none());
        assert_eq!(parse(&json!({"event": "open", "time": -1})).unwrap().time, 0);
    }
}
