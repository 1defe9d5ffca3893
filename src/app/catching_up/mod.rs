//! Catches up with signed-in accounts when pushes may have been missed, and fetches what pushes leave out.
//!
//! One task. It records in the inbox, and reports to the controller what `status` and the person need to know. It is idle
//! unless something is due, and without an account that it serves it does not watch for interruptions either.

mod account_state;
mod by_hand;
mod details;
mod names;
mod reach;
mod reading;
mod record;
mod run;
mod schedule;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::{
    sync::mpsc,
    task::{Id, JoinError, JoinSet},
    time::Instant,
};

use self::{
    account_state::AccountState,
    by_hand::ByHand,
    names::Names,
    reach::PROOF_LIFE,
    record::Recording,
    run::{Check, Outcome, SessionEnd, Shared},
    schedule::{Ending, Run},
};
use super::relays::Relays;
use crate::{
    accounts::Accounts,
    config,
    controller::{Event, Missing, ProblemKind},
    encryption::{ConnectionEvent, ConnectionNews, Encryption, Judge},
    inbox::Inbox,
    platform::{Interruption, interruptions::Interruptions},
    present::words,
    resume::ResumeWindow,
    secrets::Secrets,
    session::Sessions,
};

/// When a push arrives and the account was last caught up with this long ago, pushes may have been missed.
const LONG_GAP: Duration = Duration::from_secs(30 * 60);
/// How long after a held sync a push of the same event arrives, if pushes work.
const PUSH_DELAY: Duration = Duration::from_secs(5);
/// Maximum number of concurrent runs.
const AT_ONCE: usize = 4;
/// Attempts to fetch an event that a held sync or a relay has named, before it is recorded with its ids alone.
const TRIES: u32 = 4;

/// Commands to the task.
#[derive(Debug)]
pub(super) enum CatchUpCommand {
    /// The accounts have been reloaded.
    Accounts(Arc<Accounts>),
    /// `[server]` may have changed.
    Server(config::Server),
    /// Pushes may be missing.
    Missing(Missing),
    /// Something was read elsewhere on this account.
    LookForRead(String),
    /// The person is present: check whether sessions have ended.
    Look,
}

/// The parts of the program that the task uses.
pub(super) struct Parts {
    pub(super) inbox: Inbox,
    pub(super) secrets: Secrets,
    pub(super) events: mpsc::UnboundedSender<Event>,
    pub(super) resume_window: ResumeWindow,
    pub(super) encryption: Encryption,
    pub(super) relays: Relays,
    /// News of held syncs and relays.
    pub(super) connections: mpsc::UnboundedReceiver<ConnectionNews>,
}

/// Handle to the task.
#[derive(Debug)]
pub(super) struct CatchingUp {
    commands: mpsc::UnboundedSender<CatchUpCommand>,
}

impl CatchingUp {
    /// Starts the task, which first catches up with every signed-in account.
    pub(super) fn start(parts: Parts, accounts: &Accounts, server: config::Server) -> Self {
        let Parts { inbox, secrets, events, resume_window, encryption, relays, connections } = parts;
        let (commands, waiting) = mpsc::unbounded_channel();
        let sessions = Sessions::new(secrets.clone());
        let shared = Shared { inbox, secrets, sessions, names: Names::default(), events, resume_window };
        let mut driver = Driver {
            shared: Arc::new(shared),
            server,
            encryption,
            relays,
            by_hand: ByHand::default(),
            accounts: BTreeMap::new(),
            running: JoinSet::new(),
            is_catching_up: false,
            interruptions: None,
        };
        driver.take_accounts(accounts);
        tokio::spawn(driver.run(waiting, connections));
        Self { commands }
    }

    pub(super) fn send(&self, command: CatchUpCommand) {
        // The task ends only with the program.
        drop(self.commands.send(command));
    }
}

struct Driver {
    shared: Arc<Shared>,
    server: config::Server,
    encryption: Encryption,
    relays: Relays,
    by_hand: ByHand,
    accounts: BTreeMap<Arc<str>, AccountState>,
    running: JoinSet<(Arc<str>, Outcome)>,
    /// The value last reported to the controller.
    is_catching_up: bool,
    interruptions: Option<Interruptions>,
}

