//! Single sign-on where there is no OAuth 2.0 API: `m.login.sso` (Matrix specification, client-server API, "SSO
//! client login").
//!
//! The browser goes to `/login/sso/redirect`, from there wherever the homeserver sends it, and comes back to the
//! loopback interface with a login token, which `/login` takes once (`m.login.token`). Which of several identity
//! providers it is to be is asked on the homeserver's page.

use std::time::Duration;

use serde_json::json;

use super::{
    HomeserverClient, HomeserverError,
    login::{Session, SessionAnswer},
    redirect::{Page, RedirectError, RedirectListener},
};
use crate::http_client::encode;

const LOGIN: &str = "/_matrix/client/v3/login";

/// Why somebody is not signed in.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SsoError {
    /// The browser did not come back.
    #[error(transparent)]
    Redirect(#[from] RedirectError),
    /// The homeserver does not take what the browser brought.
    #[error(transparent)]
    Homeserver(#[from] HomeserverError),
    /// The browser brought nothing.
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
    /// When there is none.
    pub async fn begin(homeserver: &HomeserverClient) -> Result<Self, RedirectError> {
        let listener = RedirectListener::bind().await?;
        let back = format!("{}?state={}", listener.uri(), listener.state());
        let url = format!("{}{LOGIN}/sso/redirect?redirectUrl={}", homeserver.base(), encode(&back));
        Ok(Self { listener, url })
    }

    /// The address to open in a browser of this computer.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The port of the loopback interface that the browser comes back to.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.listener.port()
    }

    /// Waits for the browser to come back, and signs in with what it brings. The browser shows how it ended.
    ///
    /// # Errors
    /// When nobody signs in for so long, or the homeserver says no.
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
