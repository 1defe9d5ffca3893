//! Tests of reading the list, and a property test: every event is recorded exactly once.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::reading::{Found, NextPage, Reading};
use crate::{
    accounts::tests::account,
    config::Config,
    inbox::{self, CatchUpState, CaughtUp, Delivery, Inbox, Recipient, UnreadEvent},
    push::{
        listed::{Listed, ListedPage},
        notify::{Notification, Tweaks},
    },
};

const SIGNED_IN: i64 = 1_790_000_000_000;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millisecond(SIGNED_IN + seconds * 1000).unwrap()
}

fn listed(event: &str, seconds: i64) -> Listed {
    let text = |text: &str| Some(text.to_owned());
    let notification = Notification {
        event_id: text(event),
        room_id: text("!r"),
        event_type: text("m.room.message"),
        sender: text("@bob:hs"),
        ..Notification::default()
    };
    Listed { notification, tweaks: Tweaks::default(), ts: Some(at(seconds).as_millisecond()), read: false }
}

fn page(entries: impl IntoIterator<Item = Listed>, next: Option<&str>) -> ListedPage {
    ListedPage { entries: entries.into_iter().collect(), next_token: next.map(ToOwned::to_owned) }
}

fn missed(found: &Found) -> Vec<&str> {
    found.missed.iter().filter_map(|missed| missed.notification.event_id.as_deref()).collect()
}

#[test]
fn reading_ends_slightly_beyond_the_mark() {
    let state = CatchUpState { mark: Some(at(1000)), ..CatchUpState::default() };
    let mut reading = Reading::new(state, at(0), at(5000));
    assert_eq!(*reading.next_page(), NextPage::First);
    reading.page(page([listed("$4", 4000), listed("$3", 1001)], Some("a")));
    assert_eq!(*reading.next_page(), NextPage::From("a".to_owned()));
    reading.page(page([listed("$2", 941), listed("$1", 939)], Some("b")));
    assert_eq!(*reading.next_page(), NextPage::None);
    let found = reading.finish(true, at(5000));
    assert_eq!(missed(&found), ["$2", "$3", "$4"], "oldest first; what is known is found out later");
    assert_eq!((found.mark, found.is_whole, found.is_all), (at(4000), true, false));
}

#[test]
fn a_list_with_the_oldest_first_is_read_to_its_end() {
    let state = CatchUpState { mark: Some(at(1000)), ..CatchUpState::default() };
    let mut reading = Reading::new(state, at(0), at(5000));
    reading.page(page([listed("$old", 100), listed("$known", 900)], Some("a")));
    assert_eq!(*reading.next_page(), NextPage::From("a".to_owned()), "what is new comes last");
    reading.page(page([listed("$1", 2000), listed("$2", 3000)], Some("b")));
    assert_eq!(*reading.next_page(), NextPage::From("b".to_owned()));
    reading.page(page([], None));
    let found = reading.finish(false, at(5000));
    assert_eq!((missed(&found), found.is_whole), (vec!["$1", "$2"], true));
}

#[test]
fn events_from_before_signing_in_are_not_missed() {
    let mut reading = Reading::new(CatchUpState::default(), at(0), at(100));
    reading.page(page([listed("$new", 1), listed("$old", -1)], Some("a")));
    let found = reading.finish(true, at(100));
    assert_eq!((missed(&found), found.mark, found.is_whole), (vec!["$new"], at(1), true));
    let mut nothing = Reading::new(CatchUpState::default(), at(0), at(100));
    nothing.page(page([], None));
    let found = nothing.finish(true, at(100));
    assert_eq!((missed(&found), found.mark, found.is_whole), (vec![], at(0), true));
}

#[test]
fn reading_ends_after_a_thousand_entries_and_reports_it() {
    let mut reading = Reading::new(CatchUpState::default(), at(0), at(100_000));
    let mut number = 0;
    while *reading.next_page() != NextPage::None {
        reading.page(page(
            (0..100).map(|_| {
                number += 1;
                listed(&format!("${number}"), 90_000 - number)
            }),
            Some("a"),
        ));
    }
    let found = reading.finish(true, at(100_000));
    assert_eq!((found.missed.len(), found.is_whole), (1000, false));
    let mut one_by_one = Reading::new(CatchUpState::default(), at(0), at(100_000));
    let mut pages = 0;
    while *one_by_one.next_page() != NextPage::None {
        pages += 1;
        one_by_one.page(page([listed("$same", 90_000)], Some("a")));
    }
    assert_eq!(pages, 50);
}