impl Driver {
    async fn run(
        mut self,
        mut commands: mpsc::UnboundedReceiver<CatchUpCommand>,
        mut connections: mpsc::UnboundedReceiver<ConnectionNews>,
    ) {
        loop {
            let now = Instant::now();
            self.begin_due(now);
            self.tell_catching_up();
            let due = self.accounts.values().filter_map(|state| state.schedule.due());
            let due = due.min().filter(|_| self.running.len() < AT_ONCE);
            let look = self.accounts.values().filter_map(|state| state.push_due).min();
            let inbox = self.shared.inbox.clone();
            tokio::select! {
                command = commands.recv() => match command {
                    Some(command) => self.obey(command, Instant::now()),
                    None => return,
                },
                Some(run) = self.running.join_next_with_id() => match run {
                    Ok((id, (name, outcome))) => self.ended(id, &name, outcome).await,
                    Err(error) => self.broke(&error).await,
                },
                Some(news) = connections.recv() => self.connection_event(news, Instant::now()).await,
                () = inbox.details_are_wanted() => self.fetch_details(),
                interruption = next(&mut self.interruptions) => self.interrupted(interruption),
                () = tokio::time::sleep_until(due.unwrap_or(now)), if due.is_some() => {}
                () = tokio::time::sleep_until(look.unwrap_or(now)), if look.is_some() => {
                    self.look_for_pushes(Instant::now()).await;
                }
            }
        }
    }

    fn begin_due(&mut self, now: Instant) {
        for (name, state) in &mut self.accounts {
            if self.running.len() >= AT_ONCE || state.schedule.due().is_none_or(|due| due > now) {
                continue;
            }
            let run = state.schedule.begin(now);
            let is_reliant = state.reach.relies_on_pushes(state.account.way_in_force());
            let recording = if run == Run::Record { state.incoming.pop_front() } else { None };
            let recording = recording.map(|(incoming, recorded)| {
                state.recorded = Some(recorded);
                if !state.incoming.is_empty() {
                    state.schedule.record(now);
                }
                let judge = Arc::clone(&state.judge);
                Recording { incoming, judge, is_last_try: state.failed_recordings + 1 >= TRIES }
            });
            let check = Check {
                shared: Arc::clone(&self.shared),
                account: state.account.clone(),
                sign_in: state.sign_in.clone(),
                server: self.server.clone(),
                is_thorough: state.schedule.is_switched_off() || is_reliant,
                recording,
            };
            let name = Arc::clone(name);
            state.run = Some(self.running.spawn(async move { (name, check.run(run).await) }));
        }
    }

    fn tell_catching_up(&mut self) {
        let is_catching_up = self.accounts.values().any(|state| state.schedule.is_catching_up());
        if std::mem::replace(&mut self.is_catching_up, is_catching_up) != is_catching_up {
            self.tell(Event::CatchingUp(is_catching_up));
        }
    }

    fn obey(&mut self, command: CatchUpCommand, now: Instant) {
        match command {
            CatchUpCommand::Accounts(accounts) => self.take_accounts(&accounts),
            CatchUpCommand::Server(server) => {
                if self.server != server {
                    // The pusher's URL may have changed.
                    self.server = server;
                    self.want_all(now);
                }
            }
            CatchUpCommand::Missing(Missing::After { account }) => {
                if let Some(state) = self.accounts.get_mut(&*account) {
                    state.schedule.catch_up_after(LONG_GAP, now);
                }
            }
            CatchUpCommand::Missing(Missing::Anywhere) => {
                self.network_changed();
                self.want_all(now);
            }
            CatchUpCommand::LookForRead(account) => {
                if let Some(state) = self.accounts.get_mut(&*account) {
                    state.schedule.look_for_read(now);
                }
            }
            CatchUpCommand::Look => {
                self.accounts.values_mut().for_each(|state| state.schedule.look_within(Duration::ZERO, now));
            }
        }
    }

    /// Pushes have arrived without content.
    fn fetch_details(&mut self) {
        let now = Instant::now();
        let with_ids_alone = self.accounts.values_mut().filter(|state| state.sign_in.event_id_only);
        with_ids_alone.for_each(|state| state.schedule.fetch_details(now));
    }

    fn interrupted(&mut self, interruption: Interruption) {
        match interruption {
            Interruption::ClockJumped => tracing::info!("the clock was set, or the computer slept"),
            Interruption::NetworkCame => tracing::debug!("a network has come"),
        }
        self.network_changed();
        self.want_all(Instant::now());
    }

    /// Earlier pushes no longer prove that pushes arrive, and connections may be dead.
    fn network_changed(&mut self) {
        self.encryption.reconnect();
        self.relays.reconnect();
        for (name, state) in &mut self.accounts {
            state.reach.network_changed();
            self.encryption.listen(Arc::clone(name), state.listens());
        }
        self.tell_status();
    }

