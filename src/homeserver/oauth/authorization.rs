//! The authorization code grant with PKCE and a redirect to the loopback interface (RFC 6749, RFC 7636, RFC 8252).

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::digest::{SHA256, digest};

use super::{
    error::OAuthError,
    grants::{self, register},
    metadata::Metadata,
};
use crate::{
    homeserver::{
        HomeserverClient, OAuthClient, Session,
        redirect::{Callback, Page, RandomToken, RedirectListener},
    },
    http_client::encode,
};

/// A sign-in with a browser on this computer.
#[derive(Debug)]
pub struct Authorization {
    client: OAuthClient,
    endpoint: String,
    listener: RedirectListener,
    redirect_uri: String,
    verifier: RandomToken,
    device_id: String,
}

impl Authorization {
    /// Registers a client and opens the redirect target.
    ///
    /// # Errors
    /// When either fails.
    pub async fn begin(homeserver: &HomeserverClient, metadata: &Metadata) -> Result<Self, OAuthError> {
        let listener = RedirectListener::bind().await?;
        Ok(Self {
            client: register(homeserver, metadata, &listener).await?,
            endpoint: metadata.authorization_endpoint.clone(),
            redirect_uri: listener.uri(),
            listener,
            verifier: RandomToken::new()?,
            device_id: grants::new_device_id()?,
        })
    }

    /// The URL to open in a browser on this computer.
    #[must_use]
    pub fn url(&self) -> String {
        let fields = [
            ("response_type", "code"),
            ("response_mode", "query"),
            ("client_id", &self.client.client_id),
            ("redirect_uri", &self.redirect_uri),
            ("scope", &grants::scope(&self.device_id)),
            ("state", self.listener.state()),
            ("code_challenge", &challenge(self.verifier.as_str())),
            ("code_challenge_method", "S256"),
        ];
        let query: Vec<_> = fields.iter().map(|(key, value)| format!("{key}={}", encode(value))).collect();
        let separator = if self.endpoint.contains('?') { '&' } else { '?' };
        format!("{}{separator}{}", self.endpoint, query.join("&"))
    }

    /// The loopback port of the redirect target.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.listener.port()
    }

    /// Waits for the redirect and makes a session of its code. The browser shows the result.
    ///
    /// # Errors
    /// When there is no redirect within `patience`, or the person or the server refuses.
    pub async fn finish(
        self,
        homeserver: &HomeserverClient,
        device_name: &str,
        patience: Duration,
    ) -> Result<Session, OAuthError> {
        let Self { client, endpoint, listener, redirect_uri, verifier, device_id } = self;
        let callback = listener.callback(patience).await?;
        let ended = async {
            let code = code(&callback, &endpoint)?;
            let grant = [
                ("grant_type", "authorization_code"),
                ("code", code),
                ("redirect_uri", &redirect_uri),
                ("code_verifier", verifier.as_str()),
            ];
            let tokens = grants::request(homeserver.http(), &client, &grant).await?;
            grants::begin_session(homeserver, tokens, device_id, device_name).await
        }
        .await;
        let page = match &ended {
            Ok(_) => Page::SignedIn,
            Err(OAuthError::Denied) => Page::Denied,
            Err(_) => Page::Failed,
        };
        callback.answer(page).await;
        ended
    }
}

fn code<'a>(callback: &'a Callback, endpoint: &str) -> Result<&'a str, OAuthError> {
    match (callback.parameter("error"), callback.parameter("code")) {
        (Some("access_denied"), _) => Err(OAuthError::Denied),
        (Some(error), _) => {
            let description = callback.parameter("error_description").unwrap_or_default();
            Err(OAuthError::redirected(endpoint, error, description))
        }
        (None, Some(code)) if !code.is_empty() => Ok(code),
        (None, _) => Err(OAuthError::Unexpected { endpoint: endpoint.to_owned(), missing: "code" }),
    }
}

/// The challenge of a verifier (RFC 7636, section 4.2).
fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_challenge_is_that_of_rfc_7636() {
        // RFC 7636, appendix B.
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert_eq!(challenge(verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }
}
