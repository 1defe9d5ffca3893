//! The authorization endpoint. The user consents or declines immediately.

use hyper::StatusCode;

use super::{Answer, ParsedRequest, World, clients};

/// The state of an authorization code.
#[derive(Debug, Clone)]
pub(super) struct Code {
    pub(super) client_id: String,
    pub(super) redirect_uri: String,
    pub(super) scope: String,
    pub(super) challenge: String,
    pub(super) expired: bool,
    /// The session that it was exchanged for.
    pub(super) session: Option<usize>,
}

pub(super) fn authorize(asked: &ParsedRequest, world: &mut World) -> Answer {
    let given = |key: &str| asked.query.get(key).cloned().unwrap_or_default();
    let (client_id, redirect_uri, state) = (given("client_id"), given("redirect_uri"), given("state"));
    let ports = world.plan.compares_ports;
    let known =
        world.clients.get(&client_id).is_some_and(|client| clients::has_redirect_uri(client, &redirect_uri, ports));
    if !known {
        // No redirect to an unregistered address.
        return Answer(StatusCode::BAD_REQUEST, None, "unknown client or redirect_uri".to_owned());
    }
    let back = |fields: &str| Answer::redirect(format!("{redirect_uri}?state={state}&{fields}"));
    let right = given("response_type") == "code"
        && given("response_mode") == "query"
        && given("code_challenge_method") == "S256"
        && given("code_challenge").len() == 43
        && state.len() >= 22;
    if !right {
        return back("error=invalid_request");
    }
    if !is_scope(&given("scope")) {
        return back("error=invalid_scope");
    }
    if !world.plan.consents {
        return back("error=access_denied&error_description=The+person+said+no.");
    }
    let code = world.word("code");
    let (scope, challenge) = (given("scope"), given("code_challenge"));
    let expired = world.plan.codes_expire;
    let redirect_uri = redirect_uri.clone();
    let granted = Code { client_id, redirect_uri, scope, challenge, expired, session: None };
    world.codes.insert(code.clone(), granted);
    back(&format!("code={code}"))
}

/// The scope of the whole client-server API and one device ID in the recommended format.
pub(super) fn is_scope(scope: &str) -> bool {
    let Some(device) = scope.strip_prefix("urn:matrix:client:api:* urn:matrix:client:device:") else { return false };
    device.len() >= 10 && device.chars().all(|c| c.is_ascii_alphanumeric() || "-._~".contains(c))
}
