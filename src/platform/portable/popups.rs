//! Popups by blocking calls of the system, on a thread of their own.
//!
//! A call is never abandoned, since it may still be executed: while it is overdue, popups are unavailable.

#[cfg(any(windows, test))]
pub(in crate::platform) mod toast_xml;

use std::{sync::mpsc, thread, time::Duration};

use tokio::{
    sync::{mpsc::UnboundedSender, oneshot},
    time::timeout,
};

use crate::{
    desktop::{DesktopEvent, PopupCall, PopupEvent, ServiceState},
    notice::NoticeId,
    present::popup::{Popup, PopupKey},
};

/// Deadline for showing a popup.
const CALL_DEADLINE: Duration = Duration::from_secs(10);

const HUNG: &str = "the system does not answer when a popup is to be shown";
const ENDED: &str = "the thread of popups has ended: start Pushbell again";

/// Shows popups, on the thread that created it. The id of a popup follows from its key: see [`id_of`].
pub(in crate::platform) trait Presenter {
    /// Shows the popup, in place of the one with the same id; returns when the system has accepted it.
    ///
    /// # Errors
    /// Why it was not accepted.
    fn present(&mut self, id: u32, popup: &Popup) -> Result<(), String>;

    /// Closes the popup with this id, if there is one and the system supports it.
    fn close(&mut self, id: u32);
}

/// The id of the popup with this key. It is the same in each run, so that popups of an earlier run are replaced.
pub(in crate::platform) fn id_of(key: &PopupKey) -> u32 {
    let parts = match key {
        PopupKey::Room(room) => ["room", &room.account, room.room.as_str()].join("\0"),
        PopupKey::Call(NoticeId(number)) => format!("call\0{number}"),
        PopupKey::Summary => "summary".to_owned(),
        PopupKey::Own(own) => format!("own\0{own:?}"),
    };
    // FNV-1a. A collision replaces a popup too early.
    parts.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

type Answer = Result<u32, String>;

/// Passes calls to the system. Its events are [`DesktopEvent::Popup`].
#[derive(Debug)]
pub(in crate::platform) struct Popups {
    calls: mpsc::Sender<(PopupCall, oneshot::Sender<Answer>)>,
    events: UnboundedSender<DesktopEvent>,
}

impl Popups {
    /// Starts the thread. `presenter` is called on it, and returns the presenter or why there is none.
    #[must_use]
    pub(in crate::platform) fn start<P: Presenter>(
        presenter: impl FnOnce() -> Result<P, String> + Send + 'static,
        events: UnboundedSender<DesktopEvent>,
    ) -> Self {
        let (calls, called) = mpsc::channel::<(PopupCall, oneshot::Sender<Answer>)>();
        let reports = events.clone();
        let work = move || {
            let mut presenter = presenter();
            report(&reports, presenter.as_ref().map(drop).map_err(Clone::clone));
            for (call, answer) in called {
                let _ = answer.send(match &mut presenter {
                    Ok(presenter) => perform(presenter, call),
                    Err(reason) => Err(reason.clone()),
                });
            }
        };
        if let Err(error) = thread::Builder::new().name("popups".to_owned()).spawn(work) {
            report(&events, Err(format!("no thread could be started for popups: {error}")));
        }
        Self { calls, events }
    }

    /// Makes a call. The caller waits for its answer before the next one. Needs a tokio runtime.
    pub(in crate::platform) fn call(&self, call: PopupCall) {
        let (answer, mut answered) = oneshot::channel();
        // A thread that has ended drops the sender of the answer.
        let _ = self.calls.send((call, answer));
        let events = self.events.clone();
        tokio::spawn(async move {
            let in_time = timeout(CALL_DEADLINE, &mut answered).await;
            let is_overdue = in_time.is_err();
            let answer = if let Ok(answer) = in_time {
                answer
            } else {
                report(&events, Err(HUNG.to_owned()));
                answered.await
            };
            let has_ended = answer.is_err();
            send(&events, PopupEvent::Answer(answer.unwrap_or_else(|_| Err(ENDED.to_owned()))));
            if has_ended {
                report(&events, Err(ENDED.to_owned()));
            } else if is_overdue {
                report(&events, Ok(()));
            }
        });
    }
}

fn perform(presenter: &mut impl Presenter, call: PopupCall) -> Answer {
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

/// Reports whether popups are available, without a service: popups of an earlier run are not adopted.
fn report(events: &UnboundedSender<DesktopEvent>, outcome: Result<(), String>) {
    let state = ServiceState { available: outcome.is_ok(), reason: outcome.err() };
    send(events, PopupEvent::Service { service: None, state });
}

fn send(events: &UnboundedSender<DesktopEvent>, event: PopupEvent) {
    if events.send(DesktopEvent::Popup(event)).is_err() {
        tracing::debug!("nobody listens to the desktop any more");
    }
}

#[cfg(test)]
mod tests;
