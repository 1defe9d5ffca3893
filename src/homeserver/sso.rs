//! Single sign-on, for homeservers without an OAuth 2.0 API: `m.login.sso` (Matrix specification, client-server API, "SSO
//! client login").
//!
//! The browser opens `/login/sso/redirect`, and in the end is redirected to the loopback interface with a login token,
//! which is exchanged for a session (`m.login.token`). The user chooses an identity provider on the homeserver's page.

use std::time::Duration;

use serde_json::json;

use super::{
    HomeserverClient, HomeserverError,
    login::{Session, SessionAnswer},
    redirect::{Page, RedirectError, RedirectListener},
};
use crate::http_client::encode;

const LOGIN: &str = "/_matrix/client/v3/login";

/// Why single sign-on failed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SsoError {
    /// There was no redirect.
    #[error(transparent)]
    Redirect(#[from] RedirectError),
    /// The homeserver refused the login token.
    #[error(transparent)]
    Homeserver(#[from] HomeserverError),
    /// The redirect had no login token.
    #[error("the homeserver sent the browser back without a login token: try again")]
    NoToken,
}

/// A sign-in in a browser on this computer.
#[derive(Debug)]
pub struct SsoLogin {
    listener: RedirectListener,
    url: String,
}

impl SsoLogin {
    /// Opens the redirect target.
    ///
    /// # Errors
    /// When no port can be opened.
    pub async fn begin(homeserver: &HomeserverClient) -> Result<Self, RedirectError> {
        let listener = RedirectListener::bind().await?;
        let back = format!("{}?state={}", listener.uri(), listener.state());
        let url = format!("{}{LOGIN}/sso/redirect?redirectUrl={}", homeserver.base(), encode(&back));
        Ok(Self { listener, url })
    }

    /// The URL to open in a browser on this computer.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The loopback port of the redirect target.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.listener.port()
    }

    /// Waits for the redirect and signs in with its token. The browser shows the result.
    ///
    /// # Errors
    /// When there is no redirect within `patience`, or the homeserver refuses.
    pub async fn finish(
        self,
        homeserver: &HomeserverClient,
        device_name: &str,
        patience: Duration,
    ) -> Result<Session, SsoError> {
        let callback = self.listener.callback(patience).await?;
        let ended = match callback.parameter("loginToken") {
            Some(token) => exchange(homeserver, token, device_name).await.map_err(SsoError::from),
            None => Err(SsoError::NoToken),
        };
        callback.answer(if ended.is_ok() { Page::SignedIn } else { Page::Failed }).await;
        ended
    }
}

async fn exchange(homeserver: &HomeserverClient, token: &str, device_name: &str) -> Result<Session, HomeserverError> {
    let body = json!({"type": "m.login.token", "token": token, "initial_device_display_name": device_name});
    homeserver.post::<SessionAnswer>(LOGIN, &body).await?.session(LOGIN)
}
