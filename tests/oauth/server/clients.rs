//! Dynamic client registration, as profiled by the Matrix specification.

use hyper::StatusCode;
use serde_json::{Value, json};

use super::{Answer, ParsedRequest, World};

pub(super) fn register(asked: &ParsedRequest, world: &mut World) -> Answer {
    if !world.plan.registers {
        return Answer::matrix_error(StatusCode::NOT_FOUND, "M_UNRECOGNIZED");
    }
    let client = &asked.json;
    let words =
        |key: &str| -> Vec<&str> { client[key].as_array().into_iter().flatten().filter_map(Value::as_str).collect() };
    let is_page = client["client_uri"].as_str().is_some_and(|uri| uri.starts_with("https://"));
    let is_ours = client["application_type"] == "native" && client["token_endpoint_auth_method"] == "none";
    if !is_page || !is_ours || !words("grant_types").contains(&"refresh_token") {
        return Answer::error("invalid_client_metadata");
    }
    let redirects = words("redirect_uris");
    if words("grant_types").contains(&"authorization_code") && redirects.is_empty() {
        return Answer::error("invalid_redirect_uri");
    }
    for uri in redirects {
        let Some((_, port)) = loopback(uri) else { return Answer::error("invalid_redirect_uri") };
        if port.is_some() != world.plan.compares_ports {
            return Answer::error("invalid_redirect_uri");
        }
    }
    let id = world.word("client");
    let mut registered = client.clone();
    registered["client_id"] = json!(id);
    world.clients.insert(id, registered.clone());
    Answer::json(StatusCode::CREATED, &registered)
}

/// Whether the client registered this redirect URI.
pub(super) fn has_redirect_uri(client: &Value, uri: &str, compares_ports: bool) -> bool {
    let registered = client["redirect_uris"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let mut same = registered.filter(|registered| {
        let ignoring_port = |uri| loopback(uri).map(|(rest, _)| rest);
        if compares_ports { *registered == uri } else { ignoring_port(registered) == ignoring_port(uri) }
    });
    loopback(uri).is_some_and(|(_, port)| port.is_some()) && same.next().is_some()
}

/// Splits a redirect URI on the loopback interface into everything but the port, and the port.
fn loopback(uri: &str) -> Option<(String, Option<u16>)> {
    let rest = uri.strip_prefix("http://")?;
    let (authority, path) = rest.split_once('/')?;
    let host = ["127.0.0.1", "[::1]", "localhost"].into_iter().find(|host| authority.starts_with(host))?;
    let port = match &authority[host.len()..] {
        "" => None,
        port => Some(port.strip_prefix(':')?.parse().ok()?),
    };
    (!path.contains(['?', '#'])).then(|| (format!("{host}/{path}"), port))
}
