//! Sends a push to the pusher URL the way a homeserver does. Its pushkey is unknown, so the answer proves that it was
//! ours, and nothing is shown. Redirects are reported, never followed.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use hyper::{Method, StatusCode};
use serde_json::{Value, json};
use tokio_rustls::rustls::pki_types::ServerName;
use url::Url;

use super::pusher_url;
use crate::{
    accounts, app_info,
    http_client::{Answer, HttpClient, Request, TransportError, TransportFault},
    push::notify,
};

/// Timeout for a connection.
const CONNECT: Duration = Duration::from_millis(1500);
/// Timeout for a request.
const DEADLINE: Duration = Duration::from_millis(3500);

/// The result of a push.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Outcome {
    /// Our own answer, unchanged.
    Ours,
    /// 200 with our answer, but modified.
    Altered,
    /// 200 with another program's answer.
    Foreign,
    /// Another status.
    Status(u16),
    /// A redirect, with its target.
    Redirect(u16, String),
    /// There is no answer.
    Failed(TransportError),
}

/// Sends requests to one pusher URL.
pub(super) struct Prober<'a> {
    url: &'a Url,
    host: String,
    client: Result<HttpClient, TransportError>,
}

impl<'a> Prober<'a> {
    /// Loads the system's certificates, if the URL is https.
    pub(super) fn new(url: &'a Url) -> Self {
        Self { url, host: pusher_url::authority(url), client: client(url) }
    }

    /// Sends a push with an unknown pushkey.
    pub(super) async fn push(&self, address: IpAddr) -> Outcome {
        let Ok(random) = accounts::new_pushkey() else {
            return Outcome::Failed(broken(self.url, "there are no random numbers".to_owned()));
        };
        let pushkey = format!("{}{random}", app_info::PROBE_PUSHKEY);
        let device = json!({"app_id": app_info::APP_ID, "pushkey": pushkey});
        let body = json!({"notification": {"counts": {}, "devices": [device]}}).to_string();
        match self.ask(address, Method::POST, self.url.path(), Some(body)).await {
            Err(TransportError { fault: TransportFault::TooLarge, .. }) => Outcome::Foreign,
            Err(error) => Outcome::Failed(error),
            Ok(answer) if answer.status == StatusCode::OK => recognise(&pushkey, &answer.body),
            Ok(Answer { status, location, .. }) if status.is_redirection() => {
                Outcome::Redirect(status.as_u16(), location.unwrap_or_default())
            }
            Ok(answer) => Outcome::Status(answer.status.as_u16()),
        }
    }

    /// Whether `GET /health` is answered by us: it tells a proxy that passes on only some paths.
    pub(super) async fn is_healthy(&self, address: IpAddr) -> bool {
        let path = self.url.path().strip_suffix(notify::PATH).unwrap_or_default();
        let answer = self.ask(address, Method::GET, &format!("{path}/health"), None).await;
        answer.is_ok_and(|answer| answer.status == StatusCode::OK && answer.json::<Value>()["status"] == "ok")
    }

    async fn ask(
        &self,
        address: IpAddr,
        method: Method,
        path: &str,
        body: Option<String>,
    ) -> Result<Answer, TransportError> {
        let client = self.client.as_ref().map_err(Clone::clone)?;
        let at = SocketAddr::new(address, pusher_url::port(self.url));
        let url = format!("{}://{at}{path}", self.url.scheme());
        let mut request = Request { host: Some(&self.host), ..Request::new(method, &url) };
        if let Some(body) = body {
            request = request.json(body);
        }
        client.send(&request).await
    }
}

fn client(url: &Url) -> Result<HttpClient, TransportError> {
    let client = if url.scheme() == "https" {
        let host = pusher_url::host(url).trim_matches(['[', ']']).to_owned();
        let name = ServerName::try_from(host).map_err(|error| broken(url, error.to_string()))?;
        HttpClient::for_server_name(name, CONNECT)?
    } else {
        HttpClient::plain(CONNECT)?
    };
    Ok(client.with_deadline(DEADLINE))
}

fn broken(url: &Url, reason: String) -> TransportError {
    TransportError { host: pusher_url::authority(url), fault: TransportFault::Broken, reason }
}

/// Whether the answer is ours.
fn recognise(pushkey: &str, body: &[u8]) -> Outcome {
    if serde_json::from_slice::<Value>(body).is_ok_and(|answer| answer == json!({ "rejected": [pushkey] })) {
        Outcome::Ours
    } else if String::from_utf8_lossy(body).contains(pushkey) {
        Outcome::Altered
    } else {
        Outcome::Foreign
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_answer_is_told_from_others() {
        let check = |body: &str, expected| assert_eq!(recognise("key", body.as_bytes()), expected, "{body}");
        check(r#"{"rejected":["key"]}"#, Outcome::Ours);
        check(r#"{ "rejected" : [ "key" ] }"#, Outcome::Ours);
        check(r#"{"rejected":["key"]}<!-- served by proxy -->"#, Outcome::Altered);
        check(r#"{"data":{"rejected":["key"]}}"#, Outcome::Altered);
        check(r#"{"rejected":[]}"#, Outcome::Foreign);
        check("<html>Welcome</html>", Outcome::Foreign);
        check("", Outcome::Foreign);
    }
}
