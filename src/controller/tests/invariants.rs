//! Whatever happens, in whatever order: each message is told once, or read, or waits.

use proptest::{collection::vec, prelude::*, test_runner::TestCaseError};

use super::{push::*, screen::Service, *};
use crate::notice::Presentation;

const ROOMS: usize = 7;

#[derive(Debug, Clone)]
enum Action {
    Message { room: usize, highlight: bool },
    Burst { rooms: usize },
    Retry(usize),
    Edit(usize),
    Redact(usize),
    Zero,
    Clear,
    Dismiss(usize),
    Click(usize),
    Service(Service),
    Release,
    Pause,
    Resume,
    Wake,
    Restart,
    Pass(u64),
}

fn action() -> impl Strategy<Value = Action> {
    let service =
        prop_oneof![Just(Service::Absent), Just(Service::Shows), Just(Service::Refuses), Just(Service::Waits)];
    prop_oneof![
        8 => (0..ROOMS, prop::bool::weighted(0.2)).prop_map(|(room, highlight)| Action::Message { room, highlight }),
        2 => (1..ROOMS).prop_map(|rooms| Action::Burst { rooms }),
        1 => any::<usize>().prop_map(Action::Retry),
        2 => any::<usize>().prop_map(Action::Edit),
        2 => any::<usize>().prop_map(Action::Redact),
        1 => Just(Action::Zero),
        1 => Just(Action::Clear),
        2 => any::<usize>().prop_map(Action::Dismiss),
        2 => any::<usize>().prop_map(Action::Click),
        4 => service.prop_map(Action::Service),
        3 => Just(Action::Release),
        1 => Just(Action::Pause),
        2 => Just(Action::Resume),
        1 => Just(Action::Wake),
        1 => Just(Action::Restart),
        4 => (0_u64..20).prop_map(Action::Pass),
    ]
}

/// A message, as it should be.
#[derive(Debug, Clone)]
struct Message {
    room: usize,
    highlight: bool,
    presentation: Presentation,
    read: bool,
    redacted: bool,
}

/// The bench, and what should be in its inbox.
struct Model {
    bench: Bench,
    messages: Vec<Message>,
    /// How often the text of each room's popup was changed since that was last a reason to show it.
    changes: [usize; ROOMS],
    is_paused: bool,
    shows: u64,
    starts: u64,
    began: Instant,
}

fn name(room: usize) -> String {
    format!("room {room}")
}

/// The message that a room's popup ends with: its text begins with its number.
fn newest_in(popup: &Popup) -> usize {
    let line = popup.text.lines().last().unwrap();
    line.strip_prefix('m').unwrap().split(' ').next().unwrap().parse().unwrap()
}

impl Model {
    async fn new() -> Self {
        Self {
            bench: Bench::new().await,
            messages: Vec::new(),
            changes: [0; ROOMS],
            is_paused: false,
            shows: 0,
            starts: 1,
            began: Instant::now(),
        }
    }

    fn push_of(&self, number: usize) -> Push {
        let Message { room, highlight, .. } = self.messages[number];
        let push = message(&format!("m{number}"), &name(room));
        if highlight { push.highlight() } else { push }
    }

    async fn arrive(&mut self, room: usize, highlight: bool) {
        self.messages.push(Message {
            room,
            highlight,
            presentation: Presentation::Waiting,
            read: false,
            redacted: false,
        });
        let push = self.push_of(self.messages.len() - 1);
        self.bench.screen.state().recorded = self.messages.len();
        self.bench.arrive(push).await;
    }

    /// Messages were read; those that waited are never shown.
    fn read(&mut self, which: impl Fn(usize, &Message) -> bool) {
        for (number, message) in self.messages.iter_mut().enumerate().filter(|(_, message)| !message.read) {
            if which(number, message) {
                message.read = true;
                if message.presentation == Presentation::Waiting {
                    message.presentation = Presentation::Settled;
                }
            }
        }
    }

