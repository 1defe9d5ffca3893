use proptest::{collection::vec, prelude::*};

use super::*;
use crate::{desktop::ServiceState, present::own_popup};

fn room(number: usize) -> RoomKey {
    RoomKey::with_id("home", format!("!{number}"))
}

fn key(number: usize) -> PopupKey {
    PopupKey::Room(room(number))
}

fn about(number: usize, up_to: i64) -> About {
    let target = OpenTarget::Room { room_id: "!1".into(), event_id: None, user: None };
    About::Room { room: room(number), up_to: NoticeId(up_to), target, show_text: true }
}

fn popup(number: usize, text: &str) -> Popup {
    Popup::new(key(number), "title", text)
}

fn service(id: Option<&str>, available: bool) -> PopupEvent {
    let service = id.map(|id| PopupService { id: id.to_owned(), ..PopupService::default() });
    PopupEvent::Service { service, state: ServiceState { available, reason: None } }
}

fn activated(id: u32, key: &str) -> PopupEvent {
    let activation = Activation { key: key.to_owned(), text: None, token: Some("token".into()) };
    PopupEvent::Activated { id, activation }
}

fn action(id: u32, action: Action) -> PopupEvent {
    activated(id, action.key())
}

fn closed(id: u32, reason: CloseReason) -> PopupEvent {
    PopupEvent::Closed { id, reason }
}

fn ready() -> Screen {
    let mut screen = Screen::default();
    screen.handle(service(Some("a"), true));
    screen
}

/// Shows a popup that tells up to this notice, and has the service give it this id.
fn show(screen: &mut Screen, number: usize, up_to: i64, id: u32) {
    screen.show(popup(number, &up_to.to_string()), about(number, up_to));
    assert!(matches!(screen.next_call(), Some(PopupCall::Show { .. })));
    let events = screen.handle(PopupEvent::Answer(Ok(id)));
    assert!(matches!(&events[..], [ScreenEvent::Shown(told)] if told.about == about(number, up_to)), "{events:?}");
}

