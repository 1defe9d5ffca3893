use std::sync::mpsc::{Receiver, Sender, channel};

use notify_rust::{Timeout, Urgency};

use super::*;

/// A system that answers when the test says so.
struct System {
    shown: mpsc::UnboundedSender<PopupKey>,
    withdrawn: mpsc::UnboundedSender<Option<PopupKey>>,
    answers: Receiver<Result<(), String>>,
}

impl Presenter for System {
    fn present(&mut self, popup: &Popup) -> Result<(), String> {
        self.shown.send(popup.key.clone()).unwrap();
        self.answers.recv().unwrap()
    }

    fn withdraw(&mut self, key: &PopupKey) {
        self.withdrawn.send(Some(key.clone())).unwrap();
    }

    fn withdraw_all(&mut self) {
        self.withdrawn.send(None).unwrap();
    }
}

struct Desk {
    popups: Popups,
    shown: mpsc::UnboundedReceiver<PopupKey>,
    /// Each key, or none for all.
    withdrawn: mpsc::UnboundedReceiver<Option<PopupKey>>,
    answer: Sender<Result<(), String>>,
    events: mpsc::UnboundedReceiver<DesktopEvent>,
}

impl Desk {
    fn start() -> Self {
        let (shown, seen) = mpsc::unbounded_channel();
        let (answer, answers) = channel();
        let (events, heard) = mpsc::unbounded_channel();
        let (withdrawn, gone) = mpsc::unbounded_channel();
        let popups = Popups::start(|| Ok(System { shown, withdrawn, answers }), events);
        Self { popups, shown: seen, withdrawn: gone, answer, events: heard }
    }

    fn show(&self, serial: u64, key: &'static str) {
        self.popups.show(PopupSerial(serial), popup(key));
    }

    fn answer(&self, answer: Result<(), &str>) {
        self.answer.send(answer.map_err(str::to_owned)).unwrap();
    }

    async fn next(&mut self) -> DesktopEvent {
        soon(self.events.recv()).await.unwrap()
    }

    /// Waits until the system was asked to show this.
    async fn asked(&mut self, key: &'static str) {
        assert_eq!(soon(self.shown.recv()).await, Some(PopupKey::Own(key)));
    }
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_mins(1), future).await.expect("it happens")
}

fn popup(key: &'static str) -> Popup {
    Popup {
        key: PopupKey::Own(key),
        title: key.to_owned(),
        text: String::new(),
        urgency: Urgency::Normal,
        category: "im.received",
        actions: Vec::new(),
        timeout: Timeout::Default,
    }
}

fn service(available: bool, reason: Option<&str>) -> DesktopEvent {
    DesktopEvent::PopupService(ServiceState { available, reason: reason.map(str::to_owned) })
}

fn shown(serial: u64) -> DesktopEvent {
    DesktopEvent::Shown(PopupSerial(serial))
}

fn not_shown(serial: u64, reason: &str) -> DesktopEvent {
    DesktopEvent::NotShown(PopupSerial(serial), reason.to_owned())
}

#[tokio::test]
async fn popups_are_shown_one_at_a_time_and_answered() {
    let mut desk = Desk::start();
    assert_eq!(desk.next().await, service(true, None));
    desk.show(1, "a");
    desk.show(2, "b");
    desk.asked("a").await;
    assert!(desk.shown.try_recv().is_err() && desk.events.try_recv().is_err());
    desk.answer(Ok(()));
    assert_eq!(desk.next().await, shown(1));
    desk.asked("b").await;
    desk.answer(Ok(()));
    assert_eq!(desk.next().await, shown(2));
}

#[tokio::test]
async fn of_a_popup_that_waits_only_the_newest_is_shown_and_none_after_it_was_withdrawn() {
    let mut desk = Desk::start();
    desk.show(1, "first");
    desk.asked("first").await;
    desk.show(2, "again");
    desk.show(3, "gone");
    desk.show(4, "again");
    desk.popups.withdraw(&PopupKey::Own("gone"));
    desk.answer(Ok(()));
    desk.asked("again").await;
    desk.answer(Ok(()));
    let told = [desk.next().await, desk.next().await, desk.next().await];
    assert_eq!(told, [service(true, None), shown(1), shown(4)]);
}

#[tokio::test]
async fn who_refuses_a_popup_is_still_there_and_is_asked_again() {
    let mut desk = Desk::start();
    assert_eq!(desk.next().await, service(true, None));
    for (serial, key) in [(1, "a"), (2, "b")] {
        desk.show(serial, key);
        desk.answer(Err("no"));
    }
    assert_eq!([desk.next().await, desk.next().await], [not_shown(1, "no"), not_shown(2, "no")]);
    desk.show(3, "c");
    desk.answer(Ok(()));
    assert_eq!(desk.next().await, shown(3));
}

#[tokio::test]
async fn an_overdue_call_stays_and_others_are_refused_until_it_is_answered() {
    let mut desk = Desk::start();
    assert_eq!(desk.next().await, service(true, None));
    desk.show(1, "a");
    desk.asked("a").await;
    desk.show(2, "b");
    tokio::task::yield_now().await;
    tokio::time::pause();
    tokio::time::advance(CALL_DEADLINE + Duration::from_secs(1)).await;
    assert_eq!([desk.next().await, desk.next().await], [service(false, Some(HUNG)), not_shown(2, HUNG)]);
    tokio::time::resume();
    desk.show(3, "c");
    assert_eq!(desk.next().await, not_shown(3, HUNG));
    desk.answer(Ok(()));
    assert_eq!([desk.next().await, desk.next().await], [service(true, None), shown(1)]);
}

