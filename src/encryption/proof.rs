//! Proves that the homeserver answers a held sync as soon as there is something new: account data of our own is changed,
//! and the sync has to return it.

use std::{pin::pin, time::Duration};

use hyper::Method;
use serde_json::json;
use tokio::time::{sleep, timeout};

use super::{
    api::DEADLINE,
    error::EncryptionError,
    interest::PROOF,
    machine::{Machine, SyncAnswer, sync_path},
    trust,
};
use crate::{accounts::SignIn, http_client::encode, paths::Paths, secrets::Secrets};

/// Timeout of the held sync.
const WAIT: Duration = Duration::from_secs(20);
/// A sync that lasts this long is being held.
const LEAD: Duration = Duration::from_secs(1);
/// Time limit of the answer after the change.
const PROMPT: Duration = Duration::from_secs(5);
/// Time limit of the whole proof.
const LONGEST: Duration = Duration::from_secs(60);
/// Maximum number of answers: there may be others first.
const MAX_ANSWERS: usize = 10;

/// Proves it for this session. Other content of the answers is not processed, and the homeserver sends it again.
///
/// # Errors
/// When no answer returns the change in time.
pub(crate) async fn prove_listening(paths: &Paths, secrets: &Secrets, sign_in: &SignIn) -> Result<(), EncryptionError> {
    let machine = trust::open(paths, secrets, sign_in).await?;
    if machine.token().await?.is_none() {
        machine.sync(Duration::ZERO).await?;
    }
    let number = getrandom::u64().map_err(|error| EncryptionError::Store(error.to_string()))?.to_string();
    let proof = Box::pin(prove(&machine, &sign_in.user_id, &number));
    timeout(LONGEST, proof).await.unwrap_or(Err(EncryptionError::Unexpected("sync")))
}

async fn prove(machine: &Machine, user: &str, number: &str) -> Result<(), EncryptionError> {
    let nothing = json!({"not_types": ["*"]});
    let room = json!({"timeline": nothing, "state": nothing, "ephemeral": nothing, "account_data": nothing});
    let filter = json!({"room": room, "presence": nothing, "account_data": {"types": [PROOF]}}).to_string();
    let mut since = machine.token().await?;
    let poll = async |since: Option<&str>| {
        let path = sync_path(since, WAIT, &filter);
        machine.api.get::<SyncAnswer>(&path, "sync", WAIT + DEADLINE).await
    };
    for _ in 0..MAX_ANSWERS {
        let from = since.take();
        let mut held = pin!(poll(from.as_deref()));
        // Pending events are returned at once; the account data is changed only while a sync is being held.
        let answer = tokio::select! {
            answer = &mut held => answer?,
            () = sleep(LEAD) => {
                let told = async {
                    let mut answer = held.await?;
                    for _ in 0..MAX_ANSWERS {
                        if answer.account_data.has_proof(number) {
                            return Ok(());
                        }
                        answer = poll(Some(&answer.next_batch)).await?;
                    }
                    Err(EncryptionError::Unexpected("sync"))
                };
                let late = async {
                    let path = format!("/_matrix/client/v3/user/{}/account_data/{PROOF}", encode(user));
                    let content = json!({"number": number}).to_string();
                    machine.api.ask(Method::PUT, &path, Some(content.into()), DEADLINE).await?;
                    sleep(PROMPT).await;
                    Err(EncryptionError::Unexpected("sync"))
                };
                return tokio::select! {
                    told = told => told,
                    late = late => late,
                };
            }
        };
        since = Some(answer.next_batch);
    }
    Err(EncryptionError::Unexpected("sync"))
}
