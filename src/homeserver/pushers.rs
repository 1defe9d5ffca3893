//! `GET /pushers` and `POST /pushers/set` (Matrix specification, client-server API, "Push notifications").

use serde_json::{Value, json};

use super::{HomeserverClient, HomeserverError};

/// Longest `app_display_name` and `device_display_name` that we send, in characters.
const MAX_NAME_CHARS: usize = 64;

/// An http pusher of ours, as the homeserver is told.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpPusher {
    /// With the pushkey, what tells pushers apart.
    pub app_id: String,
    /// A secret.
    pub pushkey: String,
    /// The whole URL, `/_matrix/push/v1/notify` included.
    pub url: String,
    /// What runs: "Pushbell".
    pub app_display_name: String,
    /// Where: the computer's name.
    pub device_display_name: String,
    /// The person's language ("en", "pt-BR").
    pub lang: String,
    /// Pushes are to have no content.
    pub event_id_only: bool,
}

/// A pusher that the homeserver lists. What is absent is empty.
#[derive(Clone, PartialEq, Eq)]
pub struct ListedPusher {
    /// `app_id`
    pub app_id: String,
    /// `pushkey`: a secret.
    pub pushkey: String,
    /// `http`, `email` or another.
    pub kind: String,
    /// `app_display_name`
    pub app_display_name: String,
    /// `device_display_name`
    pub device_display_name: String,
    /// `lang`
    pub lang: String,
    /// `data.url`
    pub url: String,
}

impl HomeserverClient {
    /// All pushers of the account, other apps' too.
    ///
    /// # Errors
    /// When there is no answer, it is a "no", or it has no list.
    pub async fn pushers(&self) -> Result<Vec<ListedPusher>, HomeserverError> {
        let path = "/_matrix/client/v3/pushers";
        let answer = self.get(path).await?;
        let list = answer["pushers"].as_array();
        let list = list.ok_or(HomeserverError::Unexpected { path: path.to_owned(), missing: "pushers" })?;
        Ok(list.iter().map(listed).collect())
    }

    /// Makes or replaces the pusher, and harms no other. A homeserver that was waiting to try again stops waiting, and
    /// skips what it had not delivered.
    ///
    /// # Errors
    /// When there is no answer or it is a "no".
    pub async fn set_pusher(&self, pusher: &HttpPusher) -> Result<(), HomeserverError> {
        let short = |text: &str| text.chars().take(MAX_NAME_CHARS).collect::<String>();
        let mut data = json!({"url": pusher.url});
        if pusher.event_id_only {
            data["format"] = "event_id_only".into();
        }
        let body = json!({
            "kind": "http", "app_id": pusher.app_id, "pushkey": pusher.pushkey,
            "app_display_name": short(&pusher.app_display_name),
            "device_display_name": short(&pusher.device_display_name),
            "lang": pusher.lang, "data": data, "append": true,
        });
        self.post("/_matrix/client/v3/pushers/set", body).await.map(drop)
    }

    /// Deletes a pusher; there need not be one.
    ///
    /// # Errors
    /// When there is no answer or it is a "no".
    pub async fn remove_pusher(&self, app_id: &str, pushkey: &str) -> Result<(), HomeserverError> {
        let body = json!({"kind": null, "app_id": app_id, "pushkey": pushkey});
        self.post("/_matrix/client/v3/pushers/set", body).await.map(drop)
    }
}

fn listed(pusher: &Value) -> ListedPusher {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    ListedPusher {
        app_id: text(&pusher["app_id"]),
        pushkey: text(&pusher["pushkey"]),
        kind: text(&pusher["kind"]),
        app_display_name: text(&pusher["app_display_name"]),
        device_display_name: text(&pusher["device_display_name"]),
        lang: text(&pusher["lang"]),
        url: text(&pusher["data"]["url"]),
    }
}
