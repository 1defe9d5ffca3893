//! Watches the rooms of ringing calls of signed-in accounts. Homeservers push only the invite: only the room shows that
//! a call was answered elsewhere or hung up.
//!
//! One task, idle while nothing rings. It requests one room at a time, and tells the inbox how a call ended. If the
//! account's sync covers the room (`crate::encryption`), the task looks when the sync reports something new, else every
//! two seconds.

use std::{collections::BTreeMap, time::Duration};

use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};

use crate::{
    accounts::{Accounts, SignIn},
    backoff::Backoff,
    controller::RingingCall,
    encryption::{CallNews, Encryption},
    homeserver::{HomeserverClient, HomeserverError},
    http_client::{TransportError, TransportFault},
    inbox::Inbox,
    notice::NoticeId,
    push::{
        event::{self, CallEnding, Meaning},
        listed::RoomEvent,
    },
    secrets::Secrets,
    session::{SessionError, Sessions, SignedIn},
};

/// Polling interval.
const INTERVAL: Duration = Duration::from_secs(2);
/// Maximum polling interval after failures.
const MAX_INTERVAL: Duration = Duration::from_secs(30);
/// Deadline of a request.
const DEADLINE: Duration = Duration::from_secs(5);
/// How many of a room's newest events are requested; fewer if they exceed the size limit of an answer.
const EVENTS: usize = 30;

/// Handle to the task.
#[derive(Debug)]
pub(super) struct CallWatch {
    calls: watch::Sender<Vec<Watched>>,
}

/// A ringing call with the session of its account.
#[derive(Debug, Clone)]
struct Watched {
    call: RingingCall,
    sign_in: SignIn,
}

/// State of watching one call.
struct Progress {
    due: Instant,
    /// Until then the account's sync reports what is new in the room.
    watched_until: Instant,
    backoff: Backoff,
    /// Whether the last request failed.
    has_failed: bool,
    limit: usize,
    /// Whether the call was among the newest events before: if it no longer is, all of them are newer.
    has_seen_call: bool,
    signed_in: Option<SignedIn>,
}

struct Watcher {
    inbox: Inbox,
    sessions: Sessions,
    encryption: Encryption,
}

impl CallWatch {
    /// Starts the task.
    pub(super) fn start(
        inbox: Inbox,
        secrets: Secrets,
        encryption: Encryption,
        news: mpsc::UnboundedReceiver<CallNews>,
    ) -> Self {
        let (calls, ringing) = watch::channel(Vec::new());
        let watcher = Watcher { inbox, sessions: Sessions::new(secrets), encryption };
        tokio::spawn(watcher.run(ringing, news));
        Self { calls }
    }

    /// Sets the ringing calls to watch.
    pub(super) fn watch(&self, calls: Vec<RingingCall>, accounts: &Accounts) {
        let watched = calls.into_iter().filter_map(|call| {
            let sign_in = accounts.find(&call.account)?.sign_in.clone()?;
            Some(Watched { call, sign_in })
        });
        self.calls.send_replace(watched.collect());
    }
}

impl Watcher {
    async fn run(self, mut calls: watch::Receiver<Vec<Watched>>, mut news: mpsc::UnboundedReceiver<CallNews>) {
        let mut all_progress: BTreeMap<NoticeId, Progress> = BTreeMap::new();
        loop {
            let ringing = calls.borrow_and_update().clone();
            all_progress.retain(|call, _| ringing.iter().any(|watched| watched.call.notice == *call));
            for watched in &ringing {
                all_progress.entry(watched.call.notice).or_insert_with(Progress::new);
            }
            let due = |watched: &&Watched| all_progress.get(&watched.call.notice).map(|progress| progress.due);
            let next = ringing.iter().min_by_key(due);
            let Some((watched, due)) = next.and_then(|watched| Some((watched, due(&watched)?))) else {
                tokio::select! {
                    changed = calls.changed() => if changed.is_err() {
                        return;
                    },
                    // News about calls that no longer ring are dropped.
                    Some(_) = news.recv() => {}
                }
                continue;
            };
            tokio::select! {
                biased;
                Some(news) = news.recv() => {
                    let of_account = ringing.iter().filter(|watched| *watched.call.account == *news.account);
                    for call in of_account.map(|watched| watched.call.notice) {
                        all_progress.entry(call).and_modify(|progress| progress.take(&news));
                    }
                    continue;
                }
                () = tokio::time::sleep_until(due) => {}
                changed = calls.changed() => match changed {
                    Ok(()) => continue,
                    Err(_) => return,
                }
            }
            if let Some(progress) = all_progress.get_mut(&watched.call.notice) {
                self.look(watched, progress).await;
            }
        }
    }

