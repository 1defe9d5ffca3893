//! Popups where the system takes them by a call that blocks: a thread of their own makes it, one popup at a time.
//!
//! A call is never abandoned, for it may still be obeyed: while one is overdue, popups are refused, and what is to be
//! withdrawn waits.

pub(in crate::platform) mod tag;
#[cfg(any(windows, test))]
pub(in crate::platform) mod toast_xml;

use std::{collections::VecDeque, sync::mpsc::SyncSender, thread, time::Duration};

use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, sleep_until, timeout},
};

use crate::desktop::{DesktopEvent, ServiceState};
use crate::present::popup::{Popup, PopupKey, PopupSerial};

/// The identifier of a click on the popup itself.
pub(in crate::platform) const DEFAULT_ACTION: &str = "default";

/// How long the system may take to show a popup.
const CALL_DEADLINE: Duration = Duration::from_secs(10);

/// How long the last popups may take.
const CLOSE_DEADLINE: Duration = Duration::from_secs(3);

/// Popups that may wait to be shown, and popups that may wait to be withdrawn.
const MAX_WAITING: usize = 64;

/// Shows popups on the thread that it was made on.
pub(in crate::platform) trait Presenter {
    /// Hands the popup to the system, in place of the one with the same key; returns when the system has it.
    ///
    /// # Errors
    /// Why it does not.
    fn present(&mut self, popup: &Popup) -> Result<(), String>;

    /// Withdraws the popup with this key, if there is one, as far as the system can.
    fn withdraw(&mut self, key: &PopupKey);

    /// Withdraws every popup, as far as the system can.
    fn withdraw_all(&mut self);
}

#[derive(Debug, PartialEq)]
enum Command {
    Show(PopupSerial, Popup),
    Withdraw(PopupKey),
    WithdrawAll,
}

/// Shows popups. Every method returns at once; what became of it arrives as [`DesktopEvent`]s.
#[derive(Debug)]
pub(in crate::platform) struct Popups {
    // Emptied even while a call is under way, into a queue with a bound.
    commands: mpsc::UnboundedSender<Command>,
    task: JoinHandle<()>,
}

impl Popups {
    /// Starts the task, on the tokio runtime of this thread, and the thread. `presenter` makes what shows popups, on
    /// that thread, or says why nothing can.
    #[must_use]
    pub(in crate::platform) fn start<P: Presenter>(
        presenter: impl FnOnce() -> Result<P, String> + Send + 'static,
        events: mpsc::UnboundedSender<DesktopEvent>,
    ) -> Self {
        let (calls, answers) = caller(presenter);
        let (commands, receiver) = mpsc::unbounded_channel();
        let worker = Worker {
            calls,
            waiting: VecDeque::new(),
            call: Some(Call::begun(None)),
            events,
            told: None,
            refusal: None,
        };
        Self { commands, task: tokio::spawn(worker.run(receiver, answers)) }
    }

    /// Shows a popup. Answered by `Shown` or `NotShown`.
    pub(in crate::platform) fn show(&self, serial: PopupSerial, popup: Popup) {
        self.tell(Command::Show(serial, popup));
    }

    /// Withdraws the popup with this key, if there is one.
    pub(in crate::platform) fn withdraw(&self, key: &PopupKey) {
        self.tell(Command::Withdraw(key.clone()));
    }

    /// Withdraws every popup.
    pub(in crate::platform) fn withdraw_all(&self) {
        self.tell(Command::WithdrawAll);
    }

    /// Shows what still waits, for as long as that goes promptly.
    pub(in crate::platform) async fn close(self) {
        let Self { commands, mut task } = self;
        drop(commands);
        if timeout(CLOSE_DEADLINE, &mut task).await.is_err() {
            // Nobody notes any more what it shows: the next run shows it.
            task.abort();
            tracing::debug!("the last popups were not shown in time");
        }
    }

    fn tell(&self, command: Command) {
        if self.commands.send(command).is_err() {
            tracing::error!("popups have ended");
        }
    }
}

