//! Verification by emoji (specification: "Short Authentication String (SAS) verification"): this session and another
//! one of the account show the same seven emoji, the user compares them, and the other session signs this one.

use std::time::Duration;

use matrix_sdk_crypto::{
    CancelInfo, Sas, SasState, VerificationRequest, VerificationRequestState,
    types::requests::OutgoingVerificationRequest,
};
use ruma::events::key::verification::{VerificationMethod, cancel::CancelCode};
use tokio::time::{Instant, sleep, sleep_until};

use super::{
    Step, Trust,
    error::EncryptionError,
    machine::{Machine, VerificationAsk},
    session_state,
    trust::{self, VerifyError},
};
use crate::{accounts::SignIn, paths::Paths, secrets::Secrets};

/// Timeout of a verification, as specified.
const DEADLINE: Duration = Duration::from_secs(10 * 60);
/// Minimum interval between syncs.
const INTERVAL: Duration = Duration::from_secs(2);
/// How long a sync waits for a message.
const LONG_POLL: Duration = Duration::from_secs(10);
/// How long to wait for the signature of the other session after the emoji matched.
const SIGNING: Duration = Duration::from_secs(60);

/// Verifies the session with another one of the account: the one that has sent a request, or else any that accepts
/// ours. `ask` shows each step to the user, and for [`Step::Compare`] returns whether the emoji match.
///
/// # Errors
/// When the session was not verified.
pub(crate) async fn verify_with_emoji(
    paths: &Paths,
    secrets: &Secrets,
    sign_in: &SignIn,
    mut ask: impl AsyncFnMut(Step<'_>) -> bool,
) -> Result<(), VerifyError> {
    let machine = trust::open(paths, secrets, sign_in).await?;
    let mut verification = Verification { machine: &machine, request: None, next_sync: Instant::now() };
    let compared = verification.run(&mut ask).await;
    if compared.is_err() {
        verification.cancel().await;
    }
    compared?;
    let until = Instant::now() + SIGNING;
    while !matches!(machine.trust().await?, Trust::Verified) {
        if Instant::now() >= until {
            return Err(VerifyError::NotSigned);
        }
        sleep(INTERVAL).await;
        machine.query_own_user().await?;
    }
    Ok(())
}

struct Verification<'a> {
    machine: &'a Machine,
    request: Option<VerificationRequest>,
    next_sync: Instant,
}

