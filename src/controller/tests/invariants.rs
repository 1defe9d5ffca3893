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
    DoNotDisturb { is_on: bool, answers: bool },
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
        2 => any::<(bool, bool)>().prop_map(|(is_on, answers)| Action::DoNotDisturb { is_on, answers }),
        1 => Just(Action::Pause),
        2 => Just(Action::Resume),
        1 => Just(Action::Wake),
        1 => Just(Action::Restart),
        4 => (0_u64..20).prop_map(Action::Pass),
    ]
}

/// A message, as it should be.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "any of them may be true whatever the others are")]
struct Message {
    room: usize,
    highlight: bool,
    text: String,
    /// When it was recorded.
    at: usize,
    presentation: Presentation,
    /// A popup told of it.
    told: bool,
    read: bool,
    redacted: bool,
}

/// What is known of a room's popups.
#[derive(Debug, Clone, Default)]
struct Room {
    /// When a message in it was last changed, or read with its popup.
    changed_at: usize,
    /// When the last popup that came up was asked for.
    asked_at: usize,
    /// What that said.
    said: Option<(String, String)>,
}

/// The bench, and what should be in its inbox.
struct Model {
    bench: Bench,
    messages: Vec<Message>,
    rooms: [Room; ROOMS],
    /// The same of summaries.
    summary: Room,
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
            bench: Bench::on("dunst").await,
            messages: Vec::new(),
            rooms: Default::default(),
            summary: Room::default(),
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
        let at = self.record();
        self.messages.push(Message {
            room,
            highlight,
            text: format!("m{}", self.messages.len()),
            at,
            presentation: Presentation::Waiting,
            told: false,
            read: false,
            redacted: false,
        });
        let push = self.push_of(self.messages.len() - 1);
        self.bench.arrive(push).await;
    }

    /// One more is about to be recorded: which one.
    fn record(&self) -> usize {
        let mut state = self.bench.screen.state();
        state.recorded += 1;
        state.recorded
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

    /// Everything was read. What is in flight may tell of it.
    fn read_all(&mut self) {
        self.read(|_, _| true);
        let at = self.record();
        self.rooms.iter_mut().chain([&mut self.summary]).for_each(|room| room.changed_at = at);
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
                let at = self.record();
                let id = format!("change {at}");
                let (room, of) = (name(self.messages[number].room), format!("m{number}"));
                self.rooms[self.messages[number].room].changed_at = at;
                self.summary.changed_at = at;
                if matches!(action, Action::Edit(_)) {
                    let text = format!("{of} edited {at}");
                    self.bench.arrive(edit(&id, &room, &of, &text)).await;
                    self.messages[number].text = text;
                } else {
                    self.bench.arrive(redaction(&id, &room, &of)).await;
                    self.read(|other, _| other == number);
                    self.messages[number].redacted = true;
                }
            }
            Action::Zero => {
                self.bench.arrive(badge(0)).await;
                self.read_all();
            }
            Action::Clear => {
                self.read_all();
                self.bench.controller.clear().await;
            }
            Action::Dismiss(which) | Action::Click(which) if !self.bench.up().is_empty() => {
                let is_click = matches!(action, Action::Click(_));
                let popup = {
                    let up = &self.bench.screen.state().up;
                    up[which % up.len()].1.clone()
                };
                if self.bench.controller.screen.up(&popup.key).is_none() {
                    // It is about to be closed.
                    return;
                }
                self.acknowledge(&popup, is_click);
                let screen = &self.bench.screen;
                let event = if is_click {
                    screen.action(&popup.key, popup::Action::Open, None)
                } else {
                    screen.dismissed(&popup.key)
                };
                self.bench.controller.handle(Event::Desktop(event)).await;
            }
            Action::Service(service) => self.bench.service(service).await,
            Action::Release => self.bench.release().await,
            Action::DoNotDisturb { is_on, answers } => {
                self.bench.screen.state().do_not_disturb = is_on;
                self.bench.screen.answers(answers);
            }
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
        if self.bench.resume_window.is_open() {
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
        // What is on its way may count or name what has been read.
        self.rooms[room].changed_at = self.record();
        // A summary may name it.
        self.summary.changed_at = self.rooms[room].changed_at;
    }

    /// Takes in what came up. Each popup must tell something new, or make right what was changed.
    fn look(&mut self) -> Result<(), TestCaseError> {
        let (shows, asked_at) = {
            let mut state = self.bench.screen.state();
            (take(&mut state.shows), take(&mut state.asked_at))
        };
        for (popup, asked_at) in shows.into_iter().zip(asked_at) {
            self.shows += 1;
            let newest = match &popup.key {
                PopupKey::Room(_) => Some(newest_in(&popup)),
                PopupKey::Summary => None,
                PopupKey::Call(_) | PopupKey::Own(_) => return Err(TestCaseError::fail(format!("{popup:?}"))),
            };
            let room = newest.map(|newest| self.messages[newest].room);
            let up_to =
                newest.map_or(self.messages.partition_point(|message| message.at <= asked_at), |newest| newest + 1);
            let mut is_news = false;
            for message in &mut self.messages[..up_to] {
                if room.is_none_or(|room| message.room == room) {
                    let waited = message.presentation == Presentation::Waiting;
                    // One that was redacted meanwhile was still to be told when this was asked for.
                    is_news |= !message.told && (waited || message.redacted);
                    message.told |= waited || message.redacted;
                    if waited {
                        message.presentation = Presentation::Shown;
                    }
                }
            }
            let (told_of, is_seen) = match newest.map(|newest| &self.messages[newest]) {
                Some(Message { room, read, redacted, .. }) => (&mut self.rooms[*room], *read && !*redacted),
                None => (&mut self.summary, false),
            };
            let is_up = self.bench.screen.state().up.iter().any(|(_, up)| *up == popup);
            if !is_news && !is_up && told_of.changed_at > asked_at {
                // It was in flight when what it told was read, and was closed at once.
                continue;
            }
            let says = Some((popup.title.clone(), popup.text.clone()));
            if !is_news {
                prop_assert!(told_of.changed_at > told_of.asked_at, "nothing has changed: {popup:?}");
                prop_assert!(told_of.said != says, "it says the same again: {popup:?}");
                prop_assert!(!is_seen, "the person has seen it: {popup:?}");
            }
            told_of.asked_at = asked_at;
            told_of.said = says;
        }
        Ok(())
    }

    /// When nothing is left to do, what is up is right.
    fn check_what_is_up(&self) -> Result<(), TestCaseError> {
        let state = self.bench.screen.state();
        let is_due = state.waiting.is_some() || state.is_unanswered || self.bench.controller.next_due().is_some();
        if self.is_paused || state.service != Service::Shows || is_due {
            return Ok(());
        }
        for (_, popup) in state.up.iter().filter(|(_, popup)| popup.key != PopupKey::Summary) {
            let newest = newest_in(popup);
            let room = self.messages[newest].room;
            if self.messages[newest + 1..].iter().any(|message| message.room == room) {
                // A summary told of what is newer, and the room's popup stayed as it was.
                continue;
            }
            let unread: Vec<_> = self.messages.iter().filter(|message| message.room == room && !message.read).collect();
            let newest = unread.last().map(|newest| newest.at);
            let marked = unread.iter().rfind(|message| message.highlight).filter(|marked| Some(marked.at) != newest);
            let more = unread.len() - 1 - usize::from(marked.is_some());
            let mut lines: Vec<_> = (more > 0).then(|| format!("{more} more")).into_iter().collect();
            lines.extend(marked.map(|marked| format!("A highlight from Bob: {}", marked.text)));
            lines.extend(unread.last().map(|newest| newest.text.clone()));
            prop_assert_eq!(&popup.text, &lines.join("\n"));
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
            self.check_what_is_up()?;
        }
        self.act(Action::DoNotDisturb { is_on: false, answers: true }).await;
        self.act(Action::Release).await;
        self.act(Action::Service(Service::Shows)).await;
        self.act(Action::Resume).await;
        self.act(Action::Pass(600)).await;
        self.look()?;
        self.compare()?;
        self.check_what_is_up()?;
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

async fn run(actions: impl IntoIterator<Item = Action>) {
    Model::new().await.run(actions.into_iter().collect()).await.unwrap();
}

fn messages(room: usize, count: usize) -> impl Iterator<Item = Action> {
    std::iter::repeat_n(Action::Message { room, highlight: false }, count)
}

#[tokio::test(start_paused = true)]
async fn an_edit_outside_the_shown_lines_does_not_reshow_the_popup() {
    use Action::{Dismiss, Edit};
    let lost_and_edited =
        [Action::Service(Service::Absent), Edit(0), Action::Service(Service::Waits), Edit(0), Dismiss(0)];
    run(messages(0, 7).chain(lost_and_edited)).await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn each_message_is_told_once_or_read_or_waits(actions in vec(action(), 1..50)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async { Model::new().await.run(actions).await })?;
    }
}
