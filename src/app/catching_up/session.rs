//! A client that is signed in: tokens from the keyring, refreshed where they have expired.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::{
    accounts::SignIn,
    homeserver::{
        BaseUrl, HomeserverClient, HomeserverError, HttpsClient, OAuthClient, Tokens, TransportError, https::Body,
    },
    secrets::{Secrets, SecretsError},
};

/// A token that expires so soon is refreshed before it is used.
const EXPIRES_SOON: SignedDuration = SignedDuration::from_secs(30);

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub(super) enum SessionError {
    /// The session is over: the person has to sign in again. Says why.
    #[error("{0}")]
    Over(String),
    /// The secrets cannot be read now.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// The homeserver cannot be asked now.
    #[error(transparent)]
    Homeserver(#[from] HomeserverError),
}

impl From<TransportError> for SessionError {
    fn from(error: TransportError) -> Self {
        Self::Homeserver(error.into())
    }
}

/// Makes clients, and refreshes tokens one at a time: a refresh token is good for one.
#[derive(Debug)]
pub(super) struct Sessions {
    secrets: Secrets,
    refreshing: Mutex<()>,
}

/// A client, and the token that it uses.
#[derive(Clone)]
pub(super) struct SignedIn {
    pub(super) client: HomeserverClient,
    access_token: String,
}

impl Sessions {
    pub(super) fn new(secrets: Secrets) -> Self {
        Self { secrets, refreshing: Mutex::new(()) }
    }

    /// A client for this session, each of whose requests has so long.
    pub(super) async fn open(&self, sign_in: &SignIn, deadline: Duration) -> Result<SignedIn, SessionError> {
        let https = HttpsClient::new()?.with_deadline(deadline);
        let tokens = self.load(sign_in).await?;
        let soon = Timestamp::now().checked_add(EXPIRES_SOON).unwrap_or(Timestamp::MAX);
        if tokens.expires_at.is_some_and(|at| at <= soon) && tokens.refresh_token.is_some() {
            return self.refresh(sign_in, https, &tokens.access_token).await;
        }
        signed_in(sign_in, https, &tokens)
    }

    /// Another client, after the homeserver did not know the token of this one any more.
    pub(super) async fn renew(&self, sign_in: &SignIn, old: &SignedIn) -> Result<SignedIn, SessionError> {
        self.refresh(sign_in, old.client.https().clone(), &old.access_token).await
    }

    async fn load(&self, sign_in: &SignIn) -> Result<Tokens, SessionError> {
        let tokens = self.secrets.load(sign_in).await?;
        tokens.ok_or_else(|| SessionError::Over("its access token is neither in the keyring nor in a file".to_owned()))
    }

    async fn refresh(&self, sign_in: &SignIn, https: HttpsClient, bad_token: &str) -> Result<SignedIn, SessionError> {
        let _one = self.refreshing.lock().await;
        let tokens = self.load(sign_in).await?;
        if tokens.access_token != bad_token {
            // Somebody else has refreshed it meanwhile.
            return signed_in(sign_in, https, &tokens);
        }
        let Some(refresh_token) = &tokens.refresh_token else {
            return Err(SessionError::Over("the homeserver has ended the session".to_owned()));
        };
        let answer = match &tokens.oauth {
            Some(oauth) => by_oauth(&https, oauth, refresh_token).await?,
            None => by_homeserver(sign_in, &https, refresh_token).await?,
        };
        let text = |key: &str| answer[key].as_str().map(ToOwned::to_owned);
        let lifetime = answer["expires_in_ms"].as_i64().map(SignedDuration::from_millis);
        let lifetime = lifetime.or(answer["expires_in"].as_i64().map(SignedDuration::from_secs));
        let access_token = text("access_token").ok_or_else(|| HomeserverError::Unexpected {
            path: "the refreshed session".to_owned(),
            missing: "access_token",
        })?;
        let tokens = Tokens {
            access_token,
            refresh_token: text("refresh_token").or(tokens.refresh_token),
            expires_at: lifetime.and_then(|lifetime| Timestamp::now().checked_add(lifetime).ok()),
            oauth: tokens.oauth,
        };
        self.secrets.save(sign_in, &tokens).await?;
        signed_in(sign_in, https, &tokens)
    }
}

fn signed_in(sign_in: &SignIn, https: HttpsClient, tokens: &Tokens) -> Result<SignedIn, SessionError> {
    let base = BaseUrl::parse(&sign_in.homeserver).map_err(SessionError::Over)?;
    let client = HomeserverClient::new(https, base).with_token(&tokens.access_token);
    Ok(SignedIn { client, access_token: tokens.access_token.clone() })
}

/// `POST /refresh` (client-server API, "Refreshing access tokens").
async fn by_homeserver(sign_in: &SignIn, https: &HttpsClient, refresh_token: &str) -> Result<Value, SessionError> {
    let base = BaseUrl::parse(&sign_in.homeserver).map_err(SessionError::Over)?;
    let client = HomeserverClient::new(https.clone(), base);
    let answer = client.post("/_matrix/client/v3/refresh", json!({"refresh_token": refresh_token})).await;
    answer.map_err(|error| match &error {
        HomeserverError::Refused(refusal) if !error.is_temporary() => {
            SessionError::Over(format!("the homeserver has ended the session: {}", refusal.errcode))
        }
        HomeserverError::Refused(_) | HomeserverError::Transport(_) | HomeserverError::Unexpected { .. } => {
            error.into()
        }
    })
}

/// The refresh token grant of the OAuth 2.0 API.
async fn by_oauth(https: &HttpsClient, oauth: &OAuthClient, refresh_token: &str) -> Result<Value, SessionError> {
    let fields = [("grant_type", "refresh_token"), ("refresh_token", refresh_token), ("client_id", &*oauth.client_id)];
    let form = Body::Form(fields.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec());
    let answer = https.send(&hyper::Method::POST, &oauth.token_endpoint, None, &form).await?;
    if answer.status.is_success() {
        return Ok(answer.json());
    }
    if answer.status.is_client_error() && answer.status != hyper::StatusCode::TOO_MANY_REQUESTS {
        return Err(SessionError::Over("the homeserver has ended the session".to_owned()));
    }
    let path = "the refreshed session".to_owned();
    Err(HomeserverError::Unexpected { path, missing: "answer that helps" }.into())
}
