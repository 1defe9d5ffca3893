//! Dynamic client registration (RFC 7591, as the Matrix specification profiles it). A client is registered anew each
//! time that somebody signs in: the specification says so.

use hyper::Method;
use serde_json::{Value, json};

use super::{
    error::{OAuthError, OAuthRefusal},
    metadata::{DEVICE_CODE, Metadata},
};
use crate::{
    homeserver::{HomeserverClient, OAuthClient, https::Body, redirect::RedirectListener},
    identity,
};

/// Registers us. `redirect`: where the browser comes back to, if it does.
pub(super) async fn register(
    client: &HomeserverClient,
    metadata: &Metadata,
    redirect: Option<&RedirectListener>,
) -> Result<OAuthClient, OAuthError> {
    let endpoint = metadata.registration_endpoint.as_deref();
    let endpoint = endpoint.ok_or_else(|| OAuthError::NoRegistration { issuer: metadata.issuer.clone() })?;
    let device_grant = metadata.device_authorization_endpoint.is_some();
    let without_port = redirect.map(RedirectListener::uri_without_port);
    let registered = match (post(client, endpoint, without_port.as_deref(), device_grant).await, redirect) {
        // A server that compares ports although RFC 8252 has it ignore them.
        (Err(error), Some(redirect)) if error.code() == Some("invalid_redirect_uri") => {
            post(client, endpoint, Some(&redirect.uri()), device_grant).await
        }
        (registered, _) => registered,
    };
    Ok(OAuthClient {
        client_id: registered?,
        token_endpoint: metadata.token_endpoint.clone(),
        revocation_endpoint: metadata.revocation_endpoint.clone(),
    })
}

/// The client id.
async fn post(
    client: &HomeserverClient,
    endpoint: &str,
    redirect_uri: Option<&str>,
    device_grant: bool,
) -> Result<String, OAuthError> {
    let body = Body::Json(client_metadata(redirect_uri, device_grant));
    let answer = client.https().send(&Method::POST, endpoint, None, &body).await?;
    if !answer.status.is_success() {
        return Err(OAuthRefusal::answered(endpoint, &answer).into());
    }
    let answer = answer.json();
    let unexpected = |missing| OAuthError::Unexpected { endpoint: endpoint.to_owned(), missing };
    // A server may register something else than it was asked for.
    match answer["token_endpoint_auth_method"].as_str() {
        None | Some("none") => {}
        Some(_) => return Err(unexpected("token_endpoint_auth_method \"none\"")),
    }
    let id = answer["client_id"].as_str().filter(|id| !id.is_empty());
    id.map(str::to_owned).ok_or_else(|| unexpected("client_id"))
}

fn client_metadata(redirect_uri: Option<&str>, device_grant: bool) -> Value {
    let mut grants = vec!["refresh_token"];
    let mut metadata = json!({
        "application_type": "native",
        "client_name": "Pushbell",
        "client_uri": identity::HOMEPAGE,
        "token_endpoint_auth_method": "none",
    });
    if let Some(uri) = redirect_uri {
        grants.insert(0, "authorization_code");
        metadata["redirect_uris"] = json!([uri]);
        metadata["response_types"] = json!(["code"]);
    }
    if device_grant {
        grants.push(DEVICE_CODE);
    }
    metadata["grant_types"] = json!(grants);
    metadata
}
