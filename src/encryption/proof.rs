//! That the homeserver answers a sync that it holds as soon as something is new: account data of our own changes, and the
//! answer tells of it.

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

/// How long a sync is held at most.
const WAIT: Duration = Duration::from_secs(20);
/// What lasts so long is held.
const LEAD: Duration = Duration::from_secs(1);
/// The answer is wanted so soon after the change.
const PROMPT: Duration = Duration::from_secs(5);
/// How long all of it may take.
const LONGEST: Duration = Duration::from_secs(60);
/// Other things may come before what is waited for.
const MAX_ANSWERS: usize = 10;

/// Proves it for this session. What the answers bring besides is not taken in, and comes again.
///
/// # Errors
/// When no answer tells of the change soon.
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
        // What is pending is answered at once, and not before the next is held does anything change.
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
