//! Which software a homeserver is: it decides what its counts mean and what it can be asked for.

use serde_json::Value;

use super::{HomeserverClient, discovery::Homeserver};
use crate::push::text;

/// Longest name that is kept, in characters.
const MAX_NAME_CHARS: usize = 40;

/// What the homeserver calls itself, such as "Synapse" or "tuwunel"; empty where it does not say.
///
/// Asked of the federation API where the same address serves it, else read from `/versions`.
pub async fn software(homeserver: &Homeserver) -> String {
    let Homeserver { client, versions } = homeserver;
    match federation_name(client).await {
        Some(name) => name,
        None => name_in_versions(versions),
    }
}

async fn federation_name(client: &HomeserverClient) -> Option<String> {
    let answer = client.get("/_matrix/federation/v1/version").await.ok()?;
    name(&answer["server"]["name"])
}

/// Some say it in `/versions`; each has features of its own there.
fn name_in_versions(versions: &Value) -> String {
    if let Some(name) = name(&versions["server"]["name"]).or_else(|| name(&versions["server"])) {
        return name;
    }
    let features = versions["unstable_features"].as_object();
    let is_synapse =
        features.is_some_and(|features| features.keys().any(|key| key.starts_with("io.element.e2ee_forced.")));
    if is_synapse { "Synapse".to_owned() } else { String::new() }
}

fn name(value: &Value) -> Option<String> {
    let name = text::line(value.as_str()?, MAX_NAME_CHARS);
    (!name.is_empty()).then_some(name)
}

/// Whether its `counts` are those of the push's room alone, not of the account.
#[must_use]
pub fn counts_rooms(software: &str) -> bool {
    ["conduwuit", "continuwuity", "conduit", "grapevine"].contains(&software.to_lowercase().as_str())
}

/// Whether reading a room elsewhere makes it push a new number, so that a read receipt proves the way without anybody's
/// help.
#[must_use]
pub fn pushes_when_read(software: &str) -> bool {
    ["synapse", "tuwunel"].contains(&software.to_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_server_that_does_not_say_is_known_by_its_features() {
        let check = |versions: Value, expected: &str| assert_eq!(name_in_versions(&versions), expected, "{versions}");
        check(json!({"versions": ["v1.11"]}), "");
        check(json!({"server": {"name": "tuwunel", "version": "1"}}), "tuwunel");
        check(json!({"server": "Palpo\u{1b}[2J"}), "Palpo");
        check(json!({"unstable_features": {"io.element.e2ee_forced.public": false}}), "Synapse");
        check(json!({"unstable_features": {"org.matrix.msc3881": true}}), "");
    }

    #[test]
    fn what_counts_mean_depends_on_the_software() {
        let check = |name: &str, expected: (bool, bool)| {
            assert_eq!((counts_rooms(name), pushes_when_read(name)), expected, "{name}");
        };
        check("Synapse", (false, true));
        check("tuwunel", (false, true));
        check("Dendrite", (false, false));
        check("Conduit", (true, false));
        check("conduwuit", (true, false));
        check("Continuwuity", (true, false));
        check("", (false, false));
    }
}