#[tokio::test]
async fn who_refuses_late_is_there_again() {
    let mut desk = Desk::start();
    assert_eq!(desk.next().await, service(true, None));
    desk.show(1, "a");
    desk.asked("a").await;
    tokio::time::pause();
    tokio::time::advance(CALL_DEADLINE + Duration::from_secs(1)).await;
    assert_eq!(desk.next().await, service(false, Some(HUNG)));
    tokio::time::resume();
    desk.answer(Err("no"));
    assert_eq!([desk.next().await, desk.next().await], [service(true, None), not_shown(1, "no")]);
}

#[tokio::test]
async fn all_that_wait_can_be_withdrawn() {
    let mut desk = Desk::start();
    desk.show(1, "first");
    desk.asked("first").await;
    desk.show(2, "gone");
    desk.show(3, "gone too");
    desk.popups.withdraw_all();
    desk.show(4, "last");
    desk.answer(Ok(()));
    desk.asked("last").await;
}

#[tokio::test]
async fn withdrawals_reach_the_system_in_their_turn_and_once() {
    let mut desk = Desk::start();
    assert_eq!(desk.next().await, service(true, None));
    desk.show(1, "a");
    desk.asked("a").await;
    desk.popups.withdraw(&PopupKey::Own("a"));
    desk.popups.withdraw(&PopupKey::Own("a"));
    desk.show(2, "a");
    assert!(desk.withdrawn.try_recv().is_err());
    desk.answer(Ok(()));
    assert_eq!(desk.next().await, shown(1));
    assert_eq!(soon(desk.withdrawn.recv()).await, Some(Some(PopupKey::Own("a"))));
    desk.asked("a").await;
    assert!(desk.withdrawn.try_recv().is_err());
    desk.answer(Ok(()));
    assert_eq!(desk.next().await, shown(2));
    desk.popups.withdraw(&PopupKey::Own("a"));
    desk.popups.withdraw_all();
    assert_eq!(soon(desk.withdrawn.recv()).await, Some(None));
}

#[tokio::test]
async fn what_is_withdrawn_while_a_call_is_overdue_waits() {
    let mut desk = Desk::start();
    assert_eq!(desk.next().await, service(true, None));
    desk.show(1, "a");
    desk.asked("a").await;
    desk.popups.withdraw(&PopupKey::Own("b"));
    tokio::task::yield_now().await;
    tokio::time::pause();
    tokio::time::advance(CALL_DEADLINE + Duration::from_secs(1)).await;
    assert_eq!(desk.next().await, service(false, Some(HUNG)));
    tokio::time::resume();
    desk.answer(Ok(()));
    assert_eq!([desk.next().await, desk.next().await], [service(true, None), shown(1)]);
    assert_eq!(soon(desk.withdrawn.recv()).await, Some(Some(PopupKey::Own("b"))));
}

#[tokio::test]
async fn only_so_many_popups_wait() {
    let mut desk = Desk::start();
    desk.show(0, "shown");
    desk.asked("shown").await;
    let keys: Vec<_> = (1..=MAX_WAITING + 1).map(|number| &*number.to_string().leak()).collect();
    for (serial, key) in (1..).zip(keys) {
        desk.show(serial, key);
    }
    assert_eq!(desk.next().await, service(true, None));
    let one_too_many = desk.next().await;
    assert!(matches!(one_too_many, DesktopEvent::NotShown(PopupSerial(serial), _) if serial == MAX_WAITING as u64 + 1));
}

#[tokio::test]
async fn without_a_presenter_every_popup_is_refused_for_its_reason() {
    let (events, mut heard) = mpsc::unbounded_channel();
    let popups = Popups::start(|| Err::<System, _>("no popups here".to_owned()), events);
    assert_eq!(soon(heard.recv()).await, Some(service(false, Some("no popups here"))));
    for serial in [1, 2] {
        popups.show(PopupSerial(serial), popup("a"));
        assert_eq!(soon(heard.recv()).await, Some(not_shown(serial, "no popups here")));
    }
}

#[tokio::test]
async fn what_waits_at_the_end_is_still_shown() {
    let mut desk = Desk::start();
    desk.show(1, "a");
    desk.show(2, "b");
    desk.answer(Ok(()));
    desk.answer(Ok(()));
    desk.popups.close().await;
    let mut told = Vec::new();
    while let Some(event) = soon(desk.events.recv()).await {
        told.push(event);
    }
    assert_eq!(told, [service(true, None), shown(1), shown(2)]);
}

#[tokio::test]
async fn what_was_not_asked_for_in_time_at_the_end_is_left_to_the_next_run() {
    let mut desk = Desk::start();
    desk.show(1, "a");
    desk.asked("a").await;
    desk.show(2, "b");
    tokio::time::pause();
    desk.popups.close().await;
    tokio::time::resume();
    // Nobody notes any more that these are shown.
    desk.answer.send(Ok(())).unwrap();
    assert_eq!(soon(desk.shown.recv()).await, None);
}
