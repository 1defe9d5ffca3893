//! The state of one signed-in account, and its description for `status`.

use std::{collections::VecDeque, sync::Arc};

use jiff::Timestamp;
use tokio::{
    sync::{Mutex, oneshot},
    task::AbortHandle,
    time::Instant,
};

use super::{reach::Reach, run::SessionEnd, schedule::Schedule};
use crate::{
    accounts::{Account, SignIn},
    control::SignInStatus,
    encryption::{Incoming, Judge},
};

/// A signed-in account.
pub(super) struct AccountState {
    pub(super) account: Account,
    pub(super) sign_in: SignIn,
    /// The session belongs to another computer, from which these files were copied.
    pub(super) is_copy: bool,
    pub(super) schedule: Schedule,
    pub(super) run: Option<AbortHandle>,
    pub(super) reach: Reach,
    /// Evaluates push rules for events that the homeserver does not list.
    pub(super) judge: Arc<Mutex<Judge>>,
    /// What a held sync or the relay has brought, each with a channel to report whether it was recorded.
    pub(super) incoming: VecDeque<(Incoming, oneshot::Sender<bool>)>,
    /// When to check whether a push has also arrived.
    pub(super) push_due: Option<Instant>,
    /// Number of runs in a row that failed to record what was brought.
    pub(super) failed_recordings: u32,
    /// Where the current run reports whether it was recorded.
    pub(super) recorded: Option<oneshot::Sender<bool>>,
    /// Text of `catching_up` in `status`.
    pub(super) catching_up: String,
    /// When catching up last completed in this run of the program.
    pub(super) caught_up_at: Option<Timestamp>,
    /// Why the relay refuses access, if so: only the person can fix that.
    pub(super) refused: Option<String>,
    /// Why the person has to sign in again, if so.
    pub(super) end: Option<SessionEnd>,
    /// The "already notified of logout" flag has been cleared.
    pub(super) is_end_forgotten: bool,
}

impl AccountState {
    /// `mark` is that of this installation.
    pub(super) fn new(account: Account, sign_in: SignIn, judge: Judge, mark: &str, now: Instant) -> Self {
        let mut schedule = Schedule::default();
        schedule.catch_up(now);
        Self {
            account,
            is_copy: sign_in.is_anothers(mark),
            sign_in,
            schedule,
            run: None,
            reach: Reach::new(),
            judge: Arc::new(Mutex::new(judge)),
            incoming: VecDeque::new(),
            push_due: None,
            failed_recordings: 0,
            recorded: None,
            catching_up: "not yet".to_owned(),
            caught_up_at: None,
            refused: None,
            end: None,
            is_end_forgotten: false,
        }
    }

    pub(super) fn status(&self) -> SignInStatus {
        let command = self.sign_in_command();
        let is_off = self.schedule.is_switched_off();
        let signed_in = match &self.end {
            Some(SessionEnd::NoToken(reason)) if !self.listens() => {
                format!(
                    "signed out: {reason}; pushes still come, but what is missed is not fetched; sign in with {command}"
                )
            }
            Some(SessionEnd::Over(reason) | SessionEnd::NoToken(reason)) => {
                format!("signed out: {reason}, and new messages no longer come; sign in with {command}")
            }
            None if is_off => format!(
                "{}, but the pusher was switched off in another client: switch it on there, or with {command}",
                self.sign_in.user_id
            ),
            None if self.is_copy => format!(
                "{}, on another computer, of whose files these are a copy: new messages go there; sign in with {command}",
                self.sign_in.user_id
            ),
            None => format!("{} at {}", self.sign_in.user_id, self.sign_in.homeserver),
        };
        let catching_up = if is_off { "not while the pusher is switched off" } else { &self.catching_up };
        SignInStatus {
            signed_in: Some(signed_in),
            listening: self.reach.is_connected.as_ref().filter(|_| self.listens()).map(Result::is_ok),
            way_now: Some(match self.account.relay_address() {
                Some(address) => self.reach.describe_relay(address),
                None if self.end.is_some() && self.listens() => "none".to_owned(),
                None => self.reach.describe(self.account.way_in_force()),
            }),
            catching_up: Some(catching_up.to_owned()),
            caught_up_at: self.caught_up_at,
        }
    }

    /// Whether the account should listen for messages.
    pub(super) fn listens(&self) -> bool {
        !self.is_copy && self.reach.listens(self.account.way_in_force())
    }

    pub(super) fn sign_in_command(&self) -> String {
        format!("`pushbell login {}`", self.sign_in.user_id)
    }

    /// Identifies this end of the session among those of the same account.
    pub(super) fn session(&self, end: &SessionEnd) -> String {
        let SignIn { user_id, device_id, .. } = &self.sign_in;
        match end {
            SessionEnd::Over(_) => format!("{user_id} {device_id}"),
            // The session may still end later, which is reported separately.
            SessionEnd::NoToken(_) => format!("{user_id} {device_id} without a token"),
        }
    }
}
