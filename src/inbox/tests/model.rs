//! Random life of an inbox beside a simple model of it.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// The first stands for pushes without a room.
const ROOMS: [&str; 3] = ["", "!r", "!s"];

/// "a" counts by account, "b" by room, "c" sends no counts.
const ACCOUNTS: [&str; 3] = ["a", "b", "c"];

#[derive(Debug, Clone)]
enum Step {
    Message {
        account: usize,
        room: usize,
        event: u8,
        unread: Option<u64>,
        highlight: bool,
    },
    Badge {
        account: usize,
        room: usize,
        unread: u64,
    },
    Redact {
        account: usize,
        room: usize,
        event: u8,
    },
    Edit {
        account: usize,
        room: usize,
        event: u8,
    },
    Call {
        account: usize,
        room: usize,
        replayed: bool,
    },
    Read {
        account: usize,
        room: usize,
        up_to: i64,
    },
    Shown {
        account: usize,
        room: usize,
        up_to: i64,
    },
    ShownEverything {
        up_to: i64,
    },
    Settle,
    Clear,
    Retain {
        account: usize,
    },
    Restart,
    /// Pushes that share a commit.
    Together(Vec<Step>),
}

fn place() -> impl Strategy<Value = (usize, usize)> {
    (0..3_usize, 0..3_usize)
}

