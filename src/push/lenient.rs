//! JSON from strangers, read one value at a time: what is not as expected counts as absent.
//!
//! Nothing in here recurses and no value is parsed before it is asked for, so neither depth nor a number, string or
//! key that cannot be represented in one place makes another unreadable.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize,
    de::{self, Deserializer, MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// The largest number that every JSON implementation agrees about, and Matrix allows: 2^53 - 1.
const MAX_WHOLE_NUMBER: f64 = 9_007_199_254_740_991.0;

/// The text of one well-formed JSON value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Value<'a>(&'a RawValue);

impl<'a> Value<'a> {
    /// Accepts any well-formed JSON text.
    pub(crate) fn parse(json: &'a str) -> serde_json::Result<Self> {
        serde_json::from_str(json).map(Self)
    }

    /// Its JSON text.
    pub(crate) fn json(self) -> &'a str {
        self.0.get()
    }

    /// Its JSON text, to be kept.
    pub(crate) fn to_raw(self) -> Box<RawValue> {
        self.0.to_owned()
    }

    /// As an object.
    pub(crate) fn object(self) -> Option<Object<'a>> {
        Object::read(self.json())
    }

    /// As an array.
    pub(crate) fn array(self) -> Option<Vec<Value<'a>>> {
        let elements: Vec<&RawValue> = serde_json::from_str(self.json()).ok()?;
        Some(elements.into_iter().map(Self).collect())
    }

    /// As a string, exactly: none if it is not Unicode (a lone surrogate). For ids and keys.
    pub(crate) fn string(self) -> Option<Cow<'a, str>> {
        exact_string(self.json())
    }

    /// As a string to be read by a person: what is not Unicode becomes U+FFFD.
    pub(crate) fn text(self) -> Option<String> {
        if !self.json().starts_with('"') {
            return None;
        }
        serde_json::Deserializer::from_str(self.json()).deserialize_bytes(LossyText).ok()
    }

    /// As a boolean.
    pub(crate) fn bool(self) -> Option<bool> {
        match self.json() {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }

    /// As a number; infinite if it is beyond what `f64` can hold.
    pub(crate) fn number(self) -> Option<f64> {
        let is_number = self.json().starts_with(|first: char| first == '-' || first.is_ascii_digit());
        is_number.then(|| self.json().parse::<f64>().ok()).flatten()
    }

    /// As a whole number from 0 on, also when it is written as `2.0` or `2e0`; 2^53 - 1 if it is greater.
    pub(crate) fn whole_number(self) -> Option<u64> {
        let number = self.number()?.min(MAX_WHOLE_NUMBER);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole and within u64")]
        (number >= 0.0 && number.fract() == 0.0).then_some(number as u64)
    }
}

/// A JSON object. Of a key that occurs twice the last value counts; a null counts as absent. Few keys are asked for, so
/// that no index pays.
#[derive(Debug, Default)]
pub(crate) struct Object<'a>(Vec<(Cow<'a, str>, Value<'a>)>);

impl<'a> Object<'a> {
    /// Reads JSON text; none if it is not an object.
    pub(crate) fn read(json: &'a str) -> Option<Self> {
        serde_json::from_str(json).ok()
    }

