use notify_rust::{Timeout, Urgency};
use proptest::prelude::*;

use super::{
    super::shown::{Reason, Signal},
    *,
};
use crate::notice::NoticeId;

const ALL: Abilities = Abilities { markup: true, actions: true };

fn popup(key: PopupKey) -> Popup {
    Popup {
        key,
        title: "title".into(),
        text: "text".into(),
        urgency: Urgency::Normal,
        category: "im.received",
        actions: Vec::new(),
        timeout: Timeout::Default,
    }
}

fn key(number: i64) -> PopupKey {
    PopupKey::Call(NoticeId(number))
}

fn notify(number: i64, replaces: u32) -> Call {
    Call::Notify { replaces, popup: popup(key(number)), abilities: ALL }
}

impl Desk {
    fn ask(&mut self, serial: u64, number: i64) {
        self.show(PopupSerial(serial), popup(key(number)));
    }

    /// Answers what a new service is asked first.
    fn introduce(&mut self) {
        assert_eq!(self.next_call(), Some(Call::Describe));
        self.answered(Ok(Answer::Description("dunst 1.9.0".into())));
        assert_eq!(self.next_call(), Some(Call::AskAbilities));
        self.answered(Ok(Answer::Abilities(ALL)));
        let state = ServiceState { available: true, reason: Some("dunst 1.9.0".into()) };
        assert_eq!(self.take_events(), [DesktopEvent::PopupService(state)]);
    }

    /// Shows a popup that the service gives this id.
    fn shows(&mut self, serial: u64, number: i64, id: u32) {
        self.ask(serial, number);
        assert!(matches!(self.next_call(), Some(Call::Notify { .. })));
        self.answered(Ok(Answer::Id(id)));
        assert_eq!(self.take_events(), [DesktopEvent::Shown(PopupSerial(serial))]);
    }

    /// The serials not shown, and whether the service was last said to be available.
    fn not_shown(&mut self) -> (Vec<u64>, Option<bool>) {
        let mut serials = Vec::new();
        let mut available = None;
        for event in self.take_events() {
            if let DesktopEvent::NotShown(serial, _) = event {
                serials.push(serial.0);
            } else if let DesktopEvent::PopupService(state) = event {
                available = Some(state.available);
            } else {
                panic!("{event:?}");
            }
        }
        (serials, available)
    }
}

fn ready() -> Desk {
    let mut desk = Desk::default();
    desk.connected(Some(":1.1".into()), false);
    desk.introduce();
    desk
}

#[test]
fn popups_wait_until_it_is_known_who_shows_them() {
    let mut desk = Desk::default();
    desk.ask(1, 1);
    assert_eq!(desk.next_call(), None);
    desk.connected(Some(":1.1".into()), false);
    desk.introduce();
    assert_eq!(desk.next_call(), Some(notify(1, 0)));
}

#[test]
fn without_a_bus_or_a_service_popups_are_turned_down_and_the_reason_is_said_once() {
    let mut desk = Desk::default();
    desk.ask(1, 1);
    desk.disconnected("no socket");
    assert_eq!(desk.not_shown(), (vec![1], Some(false)));
    desk.ask(2, 1);
    desk.disconnected("no socket");
    assert_eq!(desk.not_shown(), (vec![2], None));
    desk.connected(None, false);
    desk.ask(3, 1);
    assert_eq!(desk.not_shown(), (vec![3], Some(false)));
    assert_eq!(desk.next_call(), None);
    desk.owner_changed(Some(":1.1".into()));
    desk.introduce();
}

#[test]
fn a_newer_popup_of_the_same_key_replaces_the_one_that_waits_and_the_one_shown() {
    let mut desk = ready();
    desk.ask(1, 1);
    desk.ask(2, 2);
    assert_eq!(desk.next_call(), Some(notify(1, 0)));
    desk.ask(3, 1);
    desk.ask(4, 1);
    assert_eq!(desk.next_call(), None, "one call at a time");
    desk.answered(Ok(Answer::Id(7)));
    assert_eq!(desk.next_call(), Some(notify(2, 0)));
    desk.answered(Ok(Answer::Id(8)));
    assert_eq!(desk.next_call(), Some(notify(1, 7)));
    desk.answered(Ok(Answer::Id(7)));
    let shown = [1, 2, 4].map(|serial| DesktopEvent::Shown(PopupSerial(serial)));
    assert_eq!(desk.take_events(), shown);
    assert_eq!(desk.next_call(), None);
}

