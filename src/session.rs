//! The sessions of signed-in accounts: from an account and its secrets to a client that can ask its homeserver, and to
//! the pusher that it is to have there.

use jiff::{SignedDuration, Timestamp};

use crate::{
    accounts::{Account, SignIn},
    homeserver::{BaseUrl, HomeserverClient, HomeserverError, HttpPusher, HttpsClient, Tokens, TransportError, oauth},
    identity, platform,
    push::notify,
    secrets::{Secrets, SecretsError},
};

/// An access token that expires sooner than this is renewed before it is used.
const SOON: SignedDuration = SignedDuration::from_secs(60);

/// Why there is no session to go on with.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SessionError {
    /// The account was registered by hand.
    #[error("the account \"{0}\" is not signed in: it was registered by hand")]
    NotSignedIn(String),
    /// Its tokens are gone.
    #[error("the access token of {0} is not there any more: sign in again with `pushbell login {0}`")]
    NoTokens(String),
    /// Its homeserver does not let it go on: the person has to sign in again.
    #[error("{user_id} is signed out ({reason}): sign in again with `pushbell login {user_id}`")]
    SignedOut {
        /// The user.
        user_id: String,
        /// What the homeserver said.
        reason: String,
    },
    /// Its tokens cannot be read or kept.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// The homeserver did not answer, or said no.
    #[error(transparent)]
    Homeserver(#[from] HomeserverError),
    /// `accounts.toml` names a homeserver that is no address.
    #[error("the homeserver of the account \"{account}\" is no address: {reason}")]
    Address {
        /// The account's name.
        account: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl From<TransportError> for SessionError {
    fn from(error: TransportError) -> Self {
        Self::Homeserver(error.into())
    }
}

/// A client with the account's session. A token that has expired, or is about to, is renewed, and kept before anything
/// else is asked. The client does not renew by itself: get a new one for each time that something is to be done.
///
/// # Errors
/// When there is no session, or it cannot go on.
pub async fn client(account: &Account, secrets: &Secrets) -> Result<HomeserverClient, SessionError> {
    let sign_in = sign_in(account)?;
    let tokens = secrets.load(sign_in).await?;
    let tokens = tokens.ok_or_else(|| SessionError::NoTokens(sign_in.user_id.clone()))?;
    let client = unauthenticated(account, sign_in)?;
    if tokens.expires_at.is_none_or(|end| end > Timestamp::now() + SOON) {
        return Ok(client.with_token(&tokens.access_token));
    }
    let tokens = renew(&client, sign_in, &tokens).await?;
    secrets.save(sign_in, &tokens).await?;
    Ok(client.with_token(&tokens.access_token))
}

/// The same after the homeserver has refused a token as expired though its time is not over ("soft logout"): renews it
/// whenever that is possible.
///
/// # Errors
/// When there is no session, or it cannot go on.
pub async fn renewed_client(account: &Account, secrets: &Secrets) -> Result<HomeserverClient, SessionError> {
    let sign_in = sign_in(account)?;
    let tokens = secrets.load(sign_in).await?;
    let tokens = tokens.ok_or_else(|| SessionError::NoTokens(sign_in.user_id.clone()))?;
    let client = unauthenticated(account, sign_in)?;
    let tokens = renew(&client, sign_in, &tokens).await?;
    secrets.save(sign_in, &tokens).await?;
    Ok(client.with_token(&tokens.access_token))
}

/// Gets new tokens in place of those, by the API that they come from. Nothing is kept yet: do that first of all, since
/// the old ones may be no good any more. `client` need not have a token.
///
/// # Errors
/// [`SessionError::SignedOut`] when the session is over; with all else the old tokens stay.
pub async fn renew(client: &HomeserverClient, sign_in: &SignIn, tokens: &Tokens) -> Result<Tokens, SessionError> {
    let signed_out = |reason: String| SessionError::SignedOut { user_id: sign_in.user_id.clone(), reason };
    if tokens.oauth.is_some() {
        return oauth::refresh(client.https(), tokens).await.map_err(|error| {
            if error.is_signed_out() { signed_out(error.to_string()) } else { HomeserverError::from(error).into() }
        });
    }
    let Some(refresh_token) = &tokens.refresh_token else {
        return Err(signed_out("the access token has expired".to_owned()));
    };
    match client.refresh(refresh_token).await {
        Ok(renewed) => Ok(renewed),
        Err(error) if error.is_temporary() => Err(error.into()),
        Err(error) => Err(signed_out(error.to_string())),
    }
}

/// Ends the session of those tokens, by the API that they come from. One that has ended before is as good. `client` has
/// the access token.
///
/// # Errors
/// When the session may not have ended.
pub async fn end(client: &HomeserverClient, tokens: &Tokens) -> Result<(), HomeserverError> {
    match &tokens.oauth {
        Some(oauth) if oauth.revocation_endpoint.is_some() => Ok(oauth::revoke(client.https(), tokens).await?),
        Some(_) | None => client.logout().await,
    }
}

/// Ends the account's session. One that has ended before is as good.
///
/// # Errors
/// When there is none, or it may not have ended.
pub async fn leave(account: &Account, secrets: &Secrets) -> Result<(), SessionError> {
    let client = match client(account, secrets).await {
        Err(SessionError::SignedOut { .. }) => return Ok(()),
        client => client?,
    };
    let sign_in = sign_in(account)?;
    let tokens = secrets.load(sign_in).await?;
    let tokens = tokens.ok_or_else(|| SessionError::NoTokens(sign_in.user_id.clone()))?;
    Ok(end(&client, &tokens).await?)
}

fn sign_in(account: &Account) -> Result<&SignIn, SessionError> {
    account.sign_in.as_ref().ok_or_else(|| SessionError::NotSignedIn(account.name.to_string()))
}

fn unauthenticated(account: &Account, sign_in: &SignIn) -> Result<HomeserverClient, SessionError> {
    let base = BaseUrl::parse(&sign_in.homeserver)
        .map_err(|reason| SessionError::Address { account: account.name.to_string(), reason })?;
    Ok(HomeserverClient::new(HttpsClient::new()?, base))
}

/// The pusher that a signed-in account is to have. `base_url` is the address that the homeserver reaches us at, without
/// a trailing slash; `lang` the person's language.
#[must_use]
pub fn pusher(account: &Account, base_url: &str, lang: &str) -> HttpPusher {
    HttpPusher {
        app_id: account.app_id.clone(),
        pushkey: account.pushkey.clone(),
        url: format!("{base_url}{}", notify::PATH),
        app_display_name: identity::APP_NAME.to_owned(),
        device_display_name: platform::host::name(),
        lang: lang.to_owned(),
        event_id_only: account.sign_in.as_ref().is_some_and(|sign_in| sign_in.event_id_only),
    }
}

/// What sessions of this computer are called in lists of devices.
#[must_use]
pub fn device_name() -> String {
    format!("{} on {}", identity::APP_NAME, platform::host::name())
}

/// A language as pushers say it ("pt-BR"), from the values of `LC_ALL`, `LC_MESSAGES` and `LANG`: the first that is set
/// counts.
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