    /// Requests the call's room once, and sets when to do so again.
    async fn look(&self, watched: &Watched, progress: &mut Progress) {
        let Watched { call, sign_in } = watched;
        let limit = progress.limit;
        let newest = |client: HomeserverClient| async move {
            client.newest_events(&call.room_id, limit).await.map_err(SessionError::from)
        };
        match self.sessions.ask_over(&mut progress.signed_in, sign_in, DEADLINE, newest).await {
            Ok(events) => {
                progress.succeeded();
                let events = self.encryption.read_events(&call.account, &call.room_id, events).await;
                if let Some(ending) = progress.ending(call, &sign_in.user_id, &events)
                    && let Err(error) = self.inbox.end_call(call.notice, ending).await
                {
                    tracing::debug!("what has become of a call is not noted: {error}");
                }
            }
            Err(error) => {
                tracing::debug!(account = call.account, "a room with a call cannot be looked at: {error}");
                progress.failed(&error);
            }
        }
    }
}

impl Progress {
    fn new() -> Self {
        Self {
            due: Instant::now(),
            watched_until: Instant::now(),
            backoff: Backoff::new(INTERVAL, MAX_INTERVAL),
            has_failed: false,
            limit: EVENTS,
            has_seen_call: false,
            signed_in: None,
        }
    }

    fn succeeded(&mut self) {
        self.backoff.reset();
        self.has_failed = false;
        self.due = self.watched_until.max(Instant::now() + INTERVAL);
    }

    /// Handles news of the sync between two requests.
    fn take(&mut self, news: &CallNews) {
        self.watched_until = news.watched_until;
        if news.is_new && !self.has_failed {
            self.due = self.due.min(Instant::now());
        }
    }

    fn failed(&mut self, error: &SessionError) {
        let mut wait = self.backoff.next();
        self.has_failed = true;
        match error {
            SessionError::Homeserver(HomeserverError::Transport(TransportError {
                fault: TransportFault::TooLarge,
                ..
            })) => self.limit = (self.limit / 4).max(1),
            SessionError::Homeserver(HomeserverError::Refused(refusal)) => {
                wait = wait.max(refusal.retry_after.unwrap_or_default());
            }
            SessionError::Homeserver(_)
            | SessionError::Over(_)
            | SessionError::NoToken(_)
            | SessionError::Secrets(_)
            | SessionError::OAuth(_) => {}
        }
        self.due = Instant::now() + wait;
    }

    /// How the call has ended according to its room's newest events, newest first. An answer followed by a hangup
    /// counts as answered. Nothing is concluded before the call itself was seen: all the events may be older.
    fn ending(&mut self, call: &RingingCall, me: &str, events: &[RoomEvent]) -> Option<CallEnding> {
        let position = events.iter().position(|event| event.event_id == call.event_id);
        self.has_seen_call |= position.is_some();
        let after = events.get(..position.unwrap_or(events.len())).filter(|_| self.has_seen_call)?;
        let endings: Vec<_> = after.iter().filter_map(|event| what_it_ends(event, call, me)).collect();
        endings.iter().find(|ending| **ending == CallEnding::Taken).or(endings.first()).copied()
    }
}

