use std::sync::mpsc::{Receiver, Sender, channel};

use tokio::{sync::mpsc, time::timeout};

use super::*;
use crate::{
    notice::RoomKey,
    present::{
        own_popup,
        popup::{OwnPopup, ProblemKind},
    },
};

/// A system that answers when the test says so.
struct System {
    shown: mpsc::UnboundedSender<u32>,
    closed: mpsc::UnboundedSender<u32>,
    answers: Receiver<Result<(), String>>,
}

impl Presenter for System {
    fn present(&mut self, id: u32, _popup: &Popup) -> Result<(), String> {
        self.shown.send(id).unwrap();
        self.answers.recv().unwrap()
    }

    fn close(&mut self, id: u32) {
        self.closed.send(id).unwrap();
    }
}

struct Bench {
    popups: Popups,
    shown: mpsc::UnboundedReceiver<u32>,
    closed: mpsc::UnboundedReceiver<u32>,
    answer: Sender<Result<(), String>>,
    events: mpsc::UnboundedReceiver<DesktopEvent>,
}

impl Bench {
    async fn start() -> Self {
        let (shown, seen) = mpsc::unbounded_channel();
        let (answer, answers) = channel();
        let (events, heard) = mpsc::unbounded_channel();
        let (closed, gone) = mpsc::unbounded_channel();
        let popups = Popups::start(|| Ok(System { shown, closed, answers }), events);
        let mut bench = Self { popups, shown: seen, closed: gone, answer, events: heard };
        assert_eq!(bench.next().await, service(true, None));
        bench
    }

    fn show(&self, own: OwnPopup) {
        self.popups.call(PopupCall::Show { popup: own_popup(own, ""), replaces: 0 });
    }

    fn answer(&self, answer: Result<(), &str>) {
        self.answer.send(answer.map_err(str::to_owned)).unwrap();
    }

    async fn next(&mut self) -> PopupEvent {
        match soon(self.events.recv()).await {
            Some(DesktopEvent::Popup(event)) => event,
            other => panic!("{other:?}"),
        }
    }

    /// The call in flight becomes overdue.
    async fn hang(&mut self) {
        soon(self.shown.recv()).await.unwrap();
        tokio::time::pause();
        tokio::time::advance(CALL_DEADLINE + Duration::from_secs(1)).await;
        assert_eq!(self.next().await, service(false, Some(HUNG)));
        tokio::time::resume();
    }
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_mins(1), future).await.expect("it happens")
}

fn service(available: bool, reason: Option<&str>) -> PopupEvent {
    PopupEvent::Service { service: None, state: ServiceState { available, reason: reason.map(str::to_owned) } }
}

fn refused(reason: &str) -> PopupEvent {
    PopupEvent::Answer(Err(reason.to_owned()))
}

const KEY: PopupKey = PopupKey::Own(OwnPopup::Welcome);

#[tokio::test]
async fn each_call_is_answered_with_the_id_of_its_popup() {
    let mut bench = Bench::start().await;
    bench.show(OwnPopup::Welcome);
    assert_eq!(soon(bench.shown.recv()).await, Some(id_of(&KEY)));
    bench.answer(Ok(()));
    assert_eq!(bench.next().await, PopupEvent::Answer(Ok(id_of(&KEY))));
    bench.popups.call(PopupCall::Close(id_of(&KEY)));
    assert_eq!(soon(bench.closed.recv()).await, Some(id_of(&KEY)));
    assert_eq!(bench.next().await, PopupEvent::Answer(Ok(id_of(&KEY))));
}

#[tokio::test]
async fn who_refuses_a_popup_is_still_there_and_is_asked_again() {
    let mut bench = Bench::start().await;
    for _ in 0..2 {
        bench.show(OwnPopup::Welcome);
        bench.answer(Err("no"));
        assert_eq!(bench.next().await, refused("no"));
    }
    bench.show(OwnPopup::Welcome);
    bench.answer(Ok(()));
    assert_eq!(bench.next().await, PopupEvent::Answer(Ok(id_of(&KEY))));
}

#[tokio::test]
async fn popups_are_unavailable_while_a_call_is_overdue() {
    for answer in [Ok(()), Err("no")] {
        let mut bench = Bench::start().await;
        bench.show(OwnPopup::Welcome);
        bench.hang().await;
        bench.answer(answer);
        let answered = PopupEvent::Answer(answer.map(|()| id_of(&KEY)).map_err(str::to_owned));
        assert_eq!([bench.next().await, bench.next().await], [answered, service(true, None)]);
    }
}

#[tokio::test]
async fn without_a_presenter_every_popup_is_refused_for_its_reason() {
    let (events, mut heard) = mpsc::unbounded_channel();
    let popups = Popups::start(|| Err::<System, _>("no popups here".to_owned()), events);
    let absent = service(false, Some("no popups here"));
    assert_eq!(soon(heard.recv()).await, Some(DesktopEvent::Popup(absent)));
    popups.call(PopupCall::Show { popup: own_popup(OwnPopup::Welcome, ""), replaces: 0 });
    assert_eq!(soon(heard.recv()).await, Some(DesktopEvent::Popup(refused("no popups here"))));
}

#[test]
fn keys_have_ids_of_their_own_which_stay() {
    let room = |account: &str, room_id: &str| PopupKey::Room(RoomKey::with_id(account, room_id));
    let keys = [
        room("a", "!b"),
        room("a!", "b"),
        room("", "a"),
        room("a", ""),
        PopupKey::Call(NoticeId(1)),
        PopupKey::Call(NoticeId(2)),
        PopupKey::Summary,
        PopupKey::Own(OwnPopup::Welcome),
        PopupKey::Own(OwnPopup::Problem(ProblemKind::Inbox)),
    ];
    let ids: Vec<_> = keys.iter().map(id_of).collect();
    for (number, id) in ids.iter().enumerate() {
        assert_eq!(ids.iter().position(|other| other == id), Some(number), "{id}");
    }
    assert_eq!(format!("{:08x}", id_of(&PopupKey::Summary)), "10a44713");
}