#[test]
fn only_so_many_popups_wait() {
    let mut desk = Desk::default();
    for number in 0..=i64::try_from(MAX_WAITING).expect("a small number") {
        desk.ask(0, number);
    }
    assert_eq!(desk.not_shown(), (vec![0], None));
}

#[test]
fn a_popup_is_withdrawn_wherever_it_has_got_to() {
    let mut desk = ready();
    desk.ask(1, 1);
    desk.withdraw(&key(1));
    assert_eq!(desk.next_call(), None, "it only waited");

    desk.ask(2, 2);
    assert_eq!(desk.next_call(), Some(notify(2, 0)));
    desk.withdraw(&key(2));
    desk.answered(Ok(Answer::Id(5)));
    assert_eq!(desk.next_call(), Some(Call::Close(5)));
    desk.signal(Signal::Closed { id: 5, reason: Reason::Withdrawn });
    desk.answered(Ok(Answer::Closed));
    assert_eq!(desk.take_events(), [DesktopEvent::Shown(PopupSerial(2))]);

    desk.shows(3, 3, 6);
    desk.ask(4, 4);
    desk.withdraw_all();
    assert_eq!(desk.next_call(), Some(Call::Close(6)));
    desk.answered(Err(Failure::Refused("no such popup".into())));
    assert_eq!((desk.next_call(), desk.take_events()), (None, Vec::new()));
    desk.withdraw(&key(9));
    assert_eq!(desk.next_call(), None);
}

#[test]
fn a_withdrawn_popup_that_is_shown_again_takes_its_old_place() {
    let mut desk = ready();
    desk.shows(1, 1, 5);
    desk.withdraw(&key(1));
    desk.ask(2, 1);
    assert_eq!(desk.next_call(), Some(notify(1, 5)));
}

#[test]
fn a_click_is_reported_with_its_token_and_is_no_dismissal() {
    let mut desk = ready();
    desk.shows(1, 1, 5);
    desk.signal(Signal::Token { id: 5, token: "t".into() });
    desk.signal(Signal::Action { id: 5, action: "default".into() });
    desk.signal(Signal::Closed { id: 5, reason: Reason::Dismissed });
    let activated = DesktopEvent::Activated { key: key(1), action: "default".into(), token: Some("t".into()) };
    assert_eq!(desk.take_events(), [activated]);
    desk.withdraw(&key(1));
    assert_eq!(desk.next_call(), None, "its id is forgotten");
}

#[test]
fn a_click_that_overtakes_the_answer_is_not_lost() {
    let mut desk = ready();
    desk.ask(1, 1);
    assert!(desk.next_call().is_some());
    desk.signal(Signal::Action { id: 4, action: "somebody else's".into() });
    desk.signal(Signal::Action { id: 5, action: "open".into() });
    desk.answered(Ok(Answer::Id(5)));
    let activated = DesktopEvent::Activated { key: key(1), action: "open".into(), token: None };
    assert_eq!(desk.take_events(), [DesktopEvent::Shown(PopupSerial(1)), activated]);
}

#[test]
fn popups_of_an_earlier_run_are_replaced_withdrawn_and_clicked_by_their_ids() {
    let mut before = ready();
    for (serial, number) in [(1, 1), (2, 2), (3, 3)] {
        before.shows(serial, number, 10 + u32::try_from(number).unwrap());
    }
    let mut desk = ready();
    desk.shows(1, 1, 5);

    desk.adopt(before.standing());

    assert_eq!(desk.take_events(), [DesktopEvent::Adopted(vec![key(2), key(3)])], "the first is up anew");
    assert_eq!(desk.standing(), [(key(1), 5), (key(2), 12), (key(3), 13)]);
    desk.ask(2, 2);
    assert_eq!(desk.next_call(), Some(notify(2, 12)));
    desk.answered(Ok(Answer::Id(12)));
    desk.take_events();
    desk.signal(Signal::Closed { id: 13, reason: Reason::Dismissed });
    assert_eq!(desk.take_events(), [DesktopEvent::Dismissed(key(3))]);
    desk.withdraw(&key(2));
    assert_eq!(desk.next_call(), Some(Call::Close(12)));
}

#[test]
fn a_dismissal_is_reported_and_an_expiry_is_not() {
    let mut desk = ready();
    desk.shows(1, 1, 5);
    desk.signal(Signal::Closed { id: 5, reason: Reason::Expired });
    assert_eq!(desk.take_events(), []);
    desk.ask(2, 1);
    assert_eq!(desk.next_call(), Some(notify(1, 5)), "an expired popup may still be listed");
    desk.answered(Ok(Answer::Id(5)));
    desk.signal(Signal::Closed { id: 5, reason: Reason::Dismissed });
    assert_eq!(desk.take_events(), [DesktopEvent::Shown(PopupSerial(2)), DesktopEvent::Dismissed(key(1))]);
    desk.ask(3, 1);
    assert_eq!(desk.next_call(), Some(notify(1, 0)));
}