/// What became of a call.
enum Answer {
    /// The popup was shown, or why it was not. Before the first call: whether there will be any popups.
    Shown(Result<(), String>),
    /// What could be withdrawn was.
    Withdrawn,
}

/// The thread that makes the calls. Its first answer is whether there will be any popups; then one answer to each call.
/// It ends with the sender.
fn caller<P: Presenter>(
    presenter: impl FnOnce() -> Result<P, String> + Send + 'static,
) -> (SyncSender<Command>, mpsc::UnboundedReceiver<Answer>) {
    let (calls, called) = std::sync::mpsc::sync_channel::<Command>(1);
    let (answer, answers) = mpsc::unbounded_channel();
    let refused = answer.clone();
    let work = move || match presenter() {
        Ok(mut presenter) => {
            let _ = answer.send(Answer::Shown(Ok(())));
            for command in called {
                let _ = answer.send(call(&mut presenter, command));
            }
        }
        Err(reason) => {
            let _ = answer.send(Answer::Shown(Err(reason.clone())));
            for command in called {
                let _ = answer.send(match command {
                    Command::Show(..) => Answer::Shown(Err(reason.clone())),
                    Command::Withdraw(_) | Command::WithdrawAll => Answer::Withdrawn,
                });
            }
        }
    };
    if let Err(error) = thread::Builder::new().name("popups".to_owned()).spawn(work) {
        let _ = refused.send(Answer::Shown(Err(format!("no thread could be started for popups: {error}"))));
    }
    (calls, answers)
}

fn call(presenter: &mut impl Presenter, command: Command) -> Answer {
    match command {
        Command::Show(_, popup) => return Answer::Shown(presenter.present(&popup)),
        Command::Withdraw(key) => presenter.withdraw(&key),
        Command::WithdrawAll => presenter.withdraw_all(),
    }
    Answer::Withdrawn
}

/// A call that was not answered yet.
struct Call {
    /// Of the popup that is to be shown, if one is.
    serial: Option<PopupSerial>,
    /// Until then it may take; `None` once it is overdue.
    deadline: Option<Instant>,
}

impl Call {
    fn begun(serial: Option<PopupSerial>) -> Self {
        Self { serial, deadline: Some(Instant::now() + CALL_DEADLINE) }
    }
}

struct Worker {
    calls: SyncSender<Command>,
    waiting: VecDeque<Command>,
    call: Option<Call>,
    events: mpsc::UnboundedSender<DesktopEvent>,
    told: Option<ServiceState>,
    /// Why the last popup was refused.
    refusal: Option<String>,
}

impl Worker {
    /// Until all is said after the last command.
    async fn run(
        mut self,
        mut commands: mpsc::UnboundedReceiver<Command>,
        mut answers: mpsc::UnboundedReceiver<Answer>,
    ) {
        let mut closing = false;
        loop {
            self.call_next();
            if closing && self.call.is_none() {
                return;
            }
            let deadline = self.call.as_ref().and_then(|call| call.deadline);
            tokio::select! {
                biased;
                answer = answers.recv(), if self.call.is_some() => self.answered(answer),
                command = commands.recv(), if !closing => {
                    closing = command.is_none();
                    // Of a burst only the newest of each popup is shown.
                    let more = std::iter::from_fn(|| commands.try_recv().ok());
                    command.into_iter().chain(more).for_each(|command| self.obey(command));
                }
                () = reached(deadline) => self.overdue(),
            }
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Show(serial, popup) => self.show(serial, popup),
            Command::Withdraw(key) => self.withdraw(key),
            Command::WithdrawAll => {
                self.waiting.clear();
                self.waiting.push_back(Command::WithdrawAll);
            }
        }
    }

    fn show(&mut self, serial: PopupSerial, popup: Popup) {
        let same = |waiting: &&mut Command| matches!(waiting, Command::Show(_, other) if other.key == popup.key);
        if let Some(waiting) = self.waiting.iter_mut().find(same) {
            *waiting = Command::Show(serial, popup);
        } else if self.is_overdue() {
            self.tell(DesktopEvent::NotShown(serial, HUNG.to_owned()));
        } else if self.waiting.iter().filter(|command| is_show(command)).count() < MAX_WAITING {
            self.waiting.push_back(Command::Show(serial, popup));
        } else {
            self.tell(DesktopEvent::NotShown(serial, format!("{MAX_WAITING} popups are waiting already")));
        }
    }

