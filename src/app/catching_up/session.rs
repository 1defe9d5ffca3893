//! A client that is signed in: tokens from the keyring, refreshed where they have expired.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Mutex;

use crate::{
    accounts::SignIn,
    homeserver::{BaseUrl, HomeserverClient, HomeserverError, HttpsClient, Tokens, TransportError},
    secrets::{Secrets, SecretsError},
    session,
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

impl From<session::SessionError> for SessionError {
    fn from(error: session::SessionError) -> Self {
        match error {
            session::SessionError::SignedOut { reason, .. } => {
                Self::Over(format!("the homeserver has ended the session: {reason}"))
            }
            session::SessionError::Secrets(error) => Self::Secrets(error),
            session::SessionError::Homeserver(error) => Self::Homeserver(error),
            session::SessionError::NotSignedIn(_)
            | session::SessionError::NoTokens(_)
            | session::SessionError::Address { .. } => Self::Over(error.to_string()),
        }
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
        let client = unauthenticated(sign_in, https.clone())?;
        let tokens = session::renew(&client, sign_in, &tokens).await?;
        self.secrets.save(sign_in, &tokens).await?;
        signed_in(sign_in, https, &tokens)
    }
}

fn signed_in(sign_in: &SignIn, https: HttpsClient, tokens: &Tokens) -> Result<SignedIn, SessionError> {
    let client = unauthenticated(sign_in, https)?.with_token(&tokens.access_token);
    Ok(SignedIn { client, access_token: tokens.access_token.clone() })
}

fn unauthenticated(sign_in: &SignIn, https: HttpsClient) -> Result<HomeserverClient, SessionError> {
    let base = BaseUrl::parse(&sign_in.homeserver).map_err(SessionError::Over)?;
    Ok(HomeserverClient::new(https, base))
}
