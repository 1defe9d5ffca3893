//! A push of our own to the pusher URL, the way a homeserver sends one: its pushkey is unknown, so that the answer
//! says in our own words that we have read it, and nothing is shown. Redirects are seen, never followed.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use hyper::{Method, StatusCode};
use serde::Deserialize;
use serde_json::json;
use tokio_rustls::rustls::pki_types::ServerName;
use url::Url;

use super::pusher_url;
use crate::{
    accounts, app_info,
    http_client::{Answer, CertificateFault, HttpClient, Request, TransportError, TransportFault},
    push::notify,
};

/// How long a connection may take.
const CONNECT: Duration = Duration::from_millis(1500);
/// How long a request may take.
const DEADLINE: Duration = Duration::from_millis(3500);

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Our own answer, unchanged.
    Ours,
    /// 200, and our answer is in it, but changed.
    Altered,
    /// 200, and somebody else's answer.
    Foreign,
    /// Another status.
    Status(u16),
    /// A redirect, and where to.
    Redirect(u16, String),
    /// Nobody listens there.
    Refused,
    /// There is no way there: why.
    Unreachable(String),
    /// No connection, or no answer, in time.
    TimedOut,
    /// A certificate that is not one to trust.
    Certificate(CertificateFault),
    /// This computer has no certificates to judge by: why.
    NoAuthorities(String),
    /// Whoever listens there does not speak TLS.
    NotTls,
    /// The connection broke, or it is not HTTP.
    Broken(String),
}

/// Sends requests to one pusher URL.
pub(super) struct Prober<'a> {
    url: &'a Url,
    host: String,
    client: Result<HttpClient, Outcome>,
}

impl<'a> Prober<'a> {
    /// Reads the system's certificates, if the URL is https.
    pub(super) fn new(url: &'a Url) -> Self {
        Self { url, host: pusher_url::authority(url), client: client(url) }
    }

    /// The push that nobody is to get.
    pub(super) async fn push(&self, address: IpAddr) -> Outcome {
        let Ok(random) = accounts::new_pushkey() else {
            return Outcome::Broken("there are no random numbers".to_owned());
        };
        let pushkey = format!("{}{random}", app_info::PROBE_PUSHKEY);
        let device = json!({"app_id": app_info::APP_ID, "pushkey": pushkey});
        let body = json!({"notification": {"counts": {}, "devices": [device]}}).to_string();
        match self.ask(address, Method::POST, self.url.path(), Some(body)).await {
            Err(outcome) => outcome,
            Ok(answer) if answer.status == StatusCode::OK => recognise(&pushkey, &answer.body),
            Ok(Answer { status, location, .. }) if status.is_redirection() => {
                Outcome::Redirect(status.as_u16(), location.unwrap_or_default())
            }
            Ok(answer) => Outcome::Status(answer.status.as_u16()),
        }
    }

    /// `GET /health`: whether we are there at all, if the push was not answered by us.
    pub(super) async fn is_healthy(&self, address: IpAddr) -> bool {
        #[derive(Deserialize, Default)]
        #[serde(default)]
        struct Health {
            status: String,
        }
        let path = self.url.path().strip_suffix(notify::PATH).unwrap_or_default();
        let answer = self.ask(address, Method::GET, &format!("{path}/health"), None).await;
        answer.is_ok_and(|answer| answer.status == StatusCode::OK && answer.json::<Health>().status == "ok")
    }

    async fn ask(&self, address: IpAddr, method: Method, path: &str, body: Option<String>) -> Result<Answer, Outcome> {
        let client = self.client.as_ref().map_err(Clone::clone)?;
        let at = SocketAddr::new(address, pusher_url::port(self.url));
        let url = format!("{}://{at}{path}", self.url.scheme());
        let mut request = Request { host: Some(&self.host), ..Request::new(method, &url) };
        if let Some(body) = body {
            request = request.json(body);
        }
        client.send(&request).await.map_err(Outcome::from)
    }
}

fn client(url: &Url) -> Result<HttpClient, Outcome> {
    let client = if url.scheme() == "https" {
        let host = pusher_url::host(url).trim_matches(['[', ']']).to_owned();
        let name = ServerName::try_from(host).map_err(|error| Outcome::Broken(error.to_string()))?;
        HttpClient::for_server_name(name, CONNECT)?
    } else {
        HttpClient::plain(CONNECT)?
    };
    Ok(client.with_deadline(DEADLINE))
}

impl From<TransportError> for Outcome {
    fn from(error: TransportError) -> Self {
        match error.fault {
            TransportFault::Refused => Self::Refused,
            TransportFault::TimedOut => Self::TimedOut,
            TransportFault::Certificate(fault) => Self::Certificate(fault),
            TransportFault::NoCertificateStore => Self::NoAuthorities(error.reason),
            TransportFault::NotTls => Self::NotTls,
            TransportFault::Unreachable | TransportFault::Unresolved => Self::Unreachable(error.reason),
            TransportFault::TooLarge => Self::Foreign,
            TransportFault::Broken | TransportFault::Downgrade => Self::Broken(error.reason),
        }
    }
}

/// Whose answer it is.
fn recognise(pushkey: &str, body: &[u8]) -> Outcome {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Told {
        rejected: Vec<String>,
    }
    let told: Option<Told> = serde_json::from_slice(body).ok();
    if told.is_some_and(|told| told.rejected == [pushkey]) {
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