    fn withdraw(&mut self, key: PopupKey) {
        self.waiting.retain(|waiting| match waiting {
            Command::Show(_, popup) => popup.key != key,
            Command::Withdraw(other) => *other != key,
            Command::WithdrawAll => true,
        });
        if self.waiting.iter().filter(|command| !is_show(command)).count() < MAX_WAITING {
            self.waiting.push_back(Command::Withdraw(key));
        } else {
            tracing::debug!("a popup stays: {MAX_WAITING} are to be withdrawn already");
        }
    }

    fn is_overdue(&self) -> bool {
        matches!(self.call, Some(Call { deadline: None, .. }))
    }

    fn call_next(&mut self) {
        while self.call.is_none()
            && let Some(command) = self.waiting.pop_front()
        {
            let serial = match &command {
                Command::Show(serial, _) => Some(*serial),
                Command::Withdraw(_) | Command::WithdrawAll => None,
            };
            match (self.calls.try_send(command), serial) {
                (Ok(()), serial) => self.call = Some(Call::begun(serial)),
                (Err(_), Some(serial)) => self.tell(DesktopEvent::NotShown(serial, ENDED.to_owned())),
                (Err(_), None) => {}
            }
        }
    }

    fn answered(&mut self, answer: Option<Answer>) {
        let was_overdue = self.is_overdue();
        let has_answered = answer.is_some();
        let serial = self.call.take().and_then(|call| call.serial);
        let outcome = match answer {
            Some(Answer::Shown(outcome)) => outcome,
            Some(Answer::Withdrawn) if was_overdue => Ok(()),
            Some(Answer::Withdrawn) => return,
            None => Err(ENDED.to_owned()),
        };
        // Of what is told to be absent no popup is asked for any more. A system that refuses one (the person has not
        // allowed them yet) is there: it has to be asked again, or nobody would learn that it takes them now.
        match (&serial, &outcome) {
            (Some(_), Err(reason)) if has_answered => {
                if was_overdue {
                    self.publish(Ok(()));
                }
                if self.refusal.as_ref() != Some(reason) {
                    tracing::warn!("a popup was refused: {reason}");
                }
            }
            _ => self.publish(outcome.clone()),
        }
        if let Some(serial) = serial {
            self.refusal = outcome.clone().err();
            self.tell(match outcome {
                Ok(()) => DesktopEvent::Shown(serial),
                Err(reason) => DesktopEvent::NotShown(serial, reason),
            });
        }
    }

    fn overdue(&mut self) {
        if let Some(call) = &mut self.call {
            call.deadline = None;
        }
        self.publish(Err(HUNG.to_owned()));
        let (shows, others) = std::mem::take(&mut self.waiting).into_iter().partition(is_show);
        self.waiting = others;
        let shows: VecDeque<Command> = shows;
        for command in shows {
            if let Command::Show(serial, _) = command {
                self.tell(DesktopEvent::NotShown(serial, HUNG.to_owned()));
            }
        }
    }

    fn publish(&mut self, outcome: Result<(), String>) {
        let state = ServiceState { available: outcome.is_ok(), reason: outcome.err() };
        if self.told.as_ref() != Some(&state) {
            self.tell(DesktopEvent::PopupService(state.clone()));
            self.told = Some(state);
        }
    }

    fn tell(&self, event: DesktopEvent) {
        if self.events.send(event).is_err() {
            tracing::debug!("nobody listens to the desktop any more");
        }
    }
}

fn is_show(command: &Command) -> bool {
    matches!(command, Command::Show(..))
}

const HUNG: &str = "the system does not answer when a popup is to be shown";
const ENDED: &str = "the thread of popups has ended: start Pushbell again";

async fn reached(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
