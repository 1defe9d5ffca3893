//! The sessions of signed-in accounts: clients with tokens from the keyring, refreshed when they expire; ending a session;
//! and the pusher of an account.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::{
    accounts::{Account, SignIn},
    app_info,
    homeserver::{
        BaseUrl, HomeserverClient, HomeserverError, HttpPusher, Tokens,
        oauth::{self, OAuthError},
    },
    http_client::{HttpClient, TransportError},
    ntfy::Relay,
    platform,
    push::notify,
    secrets::{Secrets, SecretsError},
};

/// A token that expires within this time is refreshed before it is used.
const EXPIRES_SOON: SignedDuration = SignedDuration::from_secs(30);

/// Why a session cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The homeserver has ended the session, and its pusher with it, for this reason: the user has to sign in again.
    #[error("{0}")]
    Over(String),
    /// There is no valid access token for this reason, although session and pusher still exist: the user has to sign in
    /// again.
    #[error("{0}")]
    NoToken(String),
    /// The secrets cannot be read or stored now.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// A request to the homeserver failed.
    #[error(transparent)]
    Homeserver(#[from] HomeserverError),
    /// A request to its authorization server failed.
    #[error(transparent)]
    OAuth(#[from] OAuthError),
}

impl SessionError {
    /// The meaning of `M_UNKNOWN_TOKEN`.
    pub(crate) fn of_refusal(refusal: &HomeserverError) -> Self {
        if refusal.is_soft_logout() {
            Self::expired()
        } else {
            Self::Over("the homeserver has ended the session".to_owned())
        }
    }

    fn expired() -> Self {
        Self::NoToken("its access token has expired".to_owned())
    }
}

/// The error type of a `question` of [`Sessions::ask`].
pub(crate) trait AskError: From<SessionError> {
    /// The error of the session or its homeserver, if it is one.
    fn session_error(&self) -> Option<&SessionError>;
}

impl AskError for SessionError {
    fn session_error(&self) -> Option<&SessionError> {
        Some(self)
    }
}

impl From<TransportError> for SessionError {
    fn from(error: TransportError) -> Self {
        Self::Homeserver(error.into())
    }
}

/// Makes clients, and refreshes tokens, one at a time across processes: a refresh token is valid once, and a homeserver
/// that sees it twice may take it for stolen and end the session.
#[derive(Debug, Clone)]
pub struct Sessions {
    secrets: Secrets,
}

/// A client with an access token.
#[derive(Clone)]
pub struct SignedIn {
    /// Sends the session's access token, and does not refresh it.
    pub client: HomeserverClient,
    tokens: Tokens,
}

impl Sessions {
    /// The sessions with these tokens.
    #[must_use]
    pub fn new(secrets: Secrets) -> Self {
        Self { secrets }
    }

    /// Opens the session and calls `question` with its client, each of whose requests has this deadline. If the homeserver
    /// does not know the token, it is refreshed and `question` is called once more.
    ///
    /// # Errors
    /// When the session has ended or cannot be used now; and those of `question`.
    pub(crate) async fn ask<T, E: AskError, F: Future<Output = Result<T, E>>>(
        &self,
        sign_in: &SignIn,
        deadline: Duration,
        question: impl Fn(HomeserverClient) -> F,
    ) -> Result<T, E> {
        self.ask_over(&mut None, sign_in, deadline, question).await
    }

    /// The same with a client that is kept between calls.
    ///
    /// # Errors
    /// As [`Sessions::ask`].
    pub(crate) async fn ask_over<T, E: AskError, F: Future<Output = Result<T, E>>>(
        &self,
        open: &mut Option<SignedIn>,
        sign_in: &SignIn,
        deadline: Duration,
        question: impl Fn(HomeserverClient) -> F,
    ) -> Result<T, E> {
        let signed_in = match open.take() {
            Some(signed_in) => signed_in,
            None => self.open(sign_in, deadline).await?,
        };
        let signed_in = open.insert(signed_in);
        let answer = question(signed_in.client.clone()).await;
        let Some(refusal) = answer.as_ref().err().and_then(unknown_token) else { return answer };
        *signed_in = self.renew(sign_in, signed_in, refusal).await?;
        question(signed_in.client.clone()).await.map_err(|error| match unknown_token(&error) {
            Some(refusal) => SessionError::of_refusal(refusal).into(),
            None => error,
        })
    }

    /// A client for this session, each of whose requests has this deadline. An expired token is refreshed and stored first.
    ///
    /// # Errors
    /// When the session has ended or cannot be used now.
    pub async fn open(&self, sign_in: &SignIn, deadline: Duration) -> Result<SignedIn, SessionError> {
        let http = HttpClient::new()?.with_deadline(deadline);
        let tokens = self.load(sign_in).await?;
        let soon = Timestamp::now().checked_add(EXPIRES_SOON).unwrap_or(Timestamp::MAX);
        if tokens.expires_at.is_some_and(|at| at <= soon) && tokens.refresh_token.is_some() {
            return self.renewed(sign_in, http, &tokens.access_token, SessionError::expired()).await;
        }
        SignedIn::new(sign_in, http, tokens)
    }

    /// A client with a refreshed token, after the homeserver has refused the token of the old one.
    async fn renew(
        &self,
        sign_in: &SignIn,
        old: &SignedIn,
        refusal: &HomeserverError,
    ) -> Result<SignedIn, SessionError> {
        let without = SessionError::of_refusal(refusal);
        self.renewed(sign_in, old.client.http().clone(), &old.tokens.access_token, without).await
    }

    async fn load(&self, sign_in: &SignIn) -> Result<Tokens, SessionError> {
        let tokens = self.secrets.load(sign_in).await?;
        let missing = || SessionError::NoToken("its access token is neither in the keyring nor in a file".to_owned());
        tokens.ok_or_else(missing)
    }

    /// Refreshes the token, unless another process has done so. `without` is the error if there is no refresh token.
    async fn renewed(
        &self,
        sign_in: &SignIn,
        http: HttpClient,
        bad_token: &str,
        without: SessionError,
    ) -> Result<SignedIn, SessionError> {
        let turn = self.secrets.turn().await?;
        let tokens = self.load(sign_in).await?;
        if tokens.access_token != bad_token {
            // Another process has refreshed it meanwhile.
            return SignedIn::new(sign_in, http, tokens);
        }
        let tokens = match (&tokens.oauth, &tokens.refresh_token) {
            (_, None) => return Err(without),
            (Some(_), Some(_)) => oauth::refresh(&http, &tokens).await.map_err(not_renewed)?,
            (None, Some(refresh_token)) => {
                let client = HomeserverClient::new(http.clone(), base(sign_in)?);
                let renewed = client.refresh(refresh_token).await;
                renewed.map_err(|error| match &error {
                    HomeserverError::Refused(_) if !error.is_temporary() => SessionError::of_refusal(&error),
                    HomeserverError::Refused(_)
                    | HomeserverError::Transport(_)
                    | HomeserverError::Unexpected { .. } => error.into(),
                })?
            }
        };
        turn.save(sign_in, &tokens).await?;
        SignedIn::new(sign_in, http, tokens)
    }
}

/// The homeserver's refusal, if it does not know the token.
fn unknown_token<E: AskError>(error: &E) -> Option<&HomeserverError> {
    let Some(SessionError::Homeserver(error)) = error.session_error() else { return None };
    Some(error).filter(|error| error.is_unknown_token())
}

impl SignedIn {
    fn new(sign_in: &SignIn, http: HttpClient, tokens: Tokens) -> Result<Self, SessionError> {
        let client = HomeserverClient::new(http, base(sign_in)?).with_token(&tokens.access_token);
        Ok(Self { client, tokens })
    }

    /// Ends the session and its pushers at the homeserver.
    ///
    /// # Errors
    /// When it may not have ended.
    pub async fn end(&self) -> Result<(), SessionError> {
        end(&self.client, &self.tokens).await
    }
}

/// Ends the session of these tokens and its pushers, by the API that they come from. Succeeds if it has already ended.
/// `client` has the access token.
///
/// # Errors
/// When it may not have ended.
pub async fn end(client: &HomeserverClient, tokens: &Tokens) -> Result<(), SessionError> {
    match &tokens.oauth {
        Some(oauth) if oauth.revocation_endpoint.is_some() => Ok(oauth::revoke(client.http(), tokens).await?),
        Some(_) | None => Ok(client.logout().await?),
    }
}

fn base(sign_in: &SignIn) -> Result<BaseUrl, SessionError> {
    BaseUrl::parse(&sign_in.homeserver).map_err(SessionError::Over)
}

fn not_renewed(error: OAuthError) -> SessionError {
    if error.is_signed_out() {
        SessionError::Over(format!("the homeserver has ended the session: {error}"))
    } else {
        error.into()
    }
}

/// The pusher of an account. `base_url` is the URL at which the homeserver reaches us, without a trailing slash, unless
/// there is a relay; `lang` is the user's language, `installation` the mark of this installation.
#[must_use]
pub(crate) fn pusher(
    account: &Account,
    relay: Option<&Relay>,
    base_url: &str,
    lang: &str,
    installation: String,
) -> HttpPusher {
    let base_url = relay.map_or(base_url, Relay::base);
    HttpPusher {
        app_id: account.app_id.clone(),
        pushkey: relay.map_or_else(|| account.pushkey.clone(), Relay::pushkey),
        url: format!("{base_url}{}", notify::PATH),
        app_display_name: app_info::APP_NAME.to_owned(),
        device_display_name: platform::host::name(),
        lang: lang.to_owned(),
        // A relay stores pushes unencrypted.
        event_id_only: relay.is_some() || account.sign_in.as_ref().is_some_and(|sign_in| sign_in.event_id_only),
        installation,
    }
}

/// The name of this computer's sessions in lists of devices.
#[must_use]
pub fn device_name() -> String {
    format!("{} on {}", app_info::APP_NAME, platform::host::name())
}

/// The language tag ("pt-BR") of the first of these values of `LC_ALL`, `LC_MESSAGES` and `LANG` that is not empty; "en" if
/// it has none.
#[must_use]
pub fn language<'a>(values: impl IntoIterator<Item = &'a str>) -> String {
    let named = values.into_iter().find(|value| !value.is_empty()).unwrap_or_default();
    let tag = named.split(['.', '@']).next().unwrap_or_default().replace('_', "-");
    let is_tag =
        tag.len() <= 16 && tag.split('-').all(|part| !part.is_empty() && part.chars().all(char::is_alphanumeric));
    if is_tag && tag.split('-').next().is_some_and(|language| (2..=3).contains(&language.len())) {
        tag
    } else {
        "en".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_is_the_first_that_is_set() {
        let check = |values: &[&str], expected: &str| assert_eq!(language(values.iter().copied()), expected);
        check(&["", "", "de_DE.UTF-8"], "de-DE");
        check(&["pt_BR", "en_GB"], "pt-BR");
        check(&["ca_ES@valencia"], "ca-ES");
        check(&["C.UTF-8"], "en");
        check(&["POSIX", "de"], "en");
        check(&[], "en");
        check(&["de_\u{1b}[2J"], "en");
    }
}