#[test]
fn ids_are_forgotten_with_the_service_that_gave_them() {
    let mut desk = ready();
    desk.shows(1, 1, 1);
    desk.owner_changed(None);
    assert_eq!(desk.not_shown(), (vec![], Some(false)));
    desk.owner_changed(Some(":1.2".into()));
    desk.introduce();
    desk.withdraw(&key(1));
    desk.signal(Signal::Action { id: 1, action: "default".into() });
    assert_eq!((desk.next_call(), desk.take_events()), (None, Vec::new()));
    desk.ask(2, 1);
    assert_eq!(desk.next_call(), Some(notify(1, 0)));
}

#[test]
fn a_late_answer_says_shown_and_nothing_before_it_says_otherwise() {
    let mut desk = ready();
    desk.ask(1, 1);
    desk.ask(2, 2);
    assert!(desk.next_call().is_some());
    desk.overdue();
    assert_eq!(desk.not_shown(), (vec![2], Some(false)));
    desk.ask(3, 1);
    assert_eq!(desk.not_shown(), (vec![3], None));
    assert!(desk.wants_probe() && desk.is_calling());
    desk.answered(Ok(Answer::Id(5)));
    assert!(!desk.wants_probe());
    let state = ServiceState { available: true, reason: Some("dunst 1.9.0".into()) };
    assert_eq!(desk.take_events(), [DesktopEvent::Shown(PopupSerial(1)), DesktopEvent::PopupService(state)]);
}

#[test]
fn a_hung_service_that_ends_has_not_shown_the_popup() {
    let mut desk = ready();
    desk.ask(1, 1);
    assert!(desk.next_call().is_some());
    desk.overdue();
    desk.take_events();
    desk.owner_changed(None);
    assert_eq!(desk.not_shown(), (vec![1], Some(false)));
}

#[test]
fn a_popup_that_a_living_service_never_confirms_is_given_up() {
    let mut desk = ready();
    for rest in [1, 2, 4] {
        desk.ask(1, 1);
        assert!(desk.next_call().is_some());
        desk.overdue();
        desk.probe_answered();
        assert!(!desk.wants_probe());
        desk.overdue();
        assert_eq!(desk.not_shown(), (vec![1], Some(false)));
        assert_eq!(desk.next_call(), Some(Call::Rest(Duration::from_secs(rest))));
        desk.answered(Ok(Answer::Rested));
        desk.introduce();
    }
    desk.shows(2, 2, 3);
    assert_eq!(desk.failures, 0);
}

#[test]
fn a_service_that_ends_over_a_popup_is_left_alone_for_a_while() {
    let mut desk = ready();
    desk.ask(1, 1);
    assert!(desk.next_call().is_some());
    desk.answered(Err(Failure::Gone("it disconnected".into())));
    desk.owner_changed(None);
    assert_eq!(desk.not_shown(), (vec![1], Some(false)));
    assert_eq!(desk.next_call(), Some(Call::Rest(Duration::from_secs(1))));
    desk.owner_changed(Some(":1.2".into()));
    assert_eq!(desk.next_call(), None);
    desk.answered(Ok(Answer::Rested));
    desk.introduce();
}

#[test]
fn a_service_is_started_by_the_first_popup() {
    let mut desk = Desk::default();
    desk.connected(None, true);
    assert_eq!(desk.not_shown(), (vec![], Some(true)));
    assert_eq!(desk.next_call(), None);
    desk.ask(1, 1);
    assert_eq!(desk.next_call(), Some(Call::Start));
    desk.answered(Ok(Answer::Started(Some(":1.2".into()))));
    desk.introduce();
    assert_eq!(desk.next_call(), Some(notify(1, 0)));
    desk.answered(Ok(Answer::Id(1)));
    desk.take_events();
    // It ends when it has nothing to show, as some do, and is started again.
    desk.owner_changed(None);
    assert_eq!(desk.not_shown(), (vec![], Some(true)));
    desk.ask(2, 1);
    assert_eq!(desk.next_call(), Some(Call::Start));
}