fn push() -> impl Strategy<Value = Step> {
    // Most events are always pushed for the same room.
    let event = || {
        (0..3_usize, 0..8_u8, proptest::option::weighted(0.2, 0..3_usize))
            .prop_map(|(account, event, stray)| (account, stray.unwrap_or(usize::from(event) % 3), event))
    };
    prop_oneof![
        12 => (event(), proptest::option::of(0..4_u64), any::<bool>()).prop_map(
            |((account, room, event), unread, highlight)| Step::Message { account, room, event, unread, highlight }
        ),
        2 => (place(), 0..3_u64).prop_map(|((account, room), unread)| Step::Badge { account, room, unread }),
        2 => event().prop_map(|(account, room, event)| Step::Redact { account, room, event }),
        1 => event().prop_map(|(account, room, event)| Step::Edit { account, room, event }),
        2 => (place(), any::<bool>()).prop_map(|((account, room), replayed)| Step::Call { account, room, replayed }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let id = || 0..40_i64;
    prop_oneof![
        14 => push(),
        5 => proptest::collection::vec(push(), 2..9).prop_map(Step::Together),
        2 => (place(), id()).prop_map(|((account, room), up_to)| Step::Read { account, room, up_to }),
        2 => (place(), id()).prop_map(|((account, room), up_to)| Step::Shown { account, room, up_to }),
        1 => id().prop_map(|up_to| Step::ShownEverything { up_to }),
        1 => Just(Step::Settle),
        1 => Just(Step::Clear),
        1 => (0..3_usize).prop_map(|account| Step::Retain { account }),
        2 => Just(Step::Restart),
    ]
}

/// A message or call as the model sees it.
#[derive(Debug, Clone, PartialEq)]
struct Thing {
    id: i64,
    place: (usize, usize),
    call: Option<CallState>,
    highlight: bool,
    read: bool,
    presentation: Presentation,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    id: i64,
    room: usize,
    unread: Option<u64>,
}

#[derive(Debug, Default)]
struct Model {
    things: Vec<Thing>,
    /// What is known of each event of each account.
    events: BTreeMap<(usize, u8), Known>,
    redacted: BTreeSet<i64>,
    notices: i64,
    heard: BTreeSet<usize>,
    sent: BTreeMap<usize, u64>,
    rooms: BTreeMap<usize, u64>,
}

impl Model {
    fn add(&mut self, place: (usize, usize), call: Option<CallState>, highlight: bool) -> i64 {
        self.notices += 1;
        let presentation = Presentation::Waiting;
        self.things.push(Thing { id: self.notices, place, call, highlight, read: false, presentation });
        self.notices
    }

    fn read(&mut self, which: impl Fn(&Thing) -> bool) {
        for thing in self.things.iter_mut().filter(|thing| !thing.read && which(thing)) {
            thing.read = true;
            if thing.presentation == Presentation::Waiting {
                thing.presentation = Presentation::Settled;
            }
        }
    }

    fn present(&mut self, to: Presentation, which: impl Fn(&Thing) -> bool) {
        for thing in &mut self.things {
            if thing.presentation == Presentation::Waiting && which(thing) {
                thing.presentation = to;
            }
        }
    }

    fn count(&mut self, (account, room): (usize, usize), unread: u64) {
        // A room of the nameless index stands for a push without a room.
        if account == 1 && room > 0 {
            self.rooms.insert(room, unread);
            self.sent.insert(account, self.rooms.values().sum());
            if unread == 0 {
                self.read(|thing| thing.place == (account, room));
            }
        } else {
            self.sent.insert(account, unread);
            if account == 1 {
                self.rooms.clear();
            }
            if unread == 0 {
                self.read(|thing| thing.place.0 == account);
            }
        }
    }

    fn clear(&mut self, account: usize) {
        self.read(|thing| thing.place.0 == account);
        if account == 1 {
            self.rooms.clear();
        }
        if let Some(sent) = self.sent.get_mut(&account) {
            *sent = 0;
        }
    }

    fn unread(&self, account: usize) -> u64 {
        let unread = self.things.iter().filter(|thing| !thing.read && thing.place.0 == account).count() as u64;
        self.sent.get(&account).copied().unwrap_or(unread)
    }

    fn apply(&mut self, step: &Step) {
        match *step {
            Step::Message { account, room, event, unread, highlight } => {
                let unread = unread.filter(|_| account != 2);
                if let Some(known) = self.events.get_mut(&(account, event)) {
                    if let Some(fresher) = unread.filter(|_| unread != known.unread) {
                        known.unread = unread;
                        self.heard.insert(account);
                        // A retry counts the room that it names.
                        self.count((account, room), fresher);
                    }
                    return;
                }
                if let Some(unread) = unread {
                    self.count((account, room), unread);
                }
                self.heard.insert(account);
                let id = self.add((account, room), None, highlight);
                self.events.insert((account, event), Known { id, room, unread });
            }
            Step::Badge { account, room, unread } => {
                if account != 2 {
                    self.count((account, room), unread);
                }
                self.heard.insert(account);
            }
            Step::Redact { account, room, event } => {
                self.heard.insert(account);
                self.notices += 1;
                if let Some(Known { id, .. }) =
                    self.events.get(&(account, event)).copied().filter(|known| known.room == room)
                {
                    self.read(|thing| thing.id == id);
                    self.redacted.insert(id);
                }
            }
            Step::Edit { account, room, event } => {
                self.heard.insert(account);
                if self.events.contains_key(&(account, event)) {
                    self.notices += 1;
                } else {
                    self.add((account, room), None, false);
                }
            }
            Step::Call { account, room, replayed } => {
                self.heard.insert(account);
                let rings = |thing: &Thing| thing.call == Some(CallState::Ringing) && !thing.read;
                if !replayed && self.things.iter().any(|thing| rings(thing) && thing.place == (account, room)) {
                    // The same call rings on.
                    self.notices += 1;
                    return;
                }
                self.add((account, room), Some(if replayed { CallState::Missed } else { CallState::Ringing }), false);
            }
            Step::Read { account, room, up_to } => {
                self.read(|thing| thing.call.is_none() && thing.place == (account, room) && thing.id <= up_to);
            }
            Step::Shown { account, room, up_to } => self.present(Presentation::Shown, |thing| {
                thing.call.is_none() && thing.place == (account, room) && thing.id <= up_to
            }),
            Step::ShownEverything { up_to } => {
                self.present(Presentation::Shown, |thing| thing.call.is_none() && thing.id <= up_to);
            }
            Step::Settle => self.present(Presentation::Settled, |_| true),
            Step::Clear => {
                for account in self.heard.clone() {
                    self.clear(account);
                }
            }
            Step::Retain { account } => {
                for gone in (0..3).filter(|other| *other != account) {
                    self.clear(gone);
                    self.sent.remove(&gone);
                    self.heard.remove(&gone);
                }
            }
            Step::Restart => {}
            Step::Together(ref pushes) => pushes.iter().for_each(|push| self.apply(push)),
        }
    }
}

/// The push of a step that is one.
fn push_of(step: &Step, number: &str) -> Option<Push> {
    let push_to = |push: Push, account: usize, room: usize| {
        let mut push = push.for_account(ACCOUNTS[account]);
        push.notification.room_id = Some(ROOMS[room].to_owned()).filter(|room| !room.is_empty());
        if account == 1 { push.per_room() } else { push }
    };
    Some(match *step {
        Step::Message { account, room, event, unread, highlight } => {
            let mut push = push_to(message(&format!("${event}"), ""), account, room);
            push.notification.counts =
                unread.filter(|_| account != 2).map(|unread| Counts { unread, missed_calls: None });
            push.recipients[0].tweaks.highlight = highlight;
            push
        }
        Step::Badge { account, room, unread } => {
            let mut push = push_to(badge(Counts { unread, missed_calls: None }), account, room);
            push.notification.counts = push.notification.counts.filter(|_| account != 2);
            push
        }
        Step::Redact { account, room, event: redacted } => {
            let content = format!(r#"{{"redacts":"${redacted}"}}"#);
            push_to(event(&format!("$r{number}"), "", "m.room.redaction", &content), account, room)
        }
        Step::Edit { account, room, event: edited } => {
            let content =
                format!(r#"{{"m.relates_to":{{"rel_type":"m.replace","event_id":"${edited}"}},"m.new_content":{{}}}}"#);
            push_to(event(&format!("$e{number}"), "", "m.room.message", &content), account, room)
        }
        Step::Call { account, room, replayed } => {
            let push = push_to(event(&format!("$c{number}"), "", "m.call.invite", "{}"), account, room);
            if replayed { push.replayed() } else { push }
        }
        Step::Read { .. }
        | Step::Shown { .. }
        | Step::ShownEverything { .. }
        | Step::Settle
        | Step::Clear
        | Step::Retain { .. }
        | Step::Restart
        | Step::Together(_) => return None,
    })
}

async fn perform(desk: &mut Desk, step: &Step, number: usize) {
    match *step {
        Step::Message { .. } | Step::Badge { .. } | Step::Redact { .. } | Step::Edit { .. } | Step::Call { .. } => {
            desk.record(push_of(step, &number.to_string()).unwrap()).await;
        }
        Step::Together(ref pushes) => {
            let pushes = pushes.iter().enumerate();
            desk.record_together(pushes.filter_map(|(part, push)| push_of(push, &format!("{number}.{part}")))).await;
        }
        Step::Read { account, room, up_to } => {
            desk.mark_read(Read::Room(key(ACCOUNTS[account], ROOMS[room]), NoticeId(up_to))).await;
        }
        Step::Shown { account, room, up_to } => {
            desk.mark_shown(Shown::Room(key(ACCOUNTS[account], ROOMS[room]), NoticeId(up_to))).await;
        }
        Step::ShownEverything { up_to } => desk.mark_shown(Shown::Everything(NoticeId(up_to))).await,
        Step::Settle => desk.inbox.settle_waiting(NoticeId(i64::MAX)).await.unwrap(),
        Step::Clear => desk.mark_read(Read::Everything).await,
        Step::Retain { account } => {
            desk.inbox.retain_accounts(vec![ACCOUNTS[account].to_owned()]).await.unwrap();
        }
        Step::Restart => desk.restart(),
    }
}

async fn compare(desk: &Desk, model: &Model, after: &[Step]) {
    let snapshot = desk.snapshot().await;
    let unread: Vec<_> = snapshot.accounts.iter().map(|state| (state.account.as_str(), state.unread)).collect();
    let expected: Vec<_> = model.heard.iter().map(|account| (ACCOUNTS[*account], model.unread(*account))).collect();
    assert_eq!(unread, expected, "numbers after {after:?}");

    let mut waiting: BTreeMap<(usize, usize), WaitingRoom> = BTreeMap::new();
    let mut digests: BTreeMap<(usize, usize), (u64, i64, Option<i64>)> = BTreeMap::new();
    for thing in model.things.iter().filter(|thing| thing.call.is_none()) {
        if thing.presentation == Presentation::Waiting {
            let room = waiting.entry(thing.place).or_insert_with(|| WaitingRoom {
                room: key(ACCOUNTS[thing.place.0], ROOMS[thing.place.1]),
                count: 0,
                newest: NoticeId(thing.id),
                newest_highlight: None,
            });
            room.count += 1;
            room.newest = NoticeId(thing.id);
            room.newest_highlight = if thing.highlight { Some(NoticeId(thing.id)) } else { room.newest_highlight };
        }
        if thing.presentation != Presentation::Settled && !thing.read {
            let digest = digests.entry(thing.place).or_default();
            *digest = (digest.0 + 1, thing.id, if thing.highlight { Some(thing.id) } else { digest.2 });
        }
    }
    let total: u64 = waiting.values().map(|room| room.count).sum();
    assert_eq!((snapshot.waiting_notices, snapshot.waiting_rooms), (total, waiting.len() as u64), "after {after:?}");
    for room in &snapshot.waiting {
        assert!(waiting.values().any(|expected| expected == room), "{room:?} after {after:?}");
    }
    for (account, name) in ACCOUNTS.iter().enumerate() {
        for (room, room_id) in ROOMS.iter().enumerate() {
            let digest = desk.digest(key(name, room_id)).await;
            let found =
                digest.map(|digest| (digest.count, digest.newest.id.0, digest.highlight.map(|notice| notice.id.0)));
            assert_eq!(found, digests.get(&(account, room)).copied(), "digest of {name} {room_id} after {after:?}");
        }
    }

    let active = || model.things.iter().filter(|thing| !thing.read && thing.call.is_some());
    let calls: Vec<_> = snapshot.calls.iter().map(|call| (call.notice.id.0, Some(call.state))).collect();
    let ringing = active().filter(|thing| thing.call == Some(CallState::Ringing));
    let missed =
        active().filter(|thing| thing.call == Some(CallState::Missed) && thing.presentation == Presentation::Waiting);
    assert_eq!(
        calls,
        ringing.chain(missed).map(|thing| (thing.id, thing.call)).take(32).collect::<Vec<_>>(),
        "calls after {after:?}"
    );
    let missed: u64 = snapshot.accounts.iter().map(|state| state.missed_calls).sum();
    assert_eq!(missed, active().filter(|thing| thing.call == Some(CallState::Missed)).count() as u64);

    let history = desk.history();
    assert_eq!(i64::try_from(history.len()).unwrap(), model.notices, "after {after:?}");
    assert_eq!(desk.inbox.totals().await.unwrap().notices, history.len() as u64);
    assert_eq!(desk.listed().len(), model.things.len(), "only messages and calls are listed");
    for thing in &model.things {
        let notice = history.iter().find(|notice| notice.id.0 == thing.id).unwrap();
        assert_eq!((notice.read, notice.presentation), (thing.read, thing.presentation), "{notice:?} after {after:?}");
        assert_eq!(notice.redacted, model.redacted.contains(&thing.id));
        assert!(!notice.redacted || notice.content.is_none());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_inbox_does_what_its_model_does(steps in proptest::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut desk = Desk::new();
            let mut model = Model::default();
            for (number, step) in steps.iter().enumerate() {
                model.apply(step);
                perform(&mut desk, step, number).await;
                compare(&desk, &model, &steps[..=number]).await;
            }
        });
    }
}
