//! Popups where the system takes them by a call that blocks: a thread of their own makes it.
//!
//! A call is never abandoned, for it may still be obeyed: while it is overdue, popups are unavailable.

#[cfg(any(windows, test))]
pub(in crate::platform) mod toast_xml;

use std::{sync::mpsc::SyncSender, thread, time::Duration};

use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

use crate::{
    desktop::{DesktopEvent, PopupCall, PopupEvent, ServiceState},
    notice::NoticeId,
    present::popup::{Popup, PopupKey},
};

/// How long the system may take to show a popup.
const CALL_DEADLINE: Duration = Duration::from_secs(10);

const HUNG: &str = "the system does not answer when a popup is to be shown";
const ENDED: &str = "the thread of popups has ended: start Pushbell again";

/// Shows popups on the thread that it was made on. Each has an id that stays the same for the same key: see [`id_of`].
pub(in crate::platform) trait Presenter {
    /// Hands the popup to the system, in place of the one with the same id; returns when the system has it.
    ///
    /// # Errors
    /// Why it does not.
    fn present(&mut self, id: u32, popup: &Popup) -> Result<(), String>;

    /// Closes the popup with this id, if there is one, as far as the system can.
    fn close(&mut self, id: u32);
}

/// By which id the system knows the popup with this key. The same in each run: a popup of an earlier one is replaced.
pub(in crate::platform) fn id_of(key: &PopupKey) -> u32 {
    let parts = match key {
        PopupKey::Room(room) => ["room", &room.account, room.room.as_str()].join("\0"),
        PopupKey::Call(NoticeId(number)) => format!("call\0{number}"),
        PopupKey::Summary => "summary".to_owned(),
        PopupKey::Own(own) => format!("own\0{own:?}"),
    };
    // FNV-1a. What collides is replaced too early, no more.
    parts.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// Passes calls to the system. Its events are [`DesktopEvent::Popup`].
#[derive(Debug)]
pub(in crate::platform) struct Popups(mpsc::UnboundedSender<PopupCall>);

impl Popups {
    /// Starts the task, on the tokio runtime of this thread, and the thread. `presenter` makes what shows popups, on
    /// that thread, or says why nothing can.
    #[must_use]
    pub(in crate::platform) fn start<P: Presenter>(
        presenter: impl FnOnce() -> Result<P, String> + Send + 'static,
        events: mpsc::UnboundedSender<DesktopEvent>,
    ) -> Self {
        // The caller waits for each answer: there is never more than one call in it.
        let (calls, receiver) = mpsc::unbounded_channel();
        let (thread, answers) = start_thread(presenter);
        tokio::spawn(Worker { events, told: None }.run(receiver, thread, answers));
        Self(calls)
    }

    /// Makes a call.
    pub(in crate::platform) fn call(&self, call: PopupCall) {
        if self.0.send(call).is_err() {
            tracing::error!("popups have ended");
        }
    }
}

/// The thread that makes the calls. Its first answer is whether there will be any popups; then one answer to each call.
/// It ends with the sender.
fn start_thread<P: Presenter>(
    presenter: impl FnOnce() -> Result<P, String> + Send + 'static,
) -> (SyncSender<PopupCall>, mpsc::UnboundedReceiver<Result<u32, String>>) {
    let (calls, called) = std::sync::mpsc::sync_channel::<PopupCall>(1);
    let (answer, answers) = mpsc::unbounded_channel();
    let refused = answer.clone();
    let work = move || {
        let mut presenter = presenter();
        // Whoever no longer listens is ending.
        let _ = answer.send(presenter.as_ref().map(|_| 0).map_err(Clone::clone));
        for call in called {
            let _ = answer.send(match &mut presenter {
                Ok(presenter) => perform(presenter, call),
                Err(reason) => Err(reason.clone()),
            });
        }
    };
    if let Err(error) = thread::Builder::new().name("popups".to_owned()).spawn(work) {
        let _ = refused.send(Err(format!("no thread could be started for popups: {error}")));
    }
    (calls, answers)
}

fn perform(presenter: &mut impl Presenter, call: PopupCall) -> Result<u32, String> {
    match call {
        PopupCall::Show { popup, replaces: _ } => {
            let id = id_of(&popup.key);
            presenter.present(id, &popup).map(|()| id)
        }
        PopupCall::Close(id) => {
            presenter.close(id);
            Ok(id)
        }
    }
}

struct Worker {
    events: mpsc::UnboundedSender<DesktopEvent>,
    told: Option<ServiceState>,
}

impl Worker {
    /// Until the last call was answered.
    async fn run(
        mut self,
        mut calls: mpsc::UnboundedReceiver<PopupCall>,
        thread: SyncSender<PopupCall>,
        mut answers: mpsc::UnboundedReceiver<Result<u32, String>>,
    ) {
        let started = self.wait(&mut answers).await;
        self.report(started.map(drop));
        while let Some(call) = calls.recv().await {
            let answer = match thread.try_send(call) {
                Ok(()) => self.wait(&mut answers).await,
                Err(_) => Err(ENDED.to_owned()),
            };
            let has_ended = answers.is_closed() && answers.is_empty();
            self.send(PopupEvent::Answer(answer));
            // A system that refuses a popup (the person has not allowed them yet) is there: it is asked again later.
            if has_ended {
                self.report(Err(ENDED.to_owned()));
            } else if self.told.as_ref().is_some_and(|told| told.reason.as_deref() == Some(HUNG)) {
                self.report(Ok(()));
            }
        }
    }

    /// Waits for an answer. While it is overdue, popups are unavailable.
    async fn wait(&mut self, answers: &mut mpsc::UnboundedReceiver<Result<u32, String>>) -> Result<u32, String> {
        let overdue = sleep_until(Instant::now() + CALL_DEADLINE);
        let answer = tokio::select! {
            biased;
            answer = answers.recv() => answer,
            () = overdue => {
                self.report(Err(HUNG.to_owned()));
                answers.recv().await
            }
        };
        answer.unwrap_or_else(|| Err(ENDED.to_owned()))
    }

    fn report(&mut self, outcome: Result<(), String>) {
        let state = ServiceState { available: outcome.is_ok(), reason: outcome.err() };
        if self.told.as_ref() != Some(&state) {
            // Nothing is known of the popups of an earlier run.
            self.send(PopupEvent::Service { id: None, state: state.clone() });
            self.told = Some(state);
        }
    }

    fn send(&self, event: PopupEvent) {
        if self.events.send(DesktopEvent::Popup(event)).is_err() {
            tracing::debug!("nobody listens to the desktop any more");
        }
    }
}

#[cfg(test)]
mod tests;