/// How an event after the call ends it.
fn what_it_ends(event: &RoomEvent, call: &RingingCall, me: &str) -> Option<CallEnding> {
    if event.sender == me {
        return (!event.is_of_this_session).then_some(CallEnding::Taken);
    }
    let is_callers = event.sender == call.caller;
    if let Meaning::CallOver { call_id, ending } = event::meaning(Some(&event.event_type), Some(&event.content))
        && call_id == call.call_id
    {
        return Some(if is_callers { ending } else { CallEnding::Taken });
    }
    (is_callers && event::is_leaving_call(&event.event_type, &event.content)).then_some(CallEnding::Hangup)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: &str = "@me:hs";

    fn call() -> RingingCall {
        RingingCall {
            notice: NoticeId(1),
            account: "home".to_owned(),
            room_id: "!r".to_owned(),
            event_id: "$call".to_owned(),
            call_id: "c".to_owned(),
            caller: "@bob:hs".to_owned(),
        }
    }

    fn event(sender: &str, event_type: &str, content: &str) -> RoomEvent {
        RoomEvent {
            event_id: format!("${event_type} by {sender}"),
            sender: sender.to_owned(),
            event_type: event_type.to_owned(),
            content: content.to_owned(),
            is_of_this_session: false,
        }
    }

    fn invite() -> RoomEvent {
        RoomEvent { event_id: "$call".to_owned(), ..event("@bob:hs", "m.call.invite", r#"{"call_id":"c"}"#) }
    }

    /// How these events after the call end it; newest first.
    fn ending(after: &[RoomEvent]) -> Option<CallEnding> {
        let older = event(ME, "m.room.message", "{}");
        let events = [after, &[invite(), older]].concat();
        Progress::new().ending(&call(), ME, &events)
    }

    #[test]
    fn later_events_of_the_room_show_how_a_call_ended() {
        let over = |sender: &str, what: &str| event(sender, &format!("m.call.{what}"), r#"{"call_id":"c"}"#);
        let (taken, hung_up) = (Some(CallEnding::Taken), Some(CallEnding::Hangup));
        assert_eq!(ending(&[]), None);
        assert_eq!(ending(&[event("@bob:hs", "m.room.message", "{}")]), None);
        assert_eq!(ending(&[event(ME, "m.room.message", "{}")]), taken, "whoever writes elsewhere knows of the call");
        assert_eq!(ending(&[RoomEvent { is_of_this_session: true, ..event(ME, "m.room.message", "{}") }]), None);
        assert_eq!(ending(&[over("@carol:hs", "answer")]), taken);
        assert_eq!(ending(&[over("@carol:hs", "hangup")]), taken);
        assert_eq!(ending(&[over("@bob:hs", "select_answer")]), taken);
        assert_eq!(ending(&[over("@bob:hs", "hangup")]), hung_up);
        assert_eq!(ending(&[over("@bob:hs", "hangup"), over(ME, "answer")]), taken, "and then it was over");
        assert_eq!(ending(&[event("@bob:hs", "m.call.hangup", r#"{"call_id":"another"}"#)]), None);
        let member = |sender: &str, content: &str| event(sender, "org.matrix.msc3401.call.member", content);
        assert_eq!(ending(&[member("@bob:hs", "{}")]), hung_up, "the caller has left");
        assert_eq!(ending(&[member("@bob:hs", r#"{"device_id":"A"}"#)]), None);
        assert_eq!(ending(&[member("@carol:hs", "{}")]), None);
        for odd in ["", "7", "[]", "{"] {
            assert_eq!(ending(&[member("@bob:hs", odd), event("@bob:hs", "m.call.hangup", odd)]), None, "{odd}");
        }
    }

    #[test]
    fn nothing_is_concluded_before_the_call_has_been_seen() {
        let mut progress = Progress::new();
        let mine = [event(ME, "m.room.message", "{}")];
        assert_eq!(progress.ending(&call(), ME, &mine), None, "it may be older than the call");
        assert_eq!(progress.ending(&call(), ME, &[invite()]), None);
        assert_eq!(progress.ending(&call(), ME, &mine), Some(CallEnding::Taken), "many have come since");
    }

    #[tokio::test(start_paused = true)]
    async fn a_room_covered_by_a_sync_is_polled_when_the_sync_reports() {
        let (mut progress, start) = (Progress::new(), Instant::now());
        let news = |is_new, seconds| CallNews {
            account: "home".into(),
            is_new,
            watched_until: start + Duration::from_secs(seconds),
        };
        progress.take(&news(false, 22));
        assert_eq!(progress.due, start, "it has not been looked at yet");
        progress.succeeded();
        assert_eq!(progress.due, start + Duration::from_secs(22));
        progress.take(&news(true, 0));
        assert_eq!(progress.due, start);
        progress.succeeded();
        assert_eq!(progress.due, start + INTERVAL, "nobody watches it");
        let failed = HomeserverError::Unexpected { path: String::new(), missing: "chunk" };
        progress.failed(&failed.into());
        let due = progress.due;
        progress.take(&news(true, 0));
        assert_eq!(progress.due, due, "a homeserver that fails is left in peace");
    }

    #[tokio::test(start_paused = true)]
    async fn failed_requests_back_off_and_ask_for_less() {
        let mut progress = Progress::new();
        let mut wait = |error: HomeserverError| {
            progress.failed(&error.into());
            (progress.due - Instant::now(), progress.limit)
        };
        let failed =
            |fault| HomeserverError::Transport(TransportError { host: String::new(), fault, reason: String::new() });
        let too_large = [30, 7, 1, 1].map(|_| wait(failed(TransportFault::TooLarge)));
        assert_eq!(too_large.map(|(_, limit)| limit), [7, 1, 1, 1]);
        assert!(too_large[3].0 > 10 * INTERVAL / 2, "{too_large:?}");
        let refusal = crate::homeserver::Refusal {
            path: String::new(),
            status: hyper::StatusCode::TOO_MANY_REQUESTS,
            errcode: "M_LIMIT_EXCEEDED".to_owned(),
            error: String::new(),
            retry_after: Some(Duration::from_secs(90)),
            soft_logout: false,
        };
        assert_eq!(wait(HomeserverError::Refused(Box::new(refusal))).0, Duration::from_secs(90));
        progress.succeeded();
        assert_eq!(progress.due - Instant::now(), INTERVAL);
    }
}