impl Verification<'_> {
    /// Returns when both sides have confirmed.
    async fn run(&mut self, ask: &mut impl AsyncFnMut(Step<'_>) -> bool) -> Result<(), VerifyError> {
        let until = Instant::now() + DEADLINE;
        let kept = session_state::take_request(self.machine).await?;
        if let Some(theirs) = self.sync(Duration::ZERO).await?.or(kept) {
            self.answer(theirs, ask).await?;
        }
        if self.request.is_none() {
            self.request = Some(self.request_verification().await?);
            ask(Step::Asking).await;
        }
        loop {
            if self.step(ask).await? {
                return Ok(());
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(VerifyError::TimedOut);
            }
            // Other requests are ignored meanwhile: clients cancel both verifications then.
            self.sync(left.min(LONG_POLL)).await?;
        }
    }

    /// Accepts a request of another session.
    async fn answer(
        &mut self,
        theirs: VerificationAsk,
        ask: &mut impl AsyncFnMut(Step<'_>) -> bool,
    ) -> Result<(), VerifyError> {
        let request = self.machine.receive_request(theirs).await?;
        let Some(request) = request else { return Ok(()) };
        let VerificationRequestState::Requested { other_device_data, .. } = request.state() else { return Ok(()) };
        let name = other_device_data.display_name().unwrap_or(other_device_data.device_id().as_str());
        ask(Step::AskedBy(name)).await;
        self.send(request.accept_with_methods(vec![VerificationMethod::SasV1])).await?;
        self.request = Some(request);
        Ok(())
    }

    async fn request_verification(&self) -> Result<VerificationRequest, VerifyError> {
        let olm = &self.machine.olm;
        let identity = olm.get_identity(olm.user_id(), None).await.map_err(EncryptionError::from)?;
        let identity = identity.and_then(matrix_sdk_crypto::UserIdentity::own).ok_or(VerifyError::NoOtherSession)?;
        let methods = vec![VerificationMethod::SasV1];
        let asked = identity.request_verification_with_methods(methods).await.map_err(EncryptionError::from)?;
        let (request, message) = asked;
        self.send(Some(message)).await?;
        Ok(request)
    }

    /// Performs the next step. Returns whether both sides have confirmed.
    async fn step(&self, ask: &mut impl AsyncFnMut(Step<'_>) -> bool) -> Result<bool, VerifyError> {
        let Some(request) = &self.request else { return Ok(false) };
        match request.state() {
            VerificationRequestState::Ready { .. } => {
                let started = request.start_sas().await.map_err(EncryptionError::from)?;
                self.send(started.map(|(_, message)| message)).await?;
            }
            VerificationRequestState::Transitioned { verification, .. } => {
                let Some(sas) = verification.sas_v1() else { return Ok(false) };
                return self.compare(&sas, ask).await;
            }
            VerificationRequestState::Done => return Ok(true),
            VerificationRequestState::Cancelled(info) => return Err(cancelled(&info)),
            VerificationRequestState::Created { .. } | VerificationRequestState::Requested { .. } => {}
        }
        Ok(false)
    }

    async fn compare(&self, sas: &Sas, ask: &mut impl AsyncFnMut(Step<'_>) -> bool) -> Result<bool, VerifyError> {
        match sas.state() {
            SasState::Started { .. } => self.send(sas.accept()).await?,
            SasState::KeysExchanged { emojis, decimals: (first, second, third) } if !sas.have_we_confirmed() => {
                let shown = emojis.map_or_else(
                    || [first, second, third].iter().map(|number| (number.to_string(), "")).collect(),
                    |emoji| {
                        emoji
                            .emojis
                            .iter()
                            .map(|emoji| (emoji.symbol.to_owned(), emoji.description))
                            .collect::<Vec<_>>()
                    },
                );
                if !ask(Step::Compare(&shown)).await {
                    self.send(sas.cancel_with_code(CancelCode::MismatchedSas)).await?;
                    return Err(VerifyError::NoMatch);
                }
                let (messages, signatures) = sas.confirm().await.map_err(EncryptionError::from)?;
                for message in messages {
                    self.send(Some(message)).await?;
                }
                if let Some(signatures) = signatures {
                    self.machine.api.send(signatures, "keys/signatures/upload").await?;
                }
                ask(Step::Waiting).await;
                return Ok(sas.is_done());
            }
            SasState::Done { .. } => return Ok(true),
            SasState::Cancelled(info) => return Err(cancelled(&info)),
            SasState::Created { .. }
            | SasState::Accepted { .. }
            | SasState::KeysExchanged { .. }
            | SasState::Confirmed => {}
        }
        Ok(false)
    }

    /// Processes new messages to the session, respecting the minimum interval between syncs.
    async fn sync(&mut self, timeout: Duration) -> Result<Option<VerificationAsk>, EncryptionError> {
        self.machine.upload().await?;
        sleep_until(self.next_sync).await;
        self.next_sync = Instant::now() + INTERVAL;
        let synced = self.machine.sync(timeout).await?;
        self.machine.upload().await?;
        Ok(synced.request)
    }

    async fn send(&self, message: Option<OutgoingVerificationRequest>) -> Result<(), VerifyError> {
        // In-room verification is never started here.
        let Some(OutgoingVerificationRequest::ToDevice(message)) = message else { return Ok(()) };
        Ok(self.machine.send_to_device(&message).await?)
    }

    /// Cancels the verification, if the other side is waiting.
    async fn cancel(&mut self) {
        let message = self.request.take().and_then(|request| request.cancel());
        // If that fails, the other side times out.
        if let Err(error) = self.send(message).await {
            tracing::debug!("{error}");
        }
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "all others say why themselves, and may become more")]
fn cancelled(info: &CancelInfo) -> VerifyError {
    match info.cancel_code() {
        CancelCode::Timeout => VerifyError::TimedOut,
        CancelCode::MismatchedSas => VerifyError::NoMatch,
        CancelCode::User => VerifyError::Cancelled("it was cancelled in the other session"),
        _ => VerifyError::Cancelled(info.reason().trim_end_matches('.')),
    }
}