#[test]
fn long_contents_are_dropped_but_no_events() {
    let mut reading = Reading::new(CatchUpState::default(), at(0), at(100));
    let text = format!("{{\"body\":\"{}\"}}", "x".repeat(100_000));
    let entries = (0..100).map(|number| {
        let mut entry = listed(&format!("${number}"), 50);
        entry.notification.content = Some(text.clone());
        entry
    });
    reading.page(page(entries, None));
    let found = reading.finish(true, at(100));
    let texts = found.missed.iter().filter(|missed| missed.notification.content.is_some()).count();
    assert_eq!((found.missed.len(), texts), (100, 41));
}

#[test]
fn read_state_follows_from_the_list() {
    let unread = |event: &str, seconds: i64| UnreadEvent {
        event_id: event.to_owned(),
        received_at: at(seconds),
        encrypted_in: None,
    };
    let day = 24 * 3600;
    let check = |forgets_read: bool, next: Option<&str>, expected: &[&str]| {
        let events = [unread("$read", 200_000), unread("$unread", 200_000), unread("$gone", 200_000)];
        let older = [unread("$uncovered", 190_000), unread("$long ago", 200_000 - day)];
        let state = CatchUpState {
            mark: Some(at(199_990)),
            completed_at: None,
            unread: events.into_iter().chain(older).collect(),
        };
        let mut reading = Reading::new(state, at(0), at(200_100));
        reading.page(page([Listed { read: true, ..listed("$read", 199_999) }, listed("$unread", 199_000)], next));
        assert_eq!(*reading.next_page() != NextPage::None, next.is_some(), "it looks at what is unread here");
        if next.is_some() {
            reading.page(page([listed("$other", 199_000 - 600)], Some("b")));
        }
        let mut found = reading.finish(forgets_read, at(200_100)).read;
        found.sort_unstable();
        assert_eq!(found, expected);
    };
    check(false, None, &["$read"]);
    check(true, None, &["$gone", "$read", "$uncovered"]);
    check(true, Some("a"), &["$gone", "$read"]);
}

/// A step of the property test.
#[derive(Debug, Clone, Copy)]
enum Act {
    /// An event is sent. It is pushed if the homeserver tries and Pushbell runs.
    Send,
    /// The next step of catching up.
    Step,
    /// `kill -9` and a restart.
    Kill,
    /// Pushes fail for a while: the homeserver backs off.
    Fail,
}

/// Progress of catching up.
enum At {
    Nowhere,
    CatchUpState(CatchUpState),
    Reading(Reading),
}

struct World {
    inbox: Inbox,
    /// Ids and times of receipt, oldest first.
    events: Vec<(String, i64)>,
    /// Whether the homeserver tries to push.
    pushes: bool,
    at: At,
}

impl World {
    fn now(&self) -> Timestamp {
        at(40 * i64::try_from(self.events.len()).unwrap())
    }

    async fn act(&mut self, act: Act) {
        match act {
            Act::Send => self.send().await,
            Act::Step => self.step().await,
            Act::Kill => {
                self.at = At::Nowhere;
                self.pushes = false;
            }
            Act::Fail => self.pushes = false,
        }
    }

    async fn send(&mut self) {
        let (event, seconds) = (format!("${}", self.events.len()), 40 * i64::try_from(self.events.len()).unwrap());
        self.events.push((event.clone(), seconds));
        if self.pushes {
            let recipient = Recipient::new(&account("home", "app", "key"), Tweaks::default());
            let delivery = Delivery {
                is_sample: false,
                notification: listed(&event, seconds).notification,
                recipients: vec![recipient],
                received_at: self.now(),
                replayed: false,
            };
            self.inbox.record(delivery).await.unwrap();
        }
    }

