//! What both grants have in common: the device that is asked for, and making a session of tokens.

use serde_json::json;
use tracing::debug;

use super::{error::OAuthError, token};
use crate::homeserver::{HomeserverClient, Session, Tokens, https::encode, redirect::RedirectError};

/// Characters of a device id: those of RFC 4648's base32, which are easy to read.
const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const DEVICE_ID_CHARS: usize = 12;

/// A device id that nobody has: 60 random bits.
pub(super) fn new_device_id() -> Result<String, RedirectError> {
    let mut bytes = [0; DEVICE_ID_CHARS];
    getrandom::fill(&mut bytes).map_err(|error| RedirectError::NoRandomness(error.to_string()))?;
    Ok(bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect())
}

/// What is asked for: the whole client-server API, as that device.
pub(super) fn scope(device_id: &str) -> String {
    format!("urn:matrix:client:api:* urn:matrix:client:device:{device_id}")
}

/// Asks whose tokens they are, and names the device. A session that the homeserver does not know is ended again.
pub(super) async fn begin(
    client: &HomeserverClient,
    tokens: Tokens,
    device_id: String,
    device_name: &str,
) -> Result<Session, OAuthError> {
    let client = client.clone().with_token(&tokens.access_token);
    match client.whoami().await {
        Ok((user_id, known_device)) => {
            let device_id = known_device.unwrap_or(device_id);
            name(&client, &device_id, device_name).await;
            Ok(Session { user_id, device_id: Some(device_id), tokens })
        }
        Err(error) => {
            if let Err(error) = token::revoke(client.https(), &tokens).await {
                debug!(%error, "a session could not be ended");
            }
            Err(error.into())
        }
    }
}

/// The grants have no place for a device's name. A server that takes none has named it after us.
async fn name(client: &HomeserverClient, device_id: &str, device_name: &str) {
    let path = format!("/_matrix/client/v3/devices/{}", encode(device_id));
    if let Err(error) = client.put(&path, json!({"display_name": device_name})).await {
        debug!(%error, "the device could not be named");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_ids_are_unreserved_and_differ() {
        let (one, other) = (new_device_id().unwrap(), new_device_id().unwrap());
        assert_eq!(one.len(), 12);
        assert!(one.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()), "{one}");
        assert_ne!(one, other);
        assert_eq!(scope("ABC"), "urn:matrix:client:api:* urn:matrix:client:device:ABC");
    }
}