    /// Handles news of a held sync or a relay.
    async fn connection_event(&mut self, ConnectionNews { account: name, event }: ConnectionNews, now: Instant) {
        if self.by_hand.connection_event(&name, &event) {
            self.tell_of_refusals();
            self.tell_status();
            return;
        }
        let Some(state) = self.accounts.get_mut(&name) else { return };
        match event {
            ConnectionEvent::Connected => {
                state.refused = None;
                let was_lost = matches!(state.reach.is_connected.replace(Ok(())), Some(Err(_)));
                if was_lost && state.account.relay_address().is_some() {
                    // The homeserver may be backing off from the relay; setting the pusher again ends that.
                    state.schedule.catch_up(now);
                }
            }
            ConnectionEvent::Lost(reason) => state.reach.is_connected = Some(Err(reason)),
            ConnectionEvent::Refused(reason) => {
                state.refused = Some(reason.clone());
                state.reach.is_connected = Some(Err(reason));
            }
            ConnectionEvent::Arrived { incoming, recorded } => {
                state.incoming.push_back((incoming, recorded));
                state.schedule.record(now);
                return;
            }
        }
        self.tell_of_refusals();
        self.look_for_push(&name).await;
        self.tell_status();
    }

    async fn look_for_pushes(&mut self, now: Instant) {
        let due = self
            .accounts
            .iter_mut()
            .filter_map(|(name, state)| state.push_due.take_if(|due| *due <= now).map(|_| Arc::clone(name)));
        for name in due.collect::<Vec<_>>() {
            self.look_for_push(&name).await;
        }
        self.tell_status();
    }

    /// Stops listening on an account if a push has arrived since the network changed.
    async fn look_for_push(&mut self, name: &Arc<str>) {
        let last = self.shared.inbox.last_push(Arc::clone(name)).await.ok().flatten();
        let Some(state) = self.accounts.get_mut(name) else { return };
        let did_listen = state.listens();
        state.reach.pushed_at(last);
        if state.listens() != did_listen {
            tracing::info!(account = &**name, "pushes arrive: listening ends");
            self.encryption.listen(Arc::clone(name), state.listens());
        }
        if state.reach.relies_on_pushes(state.account.way_in_force()) {
            state.schedule.look_within(PROOF_LIFE, Instant::now());
        }
    }

    fn want_all(&mut self, now: Instant) {
        self.accounts.values_mut().for_each(|state| state.schedule.catch_up(now));
    }

    /// Takes over changed accounts. A session that had ended may work again.
    fn take_accounts(&mut self, accounts: &Accounts) {
        let now = Instant::now();
        let mark = self.shared.secrets.installation_mark();
        let mut before = std::mem::take(&mut self.accounts);
        for account in accounts.iter() {
            let Some(sign_in) = account.sign_in.clone() else { continue };
            let same = before.remove(&account.name).filter(|state| state.account == *account);
            let state = same.map_or_else(
                || {
                    let judge = Judge::new(&self.shared.secrets, &sign_in);
                    AccountState::new(account.clone(), sign_in, judge, &mark, now)
                },
                |mut state| {
                    state.schedule.revive(now);
                    state
                },
            );
            self.encryption.listen(Arc::clone(&account.name), state.listens());
            self.accounts.insert(Arc::clone(&account.name), state);
        }
        // Removed or changed accounts.
        for (name, state) in before {
            if let Some(run) = state.run {
                run.abort();
            }
            if !self.accounts.contains_key(&name) {
                self.encryption.listen(name, false);
            }
        }
        self.by_hand.take(accounts);
        let own = self.accounts.values().filter(|state| !state.is_copy);
        self.relays.follow(own.map(|state| &state.account).chain(self.by_hand.accounts()));
        if self.accounts.is_empty() && self.by_hand.accounts().next().is_none() {
            self.interruptions = None;
        } else if self.interruptions.is_none() {
            self.interruptions = Some(Interruptions::watch());
        }
        self.tell_status();
    }

    /// A run has panicked, or was aborted: then no account refers to it.
    async fn broke(&mut self, error: &JoinError) {
        let is_run = |state: &AccountState| state.run.as_ref().is_some_and(|handle| handle.id() == error.id());
        let name = self.accounts.iter().find_map(|(name, state)| is_run(state).then(|| Arc::clone(name)));
        let Some(name) = name else { return };
        tracing::error!(account = &*name, "a run of catching up has failed: {error}");
        self.ended(error.id(), &name, Outcome::broken()).await;
    }