    async fn act(&mut self, action: Action) {
        let some = self.messages.len().max(1);
        match action {
            Action::Message { room, highlight } => self.arrive(room, highlight).await,
            Action::Burst { rooms } => {
                for room in 0..=rooms {
                    self.arrive(room, false).await;
                }
            }
            Action::Retry(number) if !self.messages.is_empty() => {
                let push = self.push_of(number % some);
                self.bench.arrive(push).await;
            }
            Action::Edit(number) | Action::Redact(number) if !self.messages.is_empty() => {
                let number = number % some;
                let id = format!("change {}", self.bench.history().len());
                let (room, of) = (name(self.messages[number].room), format!("m{number}"));
                self.changes[self.messages[number].room] += 1;
                if matches!(action, Action::Edit(_)) {
                    self.bench.arrive(edit(&id, &room, &of, &format!("{of} edited"))).await;
                } else {
                    self.bench.arrive(redaction(&id, &room, &of)).await;
                    self.read(|other, _| other == number);
                    self.messages[number].redacted = true;
                }
            }
            Action::Zero => {
                self.bench.arrive(badge(0)).await;
                self.read(|_, _| true);
            }
            Action::Clear => {
                self.read(|_, _| true);
                self.bench.controller.clear().await;
            }
            Action::Dismiss(which) | Action::Click(which) if !self.bench.up().is_empty() => {
                let is_click = matches!(action, Action::Click(_));
                let popup = {
                    let up = &mut self.bench.screen.state().up;
                    let index = which % up.len();
                    up.remove(index)
                };
                self.acknowledge(&popup, is_click);
                let event = if is_click {
                    DesktopEvent::Activated { key: popup.key, action: "default".into(), token: None }
                } else {
                    DesktopEvent::Dismissed(popup.key)
                };
                self.bench.controller.handle(Event::Desktop(event)).await;
            }
            Action::Service(service) => self.bench.service(service).await,
            Action::Release => self.bench.release().await,
            Action::Pause => {
                self.bench.controller.pause_until(None).await;
                self.is_paused = true;
            }
            Action::Resume => {
                self.is_paused = false;
                self.bench.controller.resume().await;
            }
            Action::Wake => self.bench.say(DesktopEvent::Resumed).await,
            Action::Restart => {
                self.bench.restart().await;
                self.starts += 1;
            }
            Action::Pass(seconds) => self.bench.pass(Duration::from_secs(seconds)).await,
            Action::Retry(_) | Action::Edit(_) | Action::Redact(_) | Action::Dismiss(_) | Action::Click(_) => {}
        }
        self.bench.settle().await;
        if self.bench.wake_window.is_open() {
            // What is gathered is looked at, or a popup on its way could come up for what has just been read.
            self.bench.pass(SECOND).await;
        }
    }

    fn acknowledge(&mut self, popup: &Popup, is_click: bool) {
        let (room, newest) = match &popup.key {
            PopupKey::Room(_) => {
                let newest = newest_in(popup);
                (self.messages[newest].room, newest)
            }
            PopupKey::Summary if is_click => match self.messages.iter().rposition(|message| !message.read) {
                Some(newest) => (self.messages[newest].room, newest),
                None => return,
            },
            PopupKey::Summary | PopupKey::Call(_) | PopupKey::Own(_) => return,
        };
        self.read(|number, message| message.room == room && number <= newest);
    }

    /// Takes in what came up. Each popup must tell something new, unless it makes right what was changed.
    fn look(&mut self) -> Result<(), TestCaseError> {
        let (shows, asked_at) = {
            let mut state = self.bench.screen.state();
            (take(&mut state.shows), take(&mut state.asked_at))
        };
        for (popup, asked_at) in shows.into_iter().zip(asked_at) {
            self.shows += 1;
            let (room, up_to) = match &popup.key {
                PopupKey::Room(_) => (Some(self.messages[newest_in(&popup)].room), newest_in(&popup) + 1),
                PopupKey::Summary => (None, asked_at),
                PopupKey::Call(_) | PopupKey::Own(_) => return Err(TestCaseError::fail(format!("{popup:?}"))),
            };
            let waits = |message: &&mut Message| {
                message.presentation == Presentation::Waiting && room.is_none_or(|room| message.room == room)
            };
            let mut told = 0;
            for message in self.messages[..up_to].iter_mut().filter(waits) {
                message.presentation = Presentation::Shown;
                told += 1;
            }
            if told == 0 {
                let changes = room.map_or(0, |room| take(&mut self.changes[room]));
                prop_assert!(changes > 0, "it tells nothing new: {popup:?}");
            }
        }
        Ok(())
    }

    /// The inbox has each message where it belongs.
    fn compare(&self) -> Result<(), TestCaseError> {
        let history = self.bench.history();
        for (number, message) in self.messages.iter().enumerate() {
            let id = format!("m{number}");
            let notice = history.iter().find(|notice| notice.event_id.as_ref() == Some(&id)).unwrap();
            let found = (notice.presentation, notice.read, notice.redacted);
            prop_assert_eq!(found, (message.presentation, message.read, message.redacted), "{}", id);
        }
        Ok(())
    }

    async fn run(mut self, actions: Vec<Action>) -> Result<(), TestCaseError> {
        for action in actions {
            let (was_paused, asked) = (self.is_paused, self.bench.asked());
            let is_restart = matches!(action, Action::Restart);
            self.act(action).await;
            if was_paused && self.is_paused {
                prop_assert_eq!(self.bench.asked(), if is_restart { 0 } else { asked }, "nothing during a pause");
            }
            self.look()?;
            self.compare()?;
        }
        self.act(Action::Release).await;
        self.act(Action::Service(Service::Shows)).await;
        self.act(Action::Resume).await;
        self.act(Action::Pass(600)).await;
        self.look()?;
        self.compare()?;
        let waits = self.messages.iter().any(|message| message.presentation == Presentation::Waiting);
        prop_assert!(!waits, "in the end nothing waits");
        prop_assert_eq!(self.bench.controller.next_due(), None);
        let in_a_row = plan::NEW_POPUPS + plan::HIGHLIGHTS + plan::UPDATES + 1;
        let seconds = self.began.elapsed().as_secs() + 1;
        let bound = u64::from(in_a_row) * self.starts + seconds * 7;
        prop_assert!(self.shows <= bound, "{} popups in {seconds} s", self.shows);
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn each_message_is_told_once_or_read_or_waits(actions in vec(action(), 1..50)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async { Model::new().await.run(actions).await })?;
    }
}
