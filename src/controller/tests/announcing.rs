//! What Pushbell says about itself.

use super::{push::*, screen::Service, *};
use crate::{control::Section, desktop::tray_view::PauseLength, inbox::Incident};

const FAULT: &str = "The configuration has a fault";

fn problem(reason: Option<&str>) -> Event {
    Event::Problem(ProblemKind::Configuration, reason.map(str::to_owned))
}

#[tokio::test(start_paused = true)]
async fn a_problem_is_told_once_and_taken_back_when_it_is_solved() {
    let mut bench = Bench::new().await;
    bench.handle(problem(Some("line 1"))).await;
    bench.handle(problem(Some("line 1"))).await;
    assert_eq!(bench.shows(), [FAULT]);
    bench.handle(problem(Some("line 2"))).await;
    assert_eq!(bench.up(), [(FAULT.to_owned(), "line 2".to_owned())]);
    bench.handle(problem(None)).await;
    assert_eq!(bench.up(), []);
    bench.shows();
    bench.handle(problem(Some("line 2"))).await;
    assert_eq!(bench.shows(), [FAULT], "it is there again");
    bench.configure(|config| config.popup.timeout = crate::config::Timeout::Never).await;
    assert_eq!(bench.up(), [], "a good configuration solves it");
}

#[tokio::test(start_paused = true)]
async fn that_a_session_is_not_verified_is_taken_back_once_all_are() {
    let mut bench = Bench::new().await;
    let stands = |home: Option<bool>, work: Option<bool>| {
        let of = |verified| EncryptionStatus { verified, ..EncryptionStatus::default() };
        Event::Encryption([("home".to_owned(), of(home)), ("work".to_owned(), of(work))].into())
    };
    bench.handle(stands(Some(false), Some(false))).await;
    bench.handle(Event::Announce(OwnPopup::Unverified, "home, work".to_owned())).await;
    for (home, work, is_up) in [
        (None, Some(false), true),
        (None, None, true),
        (Some(true), Some(false), true),
        (Some(true), None, false),
        (Some(false), Some(true), false),
    ] {
        bench.handle(stands(home, work)).await;
        assert_eq!(!bench.up().is_empty(), is_up, "{home:?} {work:?}");
    }
    bench.handle(Event::Announce(OwnPopup::Unverified, "home".to_owned())).await;
    bench.handle(Event::Encryption(BTreeMap::new())).await;
    assert_eq!(bench.up(), [], "nobody is signed in");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_told_yet_is_told_when_the_service_comes() {
    let mut bench = Bench::without_service().await;
    let listen = (ProblemKind::Listen, "192.0.2.1:7874".to_owned());
    bench.controller.prepare(Listening::default(), true, [listen].into_iter()).await;
    bench.handle(problem(Some("line 1"))).await;
    bench.handle(problem(None)).await;
    bench.service(Service::Refuses).await;
    bench.pass(6 * SECOND).await;
    bench.service(Service::Shows).await;
    bench.pass(60 * SECOND).await;
    assert_eq!(bench.shows(), ["Pushbell is ready", "Not all addresses can be listened on"]);
    bench.service(Service::Absent).await;
    bench.service(Service::Shows).await;
    assert_eq!(bench.shows(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_announced_during_a_pause_but_answers_are_given() {
    let mut bench = Bench::new().await;
    bench.tray(TrayAction::Pause(PauseLength::Hour)).await;
    bench.handle(problem(Some("line 1"))).await;
    assert_eq!(bench.shows(), [""; 0]);
    bench.say(DesktopEvent::NotOpened("there is no browser".into())).await;
    assert_eq!(bench.shows(), ["It could not be opened"]);
    bench.handle(Event::TestFailed("there is no account".into())).await;
    assert_eq!(bench.shows(), ["The test did not arrive"]);
    bench.tray(TrayAction::Resume).await;
    assert_eq!(bench.shows(), [FAULT]);
}

#[tokio::test(start_paused = true)]
async fn clicks_lead_to_what_is_to_be_done() {
    let mut bench = Bench::new().await;
    let token = || Some("token".to_owned());
    let click = async |bench: &mut Bench, own| {
        bench.controller.announce(own, "text");
        bench.settle().await;
        bench.click(&PopupKey::Own(own)).await;
        bench.requests.try_recv().ok()
    };
    assert_eq!(
        click(&mut bench, OwnPopup::Welcome).await,
        Some(AppRequest::OpenPage { section: Section::Setup, token: token() })
    );
    for kind in [ProblemKind::Configuration, ProblemKind::Listen, ProblemKind::Certificate] {
        let requested = click(&mut bench, OwnPopup::Problem(kind)).await;
        assert_eq!(requested, Some(AppRequest::OpenConfiguration { token: token() }));
    }
    for kind in [ProblemKind::Accounts, ProblemKind::Inbox, ProblemKind::Damage, ProblemKind::SignIn] {
        let requested = click(&mut bench, OwnPopup::Problem(kind)).await;
        assert_eq!(requested, None, "the configuration has nothing to do with it: {kind:?}");
    }
    bench.handle(Event::Open(OpenTarget::File("/x".into()), token())).await;
    assert_eq!(bench.opened().pop(), Some((OpenTarget::File("/x".into()), token())));
}

#[tokio::test(start_paused = true)]
async fn a_damaged_inbox_is_reported_and_the_pause_survives() {
    let mut bench = Bench::new().await;
    bench.tray(TrayAction::Pause(PauseLength::Hour)).await;
    bench.tray(TrayAction::ToggleMute).await;
    for setting in ["paused_until", "muted"] {
        bench.inbox.set_setting(setting, None).await.unwrap();
    }
    let incident =
        Incident::SetAside { path: "/data/db".into(), kept_as: "/data/kept".into(), reason: "is empty".into() };
    bench.controller.inbox_was_damaged(&incident);
    bench.controller.refresh().await;
    assert!(bench.controller.problems.open[&ProblemKind::Damage].contains("/data/kept"));
    bench.restart().await;
    assert!(bench.shown_in_tray().paused && bench.controller.muted);
}

#[tokio::test(start_paused = true)]
async fn an_inbox_that_fails_is_a_problem_until_it_works_again() {
    let mut bench = Bench::new().await;
    bench.push(message("one", "Kitchen").unread(1)).await;
    bench.shows();
    let path = bench.directory.path().join("pushbell.db");
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("CREATE TRIGGER full BEFORE UPDATE ON notice BEGIN SELECT RAISE(FAIL, 'full'); END").unwrap();
    bench.push(message("two", "Kitchen").unread(2)).await;
    bench.pass(60 * SECOND).await;
    assert_eq!(bench.shows(), ["Bob in Kitchen", "The inbox cannot be used"]);
    assert_eq!(bench.badge(), (2, 0), "the numbers stay");
    other.execute_batch("DROP TRIGGER full").unwrap();
    assert!(bench.requests.try_recv().is_err());
    bench.pass(6 * SECOND).await;
    assert_eq!(bench.requests.try_recv(), Ok(AppRequest::CatchUp(Missing::Anywhere)), "pushes were refused meanwhile");
    assert_eq!(bench.up(), [("Bob in Kitchen".to_owned(), "1 more\ntwo".to_owned())]);
    assert_eq!(bench.controller.next_due(), None);
}

#[tokio::test(start_paused = true)]
async fn a_problem_that_changes_in_flight_is_shown_as_it_is_now() {
    let mut bench = Bench::new().await;
    bench.service(Service::Waits).await;
    bench.handle(problem(Some("line 1"))).await;
    bench.handle(problem(Some("line 2"))).await;
    bench.release().await;
    assert_eq!(bench.up(), [(FAULT.to_owned(), "line 2".to_owned())]);
    bench.pass(60 * SECOND).await;
    assert_eq!(bench.shows(), [FAULT; 2]);
}
