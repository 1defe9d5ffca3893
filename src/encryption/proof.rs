//! That the homeserver answers a sync that it holds as soon as something is new: account data of our own changes, and the
//! answer tells of it.

use std::time::Duration;

use hyper::Method;
use serde_json::json;
use tokio::time::sleep;

use super::{api::DEADLINE, error::EncryptionError, interest::PROOF, machine::Machine, trust};
use crate::{accounts::SignIn, http_client::encode, paths::Paths, secrets::Secrets};

/// How long the sync is held at most.
const WAIT: Duration = Duration::from_secs(20);
/// So long it is held before something changes.
const LEAD: Duration = Duration::from_millis(300);
/// Other things may come before what is waited for.
const MAX_ANSWERS: usize = 10;

/// Proves it for this session. What the answers bring besides is not taken in, and comes again.
///
/// # Errors
/// When no answer tells of the change.
pub(crate) async fn prove_listening(paths: &Paths, secrets: &Secrets, sign_in: &SignIn) -> Result<(), EncryptionError> {
    let machine = trust::open(paths, secrets, sign_in).await?;
    if machine.token().await?.is_none() {
        machine.sync(Duration::ZERO).await?;
    }
    let number = getrandom::u64().map_err(|error| EncryptionError::Store(error.to_string()))?.to_string();
    let change = async {
        sleep(LEAD).await;
        let path = format!("/_matrix/client/v3/user/{}/account_data/{PROOF}", encode(&sign_in.user_id));
        let content = json!({"number": number}).to_string();
        machine.api.ask(Method::PUT, &path, Some(content.into()), DEADLINE).await.map(drop)
    };
    let (changed, told) = tokio::join!(change, is_told(&machine, &number));
    changed?;
    if told? { Ok(()) } else { Err(EncryptionError::Unexpected("sync")) }
}

async fn is_told(machine: &Machine, number: &str) -> Result<bool, EncryptionError> {
    let nothing = json!({"not_types": ["*"]});
    let room = json!({"timeline": nothing, "state": nothing, "ephemeral": nothing, "account_data": nothing});
    let filter = json!({"room": room, "presence": nothing, "account_data": {"types": [PROOF]}}).to_string();
    for _ in 0..MAX_ANSWERS {
        let answer = machine.poll(WAIT, &filter).await?;
        if answer.account_data.has_proof(number) {
            return Ok(true);
        }
        sleep(LEAD).await;
    }
    Ok(false)
}