    async fn step(&mut self) {
        self.at = match std::mem::replace(&mut self.at, At::Nowhere) {
            At::Nowhere => At::CatchUpState(self.inbox.catch_up_state("home".into()).await.unwrap()),
            At::CatchUpState(state) => {
                self.pushes = true;
                At::Reading(Reading::new(state, at(0), self.now()))
            }
            At::Reading(mut reading) => {
                // A token is the number of the event that the page ends before, as on Synapse.
                let before = match reading.next_page() {
                    NextPage::First => Some(self.events.len()),
                    NextPage::From(token) => token.parse().ok(),
                    NextPage::None => None,
                };
                if let Some(before) = before {
                    let entries: Vec<_> = (before.saturating_sub(3)..before).rev().collect();
                    let next = entries.last().map(ToString::to_string);
                    let entries =
                        entries.into_iter().map(|number| listed(&self.events[number].0, self.events[number].1));
                    reading.page(page(entries, next.as_deref()));
                    At::Reading(reading)
                } else {
                    self.commit(reading).await;
                    At::Nowhere
                }
            }
        };
    }

    async fn commit(&self, reading: Reading) {
        let Found { missed, read, listed_unread, is_all, mark, is_whole: _ } = reading.finish(true, self.now());
        let caught_up = CaughtUp {
            is_live: false,
            read_rooms: Vec::new(),
            recipient: Recipient::new(&account("home", "app", "key"), Tweaks::default()),
            counts_rooms: true,
            missed,
            read,
            listed_unread,
            is_all,
            mark,
            at: self.now(),
        };
        self.inbox.apply_catch_up(caught_up).await.unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn every_event_is_recorded_exactly_once_in_any_order(
        acts in proptest::collection::vec(
            prop_oneof![4 => Just(Act::Send), 5 => Just(Act::Step), 1 => Just(Act::Kill), 1 => Just(Act::Fail)],
            0..60,
        ),
    ) {
        let directory = tempfile::TempDir::new().unwrap();
        let path = directory.path().join("pushbell.db");
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let events = runtime.block_on(async {
            let settings = (&Config::default()).into();
            let inbox = Inbox::open(&path, settings).unwrap();
            let mut world = World { inbox, events: Vec::new(), pushes: false, at: At::Nowhere };
            for act in acts {
                world.act(act).await;
            }
            // Finally it completes once.
            world.act(Act::Kill).await;
            world.step().await;
            while !matches!(world.at, At::Nowhere) {
                world.step().await;
            }
            world.inbox.clone().close().await;
            world.events
        });
        let mut known = BTreeMap::<String, usize>::new();
        for notice in inbox::history(&path, usize::MAX, &inbox::Seals::default(), |_| true).unwrap() {
            *known.entry(notice.event_id.unwrap()).or_default() += 1;
        }
        let expected: BTreeMap<_, _> = events.into_iter().map(|(event, _)| (event, 1)).collect();
        prop_assert_eq!(known, expected);
    }
}

#[test]
fn an_event_from_the_future_hides_no_later_ones() {
    let state = CatchUpState { mark: Some(at(1000)), ..CatchUpState::default() };
    let mut reading = Reading::new(state, at(0), at(5000));
    let years = 10 * 365 * 24 * 3600;
    reading.page(page([listed("$future", years), listed("$1", 4000)], None));
    let mark = reading.finish(false, at(5000)).mark;
    let state = CatchUpState { mark: Some(mark), ..CatchUpState::default() };
    let mut again = Reading::new(state, at(0), at(9000));
    again.page(page([listed("$future", years), listed("$2", 8000), listed("$1", 4000)], None));
    assert!(missed(&again.finish(false, at(9000))).contains(&"$2"));
}

#[test]
fn extreme_times_are_survived() {
    let state = CatchUpState { mark: Some(Timestamp::MIN), ..CatchUpState::default() };
    let mut reading = Reading::new(state, Timestamp::MIN, Timestamp::MIN);
    reading
        .page(page([Listed { ts: Some(i64::MAX), ..listed("$1", 0) }, Listed { ts: None, ..listed("$2", 0) }], None));
    let found = reading.finish(true, Timestamp::MAX);
    assert_eq!(found.missed.len(), 2);
    assert!(found.mark <= Timestamp::MAX - SignedDuration::ZERO);
}
