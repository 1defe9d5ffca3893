//! The device authorization grant.

use serde_json::json;

use super::{Answer, ParsedRequest, World, authorize::is_scope, token};

/// A device code that the user has not approved yet.
#[derive(Debug, Clone)]
pub(super) struct Waiting {
    client_id: String,
    scope: String,
}

pub(super) fn begin(asked: &ParsedRequest, world: &mut World) -> Answer {
    let given = |key: &str| asked.form.get(key).cloned().unwrap_or_default();
    let (client_id, scope) = (given("client_id"), given("scope"));
    let grants = world.clients.get(&client_id).map(|client| client["grant_types"].to_string()).unwrap_or_default();
    if !grants.contains("device_code") {
        return Answer::error("unauthorized_client");
    }
    if !is_scope(&scope) {
        return Answer::error("invalid_scope");
    }
    let code = world.word("device");
    world.devices.insert(code.clone(), Waiting { client_id, scope });
    Answer::ok(&json!({
        "device_code": code, "user_code": "WDJB-MJHT", "verification_uri": world.address("/link"),
        "verification_uri_complete": world.address("/link?code=WDJB-MJHT"),
        "expires_in": world.plan.device_life, "interval": 1,
    }))
}

pub(super) fn poll(asked: &ParsedRequest, world: &mut World) -> Answer {
    world.polls.push(std::time::Instant::now());
    let code = asked.form.get("device_code").cloned().unwrap_or_default();
    let Some(waiting) = world.devices.get(&code).cloned() else { return Answer::error("expired_token") };
    if asked.form.get("client_id") != Some(&waiting.client_id) {
        return Answer::error("invalid_grant");
    }
    if !world.plan.device_answers.is_empty() {
        return Answer::error(world.plan.device_answers.remove(0));
    }
    if !world.plan.consents {
        return Answer::error("access_denied");
    }
    world.devices.remove(&code);
    let session = token::grant(world, &waiting.client_id, &waiting.scope);
    token::tokens(world, session)
}