    /// The value of a key.
    pub(crate) fn get(&self, key: &str) -> Option<Value<'a>> {
        self.0
            .iter()
            .rev()
            .find(|(other, _)| other == key)
            .map(|(_, value)| *value)
            .filter(|value| value.json() != "null")
    }

    /// Whether there is nothing in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it has this key, with a null too.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.0.iter().any(|(other, _)| other == key)
    }

    /// Whether it has no other keys than these.
    pub(crate) fn has_only(&self, keys: &[&str]) -> bool {
        self.0.iter().all(|(key, _)| keys.contains(&&**key))
    }

    /// The value of a key, if it is an object.
    pub(crate) fn object(&self, key: &str) -> Option<Object<'a>> {
        self.get(key)?.object()
    }

    /// The value of a key, if it is a string that is not empty; exactly (see [`Value::string`]).
    pub(crate) fn string(&self, key: &str) -> Option<Cow<'a, str>> {
        self.get(key)?.string().filter(|string| !string.is_empty())
    }

    /// The value of a key, if it is a string of which something is Unicode; for people (see [`Value::text`]).
    pub(crate) fn text(&self, key: &str) -> Option<String> {
        self.get(key)?.text().filter(|text| text.contains(|c| c != char::REPLACEMENT_CHARACTER))
    }

    /// Whether the value of a key is `true`.
    pub(crate) fn is_true(&self, key: &str) -> bool {
        self.get(key).and_then(Value::bool) == Some(true)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Object<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        // The key is taken raw too: decoding one with a lone surrogate would fail the whole object.
        while let Some((key, value)) = map.next_entry::<&RawValue, &RawValue>()? {
            members.extend(exact_string(key.get()).map(|key| (key, Value(value))));
        }
        Ok(Object(members))
    }
}

fn exact_string(json: &str) -> Option<Cow<'_, str>> {
    let inner = json.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') { serde_json::from_str(json).ok().map(Cow::Owned) } else { Some(Cow::Borrowed(inner)) }
}

/// Takes a JSON string as the bytes that `serde_json` makes of it, where a lone surrogate is not UTF-8.
struct LossyText;

impl Visitor<'_> for LossyText {
    type Value = String;
    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a string")
    }
    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<String, E> {
        Ok(String::from_utf8_lossy(bytes).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_equal_keys_counts_and_null_is_absent() {
        let object = Object::read(r#"{"a":1,"b":"x","a":"last","c":null,"d\u0065":true}"#).unwrap();
        assert_eq!(object.string("a").as_deref(), Some("last"));
        assert_eq!(object.string("b").as_deref(), Some("x"));
        assert!(object.get("c").is_none());
        assert!(object.is_true("de"));
    }

    #[test]
    fn an_unrepresentable_value_or_key_leaves_the_others_readable() {
        let object = Object::read(r#"{"\ud800":1,"lone":"a\udfffb","huge":1e999,"ok":"yes","deep":[[[{}]]]}"#).unwrap();
        assert_eq!(object.string("ok").as_deref(), Some("yes"));
        assert_eq!(object.string("lone"), None, "an id must be exact");
        assert!(object.text("lone").is_some_and(|text| text.starts_with('a') && text.ends_with('b')));
        assert_eq!(object.get("huge").and_then(Value::number), Some(f64::INFINITY));
    }

    #[test]
    fn whole_numbers_are_read_in_every_notation_and_bounded() {
        let check = |json: &str, expected: Option<u64>| {
            assert_eq!(Value::parse(json).unwrap().whole_number(), expected, "{json}");
        };
        check("0", Some(0));
        check("-0", Some(0));
        check("7", Some(7));
        check("7.0", Some(7));
        check("12e1", Some(120));
        let largest = Some(9_007_199_254_740_991);
        check("9007199254740991", largest);
        for large in ["9007199254740992", "9007199254740993", "18446744073709551616", "1e300", "1e999"] {
            check(large, largest);
        }
        for odd in ["1.5", "-1", "-1e999", "\"7\"", "true", "null", "[7]"] {
            check(odd, None);
        }
    }

    #[test]
    fn depth_does_not_overflow_the_stack() {
        for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
            let deep = format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
            let text = format!(r#"{{"deep":{deep},"ok":"yes"}}"#);
            let object = Value::parse(&text).unwrap().object().unwrap();
            assert_eq!(object.string("ok").as_deref(), Some("yes"));
            assert_eq!(object.string("deep"), None);
            assert!(object.get("deep").is_some_and(|deep| deep.text().is_none() && deep.number().is_none()));
        }
        assert!(Value::parse(&"[".repeat(400_000)).is_err());
    }
}