#[test]
fn a_service_that_cannot_be_started_is_tried_once() {
    let check = |fail: fn(&mut Desk)| {
        let mut desk = Desk::default();
        desk.connected(None, true);
        desk.take_events();
        desk.ask(1, 1);
        assert_eq!(desk.next_call(), Some(Call::Start));
        fail(&mut desk);
        desk.ask(2, 2);
        assert_eq!(desk.not_shown(), (vec![1, 2], Some(false)));
        assert_eq!(desk.next_call(), None);
        desk.owner_changed(Some(":1.2".into()));
        desk.introduce();
    };
    check(|desk| desk.answered(Err(Failure::Refused("exit status 1".into()))));
    check(|desk| desk.answered(Ok(Answer::Started(None))));
    check(Desk::overdue);
}

#[test]
fn a_refused_popup_leaves_the_service_available() {
    let mut desk = ready();
    desk.ask(1, 1);
    assert!(desk.next_call().is_some());
    desk.answered(Err(Failure::Refused("too many".into())));
    assert_eq!(desk.not_shown(), (vec![1], None));
    desk.shows(2, 2, 1);
}

#[derive(Debug, Clone)]
enum Step {
    Show(i64),
    Withdraw(i64),
    WithdrawAll,
    Disconnect,
    Connect(Option<u8>, bool),
    Owner(Option<u8>),
    Next,
    Answer(u32),
    Fail(bool),
    Overdue,
    Probe,
    Signal(u32, u8),
}

fn step() -> impl Strategy<Value = Step> {
    let owner = || proptest::option::of(0..3_u8);
    prop_oneof![
        4 => (0..6_i64).prop_map(Step::Show),
        1 => (0..6_i64).prop_map(Step::Withdraw),
        1 => Just(Step::WithdrawAll),
        1 => Just(Step::Disconnect),
        1 => (owner(), any::<bool>()).prop_map(|(owner, activatable)| Step::Connect(owner, activatable)),
        1 => owner().prop_map(Step::Owner),
        8 => Just(Step::Next),
        6 => (1..5_u32).prop_map(Step::Answer),
        1 => any::<bool>().prop_map(Step::Fail),
        1 => Just(Step::Overdue),
        1 => Just(Step::Probe),
        2 => (1..5_u32, 0..4_u8).prop_map(|(id, kind)| Step::Signal(id, kind)),
    ]
}

proptest! {
    #[test]
    fn every_popup_is_answered_at_most_once_and_one_call_is_in_flight(steps in prop::collection::vec(step(), 0..120)) {
        let mut desk = Desk::default();
        let mut call: Option<Call> = None;
        let mut asked = 0;
        let mut answered = std::collections::BTreeSet::new();
        for step in steps {
            match step {
                Step::Show(number) => {
                    asked += 1;
                    desk.ask(asked, number);
                }
                Step::Withdraw(number) => desk.withdraw(&key(number)),
                Step::WithdrawAll => desk.withdraw_all(),
                Step::Disconnect => desk.disconnected("gone"),
                Step::Connect(owner, activatable) => desk.connected(owner.map(|owner| owner.to_string()), activatable),
                Step::Owner(owner) => desk.owner_changed(owner.map(|owner| owner.to_string())),
                Step::Next => {
                    if let Some(next) = desk.next_call() {
                        prop_assert!(call.is_none(), "a second call: {:?}", next);
                        call = Some(next);
                    }
                }
                Step::Answer(id) => if let Some(call) = call.take() {
                    desk.answered(Ok(match call {
                        Call::Start => Answer::Started(Some("9".into())),
                        Call::Describe => Answer::Description("a".into()),
                        Call::AskAbilities => Answer::Abilities(ALL),
                        Call::Notify { .. } => Answer::Id(id),
                        Call::Close(_) => Answer::Closed,
                        Call::Rest(_) => Answer::Rested,
                    }));
                },
                Step::Fail(gone) => if call.as_ref().is_some_and(|call| !matches!(call, Call::Rest(_))) {
                    call = None;
                    desk.answered(Err(if gone { Failure::Gone("x".into()) } else { Failure::Refused("x".into()) }));
                },
                Step::Overdue => desk.overdue(),
                Step::Probe => desk.probe_answered(),
                Step::Signal(id, kind) => desk.signal(match kind {
                    0 => Signal::Token { id, token: "t".into() },
                    1 => Signal::Action { id, action: "a".into() },
                    2 => Signal::Closed { id, reason: Reason::Dismissed },
                    _ => Signal::Closed { id, reason: Reason::Expired },
                }),
            }
            if !desk.is_calling() {
                call = None;
            }
            prop_assert_eq!(desk.is_calling(), call.is_some());
            for event in desk.take_events() {
                if let DesktopEvent::Shown(serial) | DesktopEvent::NotShown(serial, _) = event {
                    prop_assert!(answered.insert(serial), "{:?} was answered twice", serial);
                }
            }
        }
    }
}
