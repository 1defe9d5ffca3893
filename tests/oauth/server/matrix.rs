//! The parts of a homeserver that signing in needs.

use hyper::StatusCode;
use serde_json::{Value, json};

use super::{Answer, ParsedRequest, USER, World};

/// Authorization server metadata (RFC 8414), as profiled by the Matrix specification.
pub(super) fn metadata(world: &World) -> Value {
    let mut metadata = json!({
        "issuer": world.address("/"),
        "authorization_endpoint": world.address("/authorize"),
        "token_endpoint": world.address("/token"),
        "revocation_endpoint": world.address("/revoke"),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query", "fragment"],
        "code_challenge_methods_supported": ["S256"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "account_management_uri": world.address("/account"),
    });
    if world.plan.registers {
        metadata["registration_endpoint"] = json!(world.address("/register"));
    }
    metadata
}

pub(super) fn answer(asked: &ParsedRequest, world: &mut World) -> Answer {
    let unrecognized = || Answer::matrix_error(StatusCode::NOT_FOUND, "M_UNRECOGNIZED");
    match (asked.method.as_str(), asked.path.as_str()) {
        ("GET", "/_matrix/client/v1/auth_metadata") if world.plan.oauth && !world.plan.old_path => {
            Answer::ok(&metadata(world))
        }
        ("GET", "/_matrix/client/unstable/org.matrix.msc2965/auth_metadata") if world.plan.old_path => {
            Answer::ok(&metadata(world))
        }
        ("GET", "/_matrix/client/v3/account/whoami") => match session(asked, world) {
            Some(session) => {
                let device = world.sessions[session].device_id().to_owned();
                Answer::ok(&json!({"user_id": format!("@{USER}:hs.test"), "device_id": device}))
            }
            None => Answer::matrix_error(StatusCode::UNAUTHORIZED, "M_UNKNOWN_TOKEN"),
        },
        ("PUT", path) if path.starts_with("/_matrix/client/v3/devices/") => match session(asked, world) {
            Some(session) if path.ends_with(world.sessions[session].device_id()) => {
                world.sessions[session].name = asked.json["display_name"].as_str().map(str::to_owned);
                Answer::ok(&json!({}))
            }
            Some(_) | None => unrecognized(),
        },
        _ => unrecognized(),
    }
}

fn session(asked: &ParsedRequest, world: &World) -> Option<usize> {
    let token = asked.bearer.as_ref().filter(|_| !world.plan.nobody)?;
    world.sessions.iter().position(|session| session.access_token == *token && !session.over)
}
