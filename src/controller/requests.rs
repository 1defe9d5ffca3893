//! What commands ask of the running app.

use std::collections::BTreeMap;

use super::{Controller, ProblemKind};
use crate::{
    control::{AccountStatus, InboxStatus, Reply, Request, Status},
    desktop::{Desktop, ServiceState},
    identity,
    inbox::Totals,
};

impl<D: Desktop> Controller<D> {
    pub(super) async fn answer(&mut self, request: Request) -> Reply {
        match request {
            Request::Status => Reply::Status(Box::new(self.status().await)),
            Request::Clear => {
                self.clear().await;
                self.outcome()
            }
            Request::Pause { until } => {
                self.pause_until(until).await;
                self.outcome()
            }
            Request::Resume => {
                self.resume().await;
                self.outcome()
            }
            // Whoever reads the files has taken these up before they came here; who waits for a push is answered when
            // there is something to tell.
            Request::ReloadAccounts
            | Request::ReloadConfiguration
            | Request::ReloadAutostart
            | Request::WaitForPush { .. } => Reply::Done,
        }
    }

    /// Answers those who wait for a push that has come, and forgets those who have gone.
    pub(super) fn tell_of_pushes(&mut self) {
        for (account, since, reply) in std::mem::take(&mut self.awaiting_push) {
            let state = self.last.accounts.iter().find(|state| state.account == account);
            match state.and_then(|state| state.last_push).filter(|at| *at > since) {
                Some(at) => drop(reply.send(Reply::Pushed { at })),
                None if reply.is_closed() => {}
                None => self.awaiting_push.push((account, since, reply)),
            }
        }
    }

    fn outcome(&self) -> Reply {
        self.problems.get(&ProblemKind::Inbox).map_or(Reply::Done, |reason| Reply::Failed { reason: reason.clone() })
    }

    /// An inbox that cannot be used is among the problems.
    async fn status(&mut self) -> Status {
        self.refresh().await;
        let Totals { notices, unshown } = match self.parts.inbox.totals().await {
            Ok(totals) => totals,
            Err(error) => {
                self.inbox_failed(&error);
                Totals { notices: 0, unshown: self.last.waiting_notices }
            }
        };
        let badge = self.badge();
        let numbers: BTreeMap<&str, _> =
            self.last.accounts.iter().map(|account| (account.account.as_str(), account)).collect();
        Status {
            running: true,
            version: identity::VERSION.into(),
            pid: std::process::id(),
            since: self.started_at,
            listen: self.listening.addresses.iter().map(ToString::to_string).collect(),
            public_url: self.parts.config.server.base_url(),
            tls: self.listening.tls.clone(),
            unread: badge.unread,
            missed_calls: badge.missed_calls,
            paused_until: self.pause.map(|pause| pause.until()),
            muted: self.muted,
            inbox: InboxStatus { notices, unshown },
            accounts: self
                .parts
                .accounts
                .iter()
                .map(|account| {
                    let state = numbers.get(&*account.name);
                    AccountStatus {
                        name: account.name.to_string(),
                        app_id: account.app_id.clone(),
                        unread: state.map_or(0, |state| state.unread),
                        missed_calls: state.map_or(0, |state| state.missed_calls),
                        last_push: state.and_then(|state| state.last_push),
                        sign_in: self.sessions.get(&*account.name).cloned().unwrap_or_default(),
                    }
                })
                .collect(),
            popup: self.popup_state(),
            tray: self.tray_host.clone(),
            sound: self.sound.clone(),
            problems: self.problems.iter().map(|(topic, reason)| format!("{}: {reason}", topic.title())).collect(),
            warnings: self.listening.warnings.clone(),
        }
    }

    /// A service that is there and refuses popups is asked again by and by, but shows none now.
    fn popup_state(&self) -> ServiceState {
        let reason = match (&self.popup_service, &self.refusal) {
            (Some(service), None) => return service.clone(),
            (Some(service), Some(_)) if !service.available => return service.clone(),
            (_, Some(refusal)) => refusal.clone(),
            (None, None) => "the session bus has not answered yet".into(),
        };
        ServiceState { available: false, reason: Some(reason) }
    }
}