fn shows(call: Option<PopupCall>) -> (String, u32) {
    match call {
        Some(PopupCall::Show { popup, replaces }) => (popup.text, replaces),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_newer_popup_replaces_the_waiting_and_the_shown_one() {
    let mut screen = ready();
    show(&mut screen, 1, 1, 7);
    for text in ["a", "b"] {
        screen.show(popup(1, text), about(1, 2));
    }
    assert_eq!(shows(screen.next_call()), ("b".into(), 7));
    assert_eq!(screen.next_call(), None, "one call at a time");
}

#[test]
fn a_popup_is_withdrawn_wherever_it_has_got_to() {
    let mut screen = ready();
    screen.show(popup(1, "waits"), about(1, 1));
    screen.withdraw(&key(1));
    assert_eq!(screen.next_call(), None);

    screen.show(popup(1, "in flight"), about(1, 1));
    assert!(screen.next_call().is_some());
    screen.withdraw(&key(1));
    assert!(!screen.is_on_its_way(&key(1)));
    assert_eq!(screen.handle(PopupEvent::Answer(Ok(4))), []);
    assert_eq!(screen.next_call(), Some(PopupCall::Close(4)));
    screen.handle(PopupEvent::Answer(Ok(4)));

    show(&mut screen, 1, 1, 5);
    screen.show(popup(1, "replaces"), about(1, 2));
    assert_eq!(shows(screen.next_call()).1, 5);
    screen.withdraw(&key(1));
    assert_eq!(screen.handle(PopupEvent::Answer(Err("no".into()))), []);
    assert_eq!(screen.next_call(), Some(PopupCall::Close(5)), "what it was to replace goes too");
    assert!(screen.current().next().is_none());
}

#[test]
fn a_popup_shown_during_its_withdrawal_comes_after_it() {
    let mut screen = ready();
    show(&mut screen, 1, 1, 5);
    screen.withdraw(&key(1));
    screen.show(popup(1, "again"), about(1, 2));
    assert_eq!(screen.next_call(), Some(PopupCall::Close(5)));
    screen.handle(PopupEvent::Answer(Ok(5)));
    assert_eq!(shows(screen.next_call()), ("again".into(), 0));
}

#[test]
fn what_was_not_shown_leaves_what_is_up() {
    let mut screen = ready();
    show(&mut screen, 1, 1, 5);
    screen.show(popup(1, "2"), about(1, 2));
    screen.next_call();
    assert_eq!(screen.handle(PopupEvent::Answer(Err("no".into()))), [ScreenEvent::NotShown(about(1, 2), "no".into())]);
    assert_eq!(screen.newest(&key(1)), Some(&about(1, 1)));
}

#[test]
fn a_call_that_rings_is_closed_first_where_one_banner_is_shown() {
    for (name, replaces) in [("dunst", 5), ("gnome-shell", 0)] {
        let mut screen = Screen::default();
        let service = Some(PopupService { id: "a".into(), name: name.into(), ..PopupService::default() });
        screen.handle(PopupEvent::Service { service, state: ServiceState { available: true, reason: None } });
        let call = |state| {
            let target = OpenTarget::Room { room_id: "!1".into(), event_id: None, user: None };
            About::Call { call: NoticeId(1), state, target }
        };
        let popup = |text: &str| Popup { key: PopupKey::Call(NoticeId(1)), ..popup(1, text) };
        screen.show(popup("rings"), call(CallState::Ringing));
        screen.next_call();
        screen.handle(PopupEvent::Answer(Ok(5)));
        screen.show(popup("missed"), call(CallState::Missed));
        let next = screen.next_call();
        if replaces == 0 {
            assert_eq!(next, Some(PopupCall::Close(5)));
            screen.handle(PopupEvent::Answer(Ok(5)));
            assert_eq!(shows(screen.next_call()), ("missed".into(), 0));
        } else {
            assert_eq!(shows(next), ("missed".into(), replaces));
        }
    }
}

#[test]
fn a_click_closes_the_popup_and_is_no_dismissal() {
    let mut screen = ready();
    show(&mut screen, 1, 1, 5);
    let (about, token) = (about(1, 1), Some("token".into()));
    let activated = ScreenEvent::Activated { about, action: Action::Open, text: None, token };
    assert_eq!(screen.handle(action(5, Action::Open)), [activated]);
    // Some services send it twice, and then say that the popup was dismissed.
    assert_eq!(screen.handle(action(5, Action::Open)), []);
    assert_eq!(screen.handle(closed(5, CloseReason::Dismissed)), []);
    assert_eq!(screen.next_call(), Some(PopupCall::Close(5)));
}

#[test]
fn an_action_that_was_not_offered_does_nothing() {
    let mut screen = ready();
    show(&mut screen, 1, 1, 5);
    for key in ["ignore", "unknown", ""] {
        assert_eq!(screen.handle(activated(5, key)), []);
    }
    assert_eq!(screen.handle(action(6, Action::Open)), []);
    assert!(screen.up(&key(1)).is_some());
}

#[test]
fn a_dismissal_is_told_and_an_expiry_is_not() {
    let mut screen = ready();
    show(&mut screen, 1, 1, 5);
    assert_eq!(screen.handle(closed(5, CloseReason::Expired)), []);
    assert!(screen.up(&key(1)).is_some(), "it can still be replaced and clicked");
    assert_eq!(screen.handle(closed(5, CloseReason::Dismissed)), [ScreenEvent::Dismissed(about(1, 1))]);
    assert!(screen.current().next().is_none());
}

#[test]
fn seeing_a_popup_does_not_settle_its_newer_replacement() {
    for (up_to, is_wanted) in [(1, false), (2, true)] {
        for in_flight in [false, true] {
            let mut screen = ready();
            show(&mut screen, 1, 1, 5);
            screen.show(popup(1, "next"), about(1, up_to));
            if in_flight {
                screen.next_call();
            }
            screen.handle(closed(5, CloseReason::Dismissed));
            assert_eq!(screen.is_on_its_way(&key(1)), is_wanted, "{up_to} {in_flight}");
        }
    }
}

#[test]
fn a_signal_that_overtakes_the_answer_is_not_lost() {
    let mut screen = ready();
    screen.show(popup(1, "text"), about(1, 1));
    screen.next_call();
    assert_eq!(screen.handle(action(9, Action::Open)), []);
    for _ in 0..2 * MAX_EARLY {
        screen.handle(action(10, Action::Open));
    }
    let events = screen.handle(PopupEvent::Answer(Ok(9)));
    assert!(matches!(&events[..], [ScreenEvent::Shown(_), ScreenEvent::Activated { .. }]), "{events:?}");
}

#[test]
fn a_duplicate_click_does_not_count_for_the_replacement() {
    let mut screen = ready();
    show(&mut screen, 1, 1, 5);
    screen.show(popup(1, "newer"), about(1, 2));
    screen.next_call();
    assert_eq!(screen.handle(action(5, Action::Open)).len(), 1);
    assert_eq!(screen.handle(action(5, Action::Open)), []);
    assert!(matches!(&screen.handle(PopupEvent::Answer(Ok(5)))[..], [ScreenEvent::Shown(_)]));
}

#[test]
fn ids_are_forgotten_with_the_service_that_gave_them() {
    let mut screen = ready();
    show(&mut screen, 1, 1, 5);
    screen.withdraw(&key(1));
    show_waiting(&mut screen);
    screen.handle(service(None, false));
    assert!(screen.current().next().is_none() && !screen.is_busy());
    screen.handle(service(Some("b"), true));
    assert_eq!(screen.next_call(), None, "nothing of the old service is closed at the new one");
    assert_eq!(screen.handle(closed(5, CloseReason::Dismissed)), []);
}

fn show_waiting(screen: &mut Screen) {
    screen.show(popup(2, "waits"), about(2, 1));
}

#[test]
fn popups_and_pending_closes_survive_a_service_that_hangs() {
    let mut screen = ready();
    show(&mut screen, 1, 1, 5);
    show_waiting(&mut screen);
    screen.next_call();
    screen.handle(service(Some("a"), false));
    screen.withdraw(&key(1));
    assert!(!screen.is_busy(), "nobody waits for it");
    assert!(matches!(&screen.handle(PopupEvent::Answer(Ok(6)))[..], [ScreenEvent::Shown(_)]));
    assert_eq!(screen.next_call(), None);
    screen.handle(service(Some("a"), true));
    assert_eq!(screen.next_call(), Some(PopupCall::Close(5)));
}

#[test]
fn only_the_same_service_keeps_popups_of_an_earlier_run() {
    let mut before = ready();
    show(&mut before, 1, 1, 5);
    before.show(own_popup(OwnPopup::Welcome, "text"), About::Own(OwnPopup::Welcome));
    before.next_call();
    before.handle(PopupEvent::Answer(Ok(6)));
    let written = serde_json::to_string(&before.persisted().unwrap()).unwrap();
    assert!(!written.contains("title"), "no words: {written}");

    for (id, is_adopted) in [("a", true), ("b", false)] {
        let mut screen = Screen::default();
        screen.adopt(serde_json::from_str(&written).unwrap());
        assert_eq!(screen.persisted(), before.persisted(), "the next run may know the service");
        screen.handle(service(Some(id), true));
        assert_eq!(screen.up(&key(1)), before.up(&key(1)).filter(|_| is_adopted));
        assert_eq!(screen.up(&PopupKey::Own(OwnPopup::Welcome)), None);
        assert_eq!(!screen.handle(action(5, Action::Open)).is_empty(), is_adopted);
    }
}

#[test]
fn the_number_of_remembered_popups_is_bounded() {
    let mut screen = ready();
    for number in 0..MAX_POPUPS {
        show(&mut screen, number, 1, u32::try_from(number + 1).unwrap());
    }
    screen.show(popup(0, "waits"), about(0, 2));
    for number in 0..2 {
        screen.show(popup(MAX_POPUPS + number, "new"), about(MAX_POPUPS + number, 1));
    }
    assert_eq!(screen.current().count(), MAX_POPUPS);
    assert!(screen.up(&key(1)).is_none() && screen.up(&key(0)).is_some());
}

#[derive(Debug, Clone)]
enum Step {
    Show(usize),
    Withdraw(usize),
    Service(u8, bool),
    Answer(bool),
    Dismiss(usize),
    Click(usize),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..4_usize).prop_map(Step::Show),
        2 => (0..4_usize).prop_map(Step::Withdraw),
        1 => (0..2_u8, any::<bool>()).prop_map(|(id, available)| Step::Service(id, available)),
        6 => prop::bool::weighted(0.8).prop_map(Step::Answer),
        1 => (0..4_usize).prop_map(Step::Dismiss),
        1 => (0..4_usize).prop_map(Step::Click),
        1 => Just(Step::Restart),
    ]
}

