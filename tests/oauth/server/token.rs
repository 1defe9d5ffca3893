//! The token endpoint, revocation, and the introspection that Synapse uses.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hyper::{Method, StatusCode};
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use super::{Answer, Granted, ParsedRequest, SECRET, USER, World};
use crate::rig::http;

pub(super) fn token(asked: &ParsedRequest, world: &mut World) -> Answer {
    if world.plan.away {
        return Answer(StatusCode::BAD_GATEWAY, None, "<html>".to_owned());
    }
    let given = |key: &str| asked.form.get(key).cloned().unwrap_or_default();
    if !world.clients.contains_key(&given("client_id")) {
        return Answer::json(StatusCode::UNAUTHORIZED, &json!({"error": "invalid_client"}));
    }
    match given("grant_type").as_str() {
        "authorization_code" => exchange(&given, world),
        "refresh_token" => refresh(&given, world),
        _ => Answer::error("unsupported_grant_type"),
    }
}

fn exchange(given: &dyn Fn(&str) -> String, world: &mut World) -> Answer {
    let Some(code) = world.codes.get(&given("code")).cloned() else { return Answer::error("invalid_grant") };
    if let Some(session) = code.session {
        // A reused code ends the session that it was exchanged for (RFC 6749, section 4.1.2).
        world.sessions[session].over = true;
        return Answer::error("invalid_grant");
    }
    let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, given("code_verifier").as_bytes()));
    let right = given("client_id") == code.client_id
        && given("redirect_uri") == code.redirect_uri
        && (43..=128).contains(&given("code_verifier").len())
        && challenge == code.challenge;
    if !right || code.expired {
        return Answer::error("invalid_grant");
    }
    let session = grant(world, &code.client_id, &code.scope);
    if let Some(code) = world.codes.get_mut(&given("code")) {
        code.session = Some(session);
    }
    tokens(world, session)
}

fn refresh(given: &dyn Fn(&str) -> String, world: &mut World) -> Answer {
    let token = given("refresh_token");
    let mut sessions = world.sessions.iter();
    let Some(session) = sessions.position(|session| session.refresh_token == token || session.used.contains(&token))
    else {
        return Answer::error("invalid_grant");
    };
    let granted = &mut world.sessions[session];
    if granted.used.contains(&token) {
        // Either use of the token may be the attacker's.
        granted.over = true;
    }
    if granted.over || granted.client_id != given("client_id") {
        return Answer::error("invalid_grant");
    }
    let rotates = world.plan.rotates;
    let (access, refresh) = (world.word("access"), world.word("refresh"));
    let granted = &mut world.sessions[session];
    granted.access_token = access;
    if rotates {
        granted.used.push(std::mem::replace(&mut granted.refresh_token, refresh));
        return tokens(world, session);
    }
    let mut answer: Value = serde_json::from_str(&tokens(world, session).2).expect("it is JSON");
    answer.as_object_mut().expect("an object").remove("refresh_token");
    Answer::ok(&answer)
}

/// Creates a session; registers its user and device with Synapse.
fn grant(world: &mut World, client_id: &str, scope: &str) -> usize {
    let (access_token, refresh_token) = (world.word("access"), world.word("refresh"));
    let granted = Granted {
        client_id: client_id.to_owned(),
        scope: scope.to_owned(),
        access_token,
        refresh_token,
        ..Granted::default()
    };
    tell_synapse(world, "provision_user", &json!({"localpart": USER, "set_displayname": "Alice"}));
    tell_synapse(world, "upsert_device", &json!({"localpart": USER, "device_id": granted.device_id()}));
    world.sessions.push(granted);
    world.sessions.len() - 1
}

fn tokens(world: &World, session: usize) -> Answer {
    let session = &world.sessions[session];
    Answer::ok(&json!({
        "access_token": session.access_token, "refresh_token": session.refresh_token, "token_type": "Bearer",
        "expires_in": world.plan.access_life, "scope": session.scope,
    }))
}

pub(super) fn revoke(asked: &ParsedRequest, world: &mut World) -> Answer {
    let token = asked.form.get("token").cloned().unwrap_or_default();
    let found =
        world.sessions.iter_mut().find(|session| [&session.access_token, &session.refresh_token].contains(&&token));
    if let Some(session) = found {
        session.over = true;
        let device = json!({"localpart": USER, "device_id": session.device_id()});
        tell_synapse(world, "delete_device", &device);
    }
    Answer::ok(&json!({}))
}

pub(super) fn introspect(asked: &ParsedRequest, world: &World) -> Answer {
    if asked.bearer.as_deref() != Some(SECRET) {
        return Answer(StatusCode::UNAUTHORIZED, None, String::new());
    }
    let token = asked.form.get("token").cloned().unwrap_or_default();
    match world.sessions.iter().find(|session| session.access_token == token && !session.over) {
        Some(session) => Answer::ok(&json!({
            "active": true, "scope": session.scope, "client_id": session.client_id, "username": USER, "sub": USER,
            "expires_in": 300,
        })),
        None => Answer::ok(&json!({"active": false})),
    }
}

fn tell_synapse(world: &World, what: &str, body: &Value) {
    let Some(port) = world.plan.synapse else { return };
    let answer = http::request(port, &Method::POST, &format!("/_synapse/mas/{what}"), Some(SECRET), body.to_string());
    let answer = answer.unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!((200..300).contains(&answer.status), "{what}: {answer:?}");
}
