//! `pushbell status` and the tray.

use tokio::sync::oneshot;

use super::{push::*, *};
use crate::{
    accounts::Way,
    control::{AccountStatus, EncryptionStatus, InboxStatus, Reply, Request, SignInStatus, Status, TlsStatus},
};

async fn status(bench: &mut Bench) -> Status {
    let (reply, answer) = oneshot::channel();
    bench.handle(Event::Command((Request::Status, reply))).await;
    match answer.await.unwrap() {
        Reply::Status(status) => *status,
        other @ (Reply::Done
        | Reply::Pushed { .. }
        | Reply::Sample { .. }
        | Reply::Page { .. }
        | Reply::Failed { .. }) => panic!("{other:?}"),
    }
}

async fn wait_for_push(bench: &mut Bench, account: &str, since: Timestamp) -> (oneshot::Receiver<Reply>, usize) {
    let (reply, answer) = oneshot::channel();
    let request = Request::WaitForPush { account: account.to_owned(), since, seconds: 60 };
    bench.handle(Event::Command((request, reply))).await;
    (answer, bench.controller.awaiting_push.len())
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_push_is_told_of_the_first_that_is_later() {
    let mut bench = Bench::new().await;
    let before = Timestamp::UNIX_EPOCH;
    let (gone, waiting) = wait_for_push(&mut bench, "home", before).await;
    assert_eq!(waiting, 1);
    drop(gone);
    let (mut other, _) = wait_for_push(&mut bench, "work", before).await;
    let (mut first, waiting) = wait_for_push(&mut bench, "home", before).await;
    assert_eq!(waiting, 2, "who has gone is forgotten");

    bench.push(message("$1", "room")).await;

    let at = status(&mut bench).await.accounts[0].last_push.unwrap();
    assert_eq!((first.try_recv(), other.try_recv().is_err()), (Ok(Reply::Pushed { at }), true));
    let (mut late, _) = wait_for_push(&mut bench, "home", before).await;
    assert_eq!(late.try_recv(), Ok(Reply::Pushed { at }), "one that has come already");
    let (mut next, _) = wait_for_push(&mut bench, "home", at).await;
    assert!(next.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn status_tells_how_everything_is() {
    let mut bench = Bench::without_service().await;
    let tls = TlsStatus { names: vec!["a.example".into()], not_after: None };
    let addresses = vec!["127.0.0.1:7874".parse().unwrap()];
    let listening = Listening { addresses, tls: Some(tls.clone()), warnings: vec!["beware".into()] };
    bench.handle(Event::Listening(listening)).await;
    let before = status(&mut bench).await;
    assert!(!before.popup.available && before.popup.reason.is_some());
    assert!(!before.tray.available && before.sound.available);
    bench.push(message("one", "Kitchen").unread(3)).await;
    bench.push(call("c", "Kitchen").unread(4)).await;
    bench.pass(61 * SECOND).await;
    bench.tray(TrayAction::ToggleMute).await;
    let there = ServiceState { available: true, reason: Some("a host".into()) };
    bench.say(DesktopEvent::TrayHost(there.clone())).await;
    bench.say(DesktopEvent::Sound(ServiceState { available: false, reason: Some("no device".into()) })).await;
    bench.handle(Event::Problem(ProblemKind::Accounts, Some("line 1".into()))).await;
    let status = status(&mut bench).await;
    assert_eq!((status.running, status.pid, &*status.version), (true, std::process::id(), crate::app_info::VERSION));
    assert_eq!((status.listen, status.tls), (vec!["127.0.0.1:7874".to_owned()], Some(tls)));
    assert_eq!(status.warnings, ["beware"]);
    assert_eq!((status.unread, status.missed_calls, status.muted, status.paused_until), (4, 1, true, None));
    assert_eq!(status.inbox, InboxStatus { notices: 2, unshown: 2 });
    assert_eq!((status.tray, status.sound.available), (there, false));
    assert_eq!(status.problems, ["The accounts cannot be read: line 1"]);
    let [home, work] = &status.accounts[..] else { panic!("{:?}", status.accounts) };
    assert_eq!((&*home.name, home.unread, home.missed_calls, home.last_push.is_some()), ("home", 4, 1, true));
    let nothing = AccountStatus {
        name: "work".into(),
        app_id: "org.pushbell.Pushbell".into(),
        unread: 0,
        missed_calls: 0,
        way: Way::Push,
        last_push: None,
        sign_in: SignInStatus::default(),
        encryption: EncryptionStatus::default(),
    };
    assert_eq!(*work, nothing);
}

#[tokio::test(start_paused = true)]
async fn status_is_told_though_the_inbox_cannot_be_used() {
    let mut bench = Bench::new().await;
    bench.push(message("one", "Kitchen").unread(1)).await;
    let other = rusqlite::Connection::open(bench.directory.path().join("pushbell.db")).unwrap();
    other.execute_batch("ALTER TABLE account RENAME TO hidden").unwrap();
    let status = status(&mut bench).await;
    assert_eq!(status.unread, 1);
    assert!(matches!(&status.problems[..], [problem] if problem.starts_with("The inbox cannot be used: ")));
}

#[tokio::test(start_paused = true)]
async fn the_tray_shows_numbers_and_the_newest_messages() {
    let mut bench = Bench::new().await;
    let tray = |bench: &Bench| bench.shown_in_tray();
    assert!(format!("{:?}", tray(&bench).menu).contains("Connect a homeserver"));
    bench.push(message("hello", "Kitchen").unread(2)).await;
    let view = tray(&bench);
    assert_eq!((view.badge.unread, view.tooltip.contains(": 2 unread")), (2, true));
    let menu = format!("{:?}", view.menu);
    assert!(menu.contains("• Bob in Kitchen (home): hello") && !menu.contains("Connect a homeserver"), "{menu}");
    bench.say(DesktopEvent::ColorScheme(Some(true))).await;
    assert_eq!(tray(&bench).dark_panel, Some(true));
    bench.push(redaction("r", "Kitchen", "hello")).await;
    assert!(!format!("{:?}", tray(&bench).menu).contains("hello"));
    bench.say(DesktopEvent::SessionReturned).await;
    assert_eq!(bench.renewed(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_why_there_are_no_popups_until_one_is_shown() {
    let mut bench = Bench::new().await;
    bench.service(Service::Refuses).await;
    assert!(status(&mut bench).await.popup.available);
    bench.push(message("hello", "Kitchen")).await;
    assert_eq!(status(&mut bench).await.popup, ServiceState { available: false, reason: Some("no".into()) });
    bench.screen.state().service = Service::Shows;
    bench.pass(60 * SECOND).await;
    assert_eq!(bench.shows(), ["Bob in Kitchen"]);
    assert!(status(&mut bench).await.popup.available);
}