/// A service that does what it is told.
#[derive(Debug, Default)]
struct Service {
    number: u32,
    last_id: u32,
    up: Vec<(u32, PopupKey)>,
    call: Option<PopupCall>,
}

impl Service {
    /// Another one takes its place.
    fn next(&mut self) {
        *self = Self { number: self.number + 1, ..Self::default() };
    }

    fn event(&self, available: bool) -> PopupEvent {
        service(Some(&self.number.to_string()), available)
    }

    fn perform(&mut self, call: PopupCall) -> u32 {
        match call {
            PopupCall::Show { popup, replaces } => {
                let id = if replaces == 0 { self.last_id + 1 } else { replaces };
                self.last_id = self.last_id.max(id);
                self.up.retain(|(up, _)| *up != id);
                self.up.push((id, popup.key));
                id
            }
            PopupCall::Close(id) => {
                self.up.retain(|(up, _)| *up != id);
                id
            }
        }
    }
}

proptest! {
    #[test]
    fn in_the_end_what_is_up_is_what_was_wanted(steps in vec(step(), 1..60)) {
        let (mut screen, mut real) = (Screen::default(), Service::default());
        screen.handle(real.event(true));
        let mut up_to = 0;
        for step in steps {
            match step {
                Step::Show(number) => {
                    up_to += 1;
                    screen.show(popup(number, "text"), about(number, up_to));
                }
                Step::Withdraw(number) => screen.withdraw(&key(number)),
                Step::Service(0, available) => drop(screen.handle(real.event(available))),
                Step::Service(_, available) => {
                    if real.call.take().is_some() {
                        screen.handle(PopupEvent::Answer(Err("gone".into())));
                    }
                    real.next();
                    screen.handle(real.event(available));
                }
                Step::Answer(works) => if let Some(call) = real.call.take() {
                    let is_refused = !works && matches!(call, PopupCall::Show { .. });
                    let answer = if is_refused { Err("no".into()) } else { Ok(real.perform(call)) };
                    screen.handle(PopupEvent::Answer(answer));
                },
                Step::Dismiss(index) => if let Some((id, _)) = real.up.get(index).cloned() {
                    real.up.remove(index);
                    screen.handle(closed(id, CloseReason::Dismissed));
                },
                Step::Click(index) => if let Some((id, _)) = real.up.get(index).cloned() {
                    screen.handle(action(id, Action::Open));
                },
                Step::Restart => {
                    // In good order, as the program ends.
                    let left_over = screen.persisted();
                    if screen.is_busy() || real.call.is_some() || !screen.closing.is_empty() {
                        continue;
                    }
                    screen = Screen::default();
                    if let Some(left_over) = left_over {
                        screen.adopt(left_over);
                    }
                    screen.handle(real.event(true));
                }
            }
            if real.call.is_none() {
                real.call = screen.next_call();
            }
        }
        screen.handle(real.event(true));
        loop {
            if let Some(call) = real.call.take() {
                let id = real.perform(call);
                screen.handle(PopupEvent::Answer(Ok(id)));
            }
            real.call = screen.next_call();
            if real.call.is_none() {
                break;
            }
        }
        let mut on_screen: Vec<_> = real.up.iter().map(|(_, key)| format!("{key:?}")).collect();
        let mut owned: Vec<_> = screen.current().map(|about| format!("{:?}", about.key())).collect();
        on_screen.sort();
        owned.sort();
        prop_assert_eq!(on_screen, owned);
    }
}
