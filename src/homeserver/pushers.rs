//! `GET /pushers` and `POST /pushers/set` (Matrix specification, client-server API, "Push notifications").

use serde::{Deserialize, Deserializer, de::IgnoredAny};
use serde_json::{Value, json};

use super::{
    HomeserverClient, HomeserverError,
    client::{AnswerKind, Lenient, from_json},
};

const PUSHERS: &str = "/_matrix/client/v3/pushers";
const SET: &str = "/_matrix/client/v3/pushers/set";

/// The member of `data` with the mark of the installation that has set the pusher.
const INSTALLATION: &str = "org.pushbell.installation";

/// Longest `app_display_name` and `device_display_name` that we send, in characters.
const MAX_NAME_CHARS: usize = 64;

/// An http pusher of ours.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpPusher {
    /// With the pushkey, it identifies the pusher.
    pub app_id: String,
    /// A secret.
    pub pushkey: String,
    /// The whole URL, including `/_matrix/push/v1/notify`.
    pub url: String,
    /// "Pushbell"
    pub app_display_name: String,
    /// The computer's name.
    pub device_display_name: String,
    /// The user's language ("en", "pt-BR").
    pub lang: String,
    /// Requests pushes without content.
    pub event_id_only: bool,
    /// The mark of this installation; may be empty.
    pub installation: String,
}

/// A pusher that the homeserver lists. Absent fields are empty.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ListedPusher {
    /// `app_id`
    #[serde(deserialize_with = "text")]
    pub app_id: String,
    /// `pushkey`: a secret.
    #[serde(deserialize_with = "text")]
    pub pushkey: String,
    /// `http`, `email` or another.
    #[serde(deserialize_with = "text")]
    pub kind: String,
    /// `app_display_name`
    #[serde(deserialize_with = "text")]
    pub app_display_name: String,
    /// `device_display_name`
    #[serde(deserialize_with = "text")]
    pub device_display_name: String,
    /// `lang`
    #[serde(deserialize_with = "text")]
    pub lang: String,
    /// `data`
    #[serde(deserialize_with = "data")]
    pub data: PusherData,
    /// `enabled` (MSC3881): false if the person has switched it off in another client.
    #[serde(deserialize_with = "optional")]
    pub enabled: Option<bool>,
    /// The same, by its unstable name.
    #[serde(rename = "org.matrix.msc3881.enabled", deserialize_with = "optional")]
    pub unstable_enabled: Option<bool>,
}

impl ListedPusher {
    /// Whether it is switched on.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.enabled.or(self.unstable_enabled).unwrap_or(true)
    }
}

/// The relevant part of a pusher's `data`. Absent fields are empty.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct PusherData {
    /// `url`
    #[serde(deserialize_with = "text")]
    pub url: String,
    /// The mark of the installation that has set the pusher.
    #[serde(rename = "org.pushbell.installation", deserialize_with = "text")]
    pub installation: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PushersAnswer {
    pushers: Option<Vec<ListedPusher>>,
}

fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(Lenient::deserialize(deserializer)?.0.unwrap_or_default())
}

fn optional<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    Ok(Lenient::deserialize(deserializer)?.0)
}

fn data<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PusherData, D::Error> {
    Ok(Lenient::deserialize(deserializer)?.0.unwrap_or_default())
}

impl HttpPusher {
    /// The body of the request that sets it.
    pub(crate) fn to_request(&self) -> Value {
        let short = |name: &str| name.chars().take(MAX_NAME_CHARS).collect::<String>();
        let mut data = json!({"url": self.url});
        if self.event_id_only {
            data["format"] = "event_id_only".into();
        }
        // The specification allows further members of `data`; homeservers return them, and send them with each push.
        if !self.installation.is_empty() {
            data[INSTALLATION] = self.installation.as_str().into();
        }
        json!({
            "kind": "http", "app_id": self.app_id, "pushkey": self.pushkey,
            "app_display_name": short(&self.app_display_name),
            "device_display_name": short(&self.device_display_name),
            "lang": self.lang, "data": data, "append": true,
        })
    }
}

/// The body of the request that removes a pusher.
pub(crate) fn removal(app_id: &str, pushkey: &str) -> Value {
    json!({"kind": null, "app_id": app_id, "pushkey": pushkey})
}

impl HomeserverClient {
    /// All pushers of the account, including those of other apps.
    ///
    /// # Errors
    /// When the request fails, or the answer has no list.
    pub async fn pushers(&self) -> Result<Vec<ListedPusher>, HomeserverError> {
        let answer = self.get_with(PUSHERS, AnswerKind::Pushers, from_json::<PushersAnswer>).await?;
        answer
            .and_then(|answer| answer.pushers)
            .ok_or_else(|| HomeserverError::Unexpected { path: PUSHERS.to_owned(), missing: "pushers" })
    }

    /// Creates or replaces the pusher. This ends the homeserver's backoff; undelivered pushes are skipped.
    ///
    /// # Errors
    /// When the request fails.
    pub async fn set_pusher(&self, pusher: &HttpPusher) -> Result<(), HomeserverError> {
        self.post::<IgnoredAny>(SET, &pusher.to_request()).await.map(drop)
    }

    /// Deletes a pusher. Succeeds if there is none.
    ///
    /// # Errors
    /// When the request fails.
    pub async fn remove_pusher(&self, app_id: &str, pushkey: &str) -> Result<(), HomeserverError> {
        self.post::<IgnoredAny>(SET, &removal(app_id, pushkey)).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pusher_is_enabled_unless_disabled() {
        let check = |text: &str, expected: bool| {
            let pusher: ListedPusher = serde_json::from_str(text).unwrap();
            assert_eq!(pusher.is_enabled(), expected, "{text}");
        };
        check("{}", true);
        check(r#"{"enabled": true}"#, true);
        check(r#"{"enabled": false}"#, false);
        check(r#"{"org.matrix.msc3881.enabled": false}"#, false);
        check(r#"{"enabled": true, "org.matrix.msc3881.enabled": true}"#, true);
        check(r#"{"enabled": null, "org.matrix.msc3881.enabled": "no"}"#, true);
    }
}
