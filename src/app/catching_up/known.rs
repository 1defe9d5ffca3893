//! What is known of one signed-in account, and how `status` says it.

use std::sync::Arc;

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
    encryption::{Brought, Judge},
};

/// A signed-in account.
pub(super) struct Known {
    pub(super) account: Account,
    pub(super) sign_in: SignIn,
    /// Another computer has signed in, and these files are a copy of its.
    pub(super) is_copy: bool,
    pub(super) schedule: Schedule,
    pub(super) run: Option<AbortHandle>,
    pub(super) reach: Reach,
    /// Judges what its homeserver does not list.
    pub(super) judge: Arc<Mutex<Judge>>,
    /// What held syncs have brought, and who waits until it is in the inbox.
    pub(super) heard: Vec<(Brought, oneshot::Sender<bool>)>,
    /// When to look whether a push has come, too.
    pub(super) push_due: Option<Instant>,
    /// How many runs in a row have not taken over what was brought.
    pub(super) not_taken: u32,
    /// Who waits for the run.
    pub(super) taken: Vec<oneshot::Sender<bool>>,
    /// What `status` says of catching up.
    pub(super) catching_up: String,
    /// When that last completed in this run of the program.
    pub(super) caught_up_at: Option<Timestamp>,
    /// Why its relay gives nothing until the person has done something, if so.
    pub(super) refused: Option<String>,
    /// Why the person has to sign in again, if so.
    pub(super) end: Option<SessionEnd>,
    /// The "already told of the session's end" flag has been cleared.
    pub(super) is_end_forgotten: bool,
}

impl Known {
    /// `mark`: that of this installation.
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
            heard: Vec::new(),
            push_due: None,
            not_taken: 0,
            taken: Vec::new(),
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

    /// Whether the account is to listen for messages.
    pub(super) fn listens(&self) -> bool {
        !self.is_copy && self.reach.listens(self.account.way_in_force())
    }

    pub(super) fn sign_in_command(&self) -> String {
        format!("`pushbell login {}`", self.sign_in.user_id)
    }

    /// What tells this end of its session from others of the same account.
    pub(super) fn session(&self, end: &SessionEnd) -> String {
        let SignIn { user_id, device_id, .. } = &self.sign_in;
        match end {
            SessionEnd::Over(_) => format!("{user_id} {device_id}"),
            // It may still end later, and that says more.
            SessionEnd::NoToken(_) => format!("{user_id} {device_id} without a token"),
        }
    }
}
