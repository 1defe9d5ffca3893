//! Answers to commands.

use super::{
    AppRequest, Controller,
    refresh::{badge, target},
};
use crate::{
    app_info,
    control::{AccountStatus, InboxStatus, MutedRoomStatus, Reply, Request, Status},
    desktop::{Desktop, ServiceState},
    inbox::{InboxError, MutedRoom, OnScreen, Read, Snapshot, Totals},
    notice::NoticeId,
    present::{popup::ProblemKind, words},
    push::notify::SoundTweak,
};

/// Status of a service that has not reported yet.
const NOT_YET: &str = "the session bus has not answered yet";

fn muted_room(MutedRoom { room, name, until }: &MutedRoom) -> MutedRoomStatus {
    MutedRoomStatus { account: room.account.clone(), name: name.clone(), until: *until }
}

/// What the page can do with a notice.
enum PageAct {
    Open,
    Read,
    Reply(String),
}

impl<D: Desktop> Controller<D> {
    pub(super) async fn answer(&mut self, request: Request) -> Reply {
        match request {
            Request::Status => return Reply::Status(Box::new(self.status().await)),
            Request::Clear => self.clear().await,
            Request::ClearAccount { account } => self.read_now(Read::Account(account)).await,
            Request::Pause { until } => self.pause_until(until).await,
            Request::Resume => self.resume().await,
            Request::Unmute => self.unmute(None).await,
            Request::OpenNotice { notice } => return self.answer_page(notice, PageAct::Open).await,
            Request::ReadNotice { notice } => return self.answer_page(notice, PageAct::Read).await,
            Request::ReplyToNotice { notice, text } => return self.answer_page(notice, PageAct::Reply(text)).await,
            Request::Play { sound } => self.parts.desktop.play(&SoundTweak::Named(sound)),
            Request::EditConfiguration => self.request(AppRequest::OpenConfiguration { token: None }),
            // `app` has read the files before this request arrives. Commands waiting for a push are answered when one
            // comes.
            Request::ReloadAccounts
            | Request::ReloadConfiguration
            | Request::ReloadAutostart
            | Request::Reconnect
            | Request::BeginSample
            | Request::OpenPage { .. }
            | Request::WaitForPush { .. } => return Reply::Done,
        }
        let problem = self.problems.open.get(&ProblemKind::Inbox);
        problem.map_or(Reply::Done, |reason| Reply::Failed { reason: reason.clone() })
    }

    /// Performs a page's request about a notice.
    async fn answer_page(&mut self, id: NoticeId, act: PageAct) -> Reply {
        let failed = |reason: String| Reply::Failed { reason };
        let notice = match self.parts.inbox.notice(id).await {
            Ok(Some(notice)) => notice,
            Ok(None) => return failed("it is no longer kept".to_owned()),
            Err(error) => return failed(error.to_string()),
        };
        match act {
            PageAct::Open => self.open_notice(&notice, None),
            PageAct::Read => {
                self.send_notice_receipt(&notice);
                self.read_notice(&notice);
            }
            PageAct::Reply(text) => {
                if let Err(reason) = self.reply(&notice.room(), id, &target(&notice), text.trim()).await {
                    return failed(reason);
                }
                self.read_notice(&notice);
            }
        }
        self.refresh().await;
        Reply::Done
    }

    /// Answers the commands that wait for a push that has come, and drops those that have disconnected.
    pub(super) fn answer_waiting_for_push(&mut self) {
        for (account, since, reply) in std::mem::take(&mut self.awaiting_push) {
            let state = self.snapshot.accounts.iter().find(|state| state.account == account);
            match state.and_then(|state| state.last_push).filter(|at| *at > since) {
                Some(at) => drop(reply.send(Reply::Pushed { at })),
                None if reply.is_closed() => {}
                None => self.awaiting_push.push((account, since, reply)),
            }
        }
    }

    /// The status, from a fresh snapshot; changes nothing. An unusable inbox is listed as a problem.
    async fn status(&self) -> Status {
        let read = async {
            let snapshot = self.parts.inbox.snapshot(OnScreen::default()).await?;
            Ok::<_, InboxError>((snapshot, self.parts.inbox.totals().await?))
        };
        let mut problems = self.problems.open.clone();
        let (snapshot, Totals { notices, unshown }) = read.await.unwrap_or_else(|error| {
            problems.insert(ProblemKind::Inbox, error.to_string());
            (self.snapshot.clone(), Totals { notices: 0, unshown: self.snapshot.waiting_notices })
        });
        let badge = badge(&snapshot);
        Status {
            running: true,
            version: app_info::VERSION.into(),
            pid: std::process::id(),
            since: self.started_at,
            listen: self.listening.addresses.iter().map(ToString::to_string).collect(),
            public_url: self.parts.config.server.base_url(),
            tls: self.listening.tls.clone(),
            unread: badge.unread,
            missed_calls: badge.missed_calls,
            paused_until: self.pause.map(|pause| pause.until()),
            muted: self.muted,
            muted_rooms: self.muted_rooms().map(muted_room).collect(),
            inbox: InboxStatus { notices, unshown },
            accounts: self.account_states(&snapshot),
            popup: self.popup_state(),
            tray: self.tray_state(),
            sound: self.desktop_state.sound.clone(),
            no_tray: !self.parts.tray,
            is_starting: self.desktop_state.popups.is_none()
                || self.parts.tray && self.desktop_state.tray_host.is_none(),
            problems: problems.iter().map(|(kind, reason)| format!("{}: {reason}", words::problem(*kind))).collect(),
            warnings: self.listening.warnings.clone(),
        }
    }

    fn account_states(&self, snapshot: &Snapshot) -> Vec<AccountStatus> {
        let status = |account: &crate::accounts::Account| {
            let state = snapshot.accounts.iter().find(|state| *state.account == *account.name);
            AccountStatus {
                name: account.name.to_string(),
                app_id: account.app_id.clone(),
                unread: state.map_or(0, |state| state.unread),
                missed_calls: state.map_or(0, |state| state.missed_calls),
                way: account.way_in_force(),
                last_push: state.and_then(|state| state.last_push),
                encryption: self.encryption.get(&*account.name).cloned().unwrap_or_default(),
                sign_in: self.sessions.get(&*account.name).cloned().unwrap_or_default(),
            }
        };
        self.parts.accounts.iter().map(status).collect()
    }

    /// A service that refuses popups is present and will be retried, but shows nothing now.
    fn popup_state(&self) -> ServiceState {
        let reason = match (&self.desktop_state.popups, &self.refusal) {
            (Some(service), None) => return service.clone(),
            (Some(service), Some(_)) if !service.available => return service.clone(),
            (_, Some(refusal)) => refusal.clone(),
            (None, None) => NOT_YET.into(),
        };
        ServiceState::unavailable(reason)
    }

    fn tray_state(&self) -> ServiceState {
        let reason = if self.parts.tray { NOT_YET } else { "turned off with --no-tray" };
        self.desktop_state.tray_host.clone().unwrap_or_else(|| ServiceState::unavailable(reason))
    }
}