    async fn ended(&mut self, run: Id, name: &Arc<str>, outcome: Outcome) {
        let is_run = |state: &&mut AccountState| state.run.as_ref().is_some_and(|handle| handle.id() == run);
        let Some(state) = self.accounts.get_mut(name).filter(is_run) else { return };
        state.run = None;
        let is_recorded = outcome.ending == Ending::Completed;
        if let Some(recorded) = state.recorded.take() {
            if state.listens() {
                state.push_due = Some(Instant::now() + PUSH_DELAY);
            }
            state.failed_recordings = if is_recorded { 0 } else { state.failed_recordings.saturating_add(1) };
            // The receiver is gone if the sync was given up; the homeserver then sends it again.
            recorded.send(is_recorded).ok();
        }
        state.schedule.end(outcome.ending, Instant::now());
        if let Some(says) = outcome.says {
            state.catching_up = says;
        }
        if let Some(at) = outcome.completed_at {
            state.caught_up_at = Some(at);
        }
        // Every run that catches up has reported so.
        self.is_catching_up |= outcome.completed_at.is_some();
        if outcome.completed_at.is_some() || outcome.ending == Ending::SwitchedOff {
            let was_over = state.end.take().is_some();
            if !state.is_end_forgotten {
                state.is_end_forgotten = true;
                self.told_of_end(name, None).await;
            }
            if was_over {
                self.tell_of_ends();
            }
        }
        if let Some(end) = outcome.session_end {
            self.session_is_over(name, end).await;
        }
        self.look_for_push(name).await;
        if let Some(state) = self.accounts.get_mut(name)
            && let Some(at) = outcome.completed_at
            && state.reach.looked(outcome.pushes, at)
        {
            tracing::info!(account = &**name, "pushes may no longer arrive: listening until one does");
            self.encryption.listen(Arc::clone(name), state.listens());
        }
        self.tell_status();
    }

    /// The person is notified once of the end of each session.
    async fn session_is_over(&mut self, name: &Arc<str>, end: SessionEnd) {
        let Some(state) = self.accounts.get_mut(name) else { return };
        state.is_end_forgotten = false;
        let session = state.session(&end);
        state.end = Some(end);
        let was_told = self.shared.inbox.is_logout_notified(Arc::clone(name), session.clone()).await;
        // An unusable inbox is reported elsewhere, and being notified twice is harmless.
        if !was_told.unwrap_or(false) {
            self.tell_of_ends();
            self.told_of_end(name, Some(session)).await;
        }
    }

    async fn told_of_end(&self, name: &Arc<str>, session: Option<String>) {
        if let Err(error) = self.shared.inbox.set_logout_notified(Arc::clone(name), session).await {
            tracing::warn!("{error}");
        }
    }

    /// Reports the sessions that have ended.
    fn tell_of_ends(&self) {
        let ends = self.accounts.values().filter_map(|state| {
            let (reason, receives_messages) = match state.end.as_ref()? {
                SessionEnd::Over(reason) => (reason, false),
                SessionEnd::NoToken(reason) => (reason, !state.listens()),
            };
            let (user, command) = (&state.sign_in.user_id, state.sign_in_command());
            Some(words::session_ended(user, reason, receives_messages, &command))
        });
        let ends: Vec<_> = ends.collect();
        self.tell(Event::Problem(ProblemKind::SignIn, (!ends.is_empty()).then(|| ends.join("\n"))));
    }

    /// Reports the relays that refuse access.
    fn tell_of_refusals(&self) {
        let signed_in = self.accounts.values();
        let refusals = signed_in.filter_map(|state| Some((&*state.sign_in.user_id, state.refused.as_deref()?)));
        let refusals = refusals.chain(self.by_hand.refusals());
        let refusals: Vec<_> = refusals.map(|(who, reason)| words::relay_refuses(who, reason)).collect();
        self.tell(Event::Problem(ProblemKind::Relay, (!refusals.is_empty()).then(|| refusals.join("\n"))));
    }

    fn tell_status(&self) {
        let status = self.accounts.iter().map(|(name, state)| (name.to_string(), state.status()));
        self.tell(Event::SignedIn(status.chain(self.by_hand.statuses()).collect()));
    }

    fn tell(&self, event: Event) {
        // A closed channel means that the program is ending.
        drop(self.shared.events.send(event));
    }
}

async fn next(interruptions: &mut Option<Interruptions>) -> Interruption {
    match interruptions {
        Some(interruptions) => interruptions.next().await,
        None => std::future::pending().await,
    }
}
