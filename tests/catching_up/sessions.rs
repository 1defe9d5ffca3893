//! Expired and revoked tokens.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    mock_homeserver::{MockHomeserver, ReceivedRequest, entry},
    rig::{DesktopOptions, FakeScreenSaver, SOON, TrayHost, never_within, pushbell::message, wait_until},
    stage::{Session, Stage},
};

fn unknown_token(soft_logout: bool) -> (u16, Value) {
    (401, json!({"errcode": "M_UNKNOWN_TOKEN", "error": "Invalid access token", "soft_logout": soft_logout}))
}

fn accepts(token: &'static str, soft_logout: bool) -> impl Fn(&ReceivedRequest) -> Option<(u16, Value)> {
    move |asked| {
        if asked.what == "POST /refresh" {
            let good = asked.body["refresh_token"] == "refresh-1";
            let fresh = json!({"access_token": "token-2", "refresh_token": "refresh-2", "expires_in_ms": 600_000});
            return Some(if good { (200, fresh) } else { unknown_token(false) });
        }
        (asked.token.as_deref() != Some(token)).then(|| unknown_token(soft_logout))
    }
}

#[test]
fn an_expired_token_is_refreshed_and_the_new_one_is_kept() {
    let homeserver = MockHomeserver::start();
    homeserver.answer(|answers| answers.instead = Box::new(accepts("token-2", true)));
    let mut session = Session::new("@alice:hs.test", homeserver.port, "token-1");
    session.tokens["refresh_token"] = "refresh-1".into();
    let mut stage = Stage::start(&session);
    assert_eq!(homeserver.count("POST /refresh"), 1);
    stage.pushbell.restart();
    stage.wait_until_caught_up();
    assert_eq!(homeserver.count("POST /refresh"), 1);
    assert!(stage.titles().is_empty());
}

#[test]
fn a_revoked_session_is_told_once_and_pushes_are_served_on() {
    for soft_logout in [false, true] {
        let homeserver = MockHomeserver::start();
        let session = Session::new("@alice:hs.test", homeserver.port, "token-1");
        let mut stage = Stage::start(&session);
        stage.pushbell.terminate();
        homeserver.answer(|answers| answers.instead = Box::new(accepts("token-3", soft_logout)));

        stage.pushbell.run();
        let popup = stage.desktop.notifications().wait_for_notify("the person is told", |_| true);
        assert_eq!(popup.summary, "Signed out by the homeserver");
        assert!(popup.body.contains("pushbell login @alice:hs.test"), "{popup:?}");
        // An expired token does not remove the pusher.
        assert_eq!(popup.body.contains("Pushes still come"), soft_logout, "{popup:?}");
        assert_eq!(popup.body.contains("New messages no longer come"), !soft_logout, "{popup:?}");
        // The popup may appear before the status changes.
        wait_until("status says so", SOON, || {
            stage.account_status()["signed_in"].as_str().is_some_and(|says| says.starts_with("signed out: "))
        });
        stage.pushbell.notify(&stage.account, message("1", "room", "still served"));

        stage.pushbell.restart();
        wait_until("status says so", SOON, || {
            stage.account_status()["signed_in"].as_str().is_some_and(|says| says.contains("pushbell login"))
        });
        let told = || stage.titles().iter().filter(|title| *title == "Signed out by the homeserver").count();
        never_within(Duration::from_secs(1), "told again", || told() > 1);
        let asked = homeserver.asked().len();
        stage.pushbell.notify(&stage.account, message("2", "room", "still served"));
        assert_eq!(homeserver.asked().len(), asked, "it does not ask for ever");

        // She signs in again, with the same device.
        stage.sign_in(&Session::new("@alice:hs.test", homeserver.port, "token-3"));
        stage.wait_until_caught_up();
        assert!(stage.account_status()["signed_in"].as_str().unwrap().starts_with("@alice:hs.test at http"));
    }
}

#[test]
fn a_lost_pusher_is_set_to_a_reachable_address_or_reported() {
    let homeserver = MockHomeserver::start();
    let mut stage = Stage::prepare(&Session::new("@alice:hs.test", homeserver.port, "token"));
    let port = stage.pushbell.port;
    stage.pushbell.configure(&format!("[server]\nlisten = [\"[::]:{port}\", \"0.0.0.0:{port}\"]"));
    stage.pushbell.run();
    stage.wait_until_caught_up();
    let set = homeserver.asked().into_iter().find(|asked| asked.what == "POST /pushers/set").unwrap();
    assert_eq!(set.body["data"]["url"], format!("http://127.0.0.1:{port}/_matrix/push/v1/notify"));

    let sets = homeserver.count("POST /pushers/set");
    stage.pushbell.configure(&format!("[server]\nlisten = [\"[::]:{port}\"]"));
    wait_until("what to set is said", SOON, || stage.catching_up().contains("set server.public_url in pushbell.toml"));
    assert_eq!(homeserver.count("POST /pushers/set"), sets);
}

#[test]
fn a_homeserver_that_cannot_be_reached_is_tried_again() {
    let homeserver = MockHomeserver::start();
    homeserver.answer(|answers| answers.instead = Box::new(|_| Some((502, json!("<html>")))));
    let mut stage = Stage::prepare(&Session::new("@alice:hs.test", homeserver.port, "token"));
    stage.pushbell.run();
    wait_until("status says so", SOON, || stage.catching_up().starts_with("it failed and is tried again"));
    homeserver.answer(|answers| answers.instead = Box::new(|_| None));
    stage.wait_until_caught_up();
    assert!(stage.titles().is_empty(), "nothing that the person would have to do");
}

#[test]
fn a_failed_token_refresh_is_retried_and_signs_nobody_out() {
    for (what, oauth) in [("POST /refresh", false), ("POST /token", true)] {
        let homeserver = MockHomeserver::start();
        let mut session = Session::new("@alice:hs.test", homeserver.port, "token-1");
        session.tokens["refresh_token"] = "refresh-1".into();
        if oauth {
            let token_endpoint = format!("http://127.0.0.1:{}/token", homeserver.port);
            session.tokens["oauth"] = json!({"client_id": "client", "token_endpoint": token_endpoint});
        }
        let refreshed = move |status: u16, answer: Value| {
            move |asked: &ReceivedRequest| {
                if asked.what == what {
                    return Some((status, answer.clone()));
                }
                (asked.token.as_deref() != Some("token-2")).then(|| unknown_token(true))
            }
        };
        homeserver.answer(|answers| answers.instead = Box::new(refreshed(502, json!("<html>"))));
        let mut stage = Stage::prepare(&session);
        stage.pushbell.run();
        wait_until("status says so", SOON, || stage.catching_up().starts_with("it failed and is tried again"));

        let tokens = json!({
            "access_token": "token-2", "refresh_token": "refresh-2", "token_type": "Bearer", "expires_in": 600,
        });
        homeserver.answer(|answers| answers.instead = Box::new(refreshed(200, tokens)));
        stage.wait_until_caught_up();
        assert!(stage.titles().is_empty(), "{what}: nothing that the person would have to do");
    }
}

/// Lists the account's pusher, enabled or disabled as by another client.
fn pusher(enabled: bool) -> impl Fn(&ReceivedRequest) -> Option<(u16, Value)> {
    move |asked| {
        let pusher = json!({
            "app_id": "org.example.tray", "pushkey": "key-of-@alice:hs.test", "kind": "http", "lang": "en",
            "app_display_name": "Pushbell", "device_display_name": "desk",
            "data": {"url": "https://desk.example.org/_matrix/push/v1/notify"}, "org.matrix.msc3881.enabled": enabled,
        });
        (asked.what == "GET /pushers").then(|| (200, json!({"pushers": [pusher]})))
    }
}

#[test]
fn a_session_ended_elsewhere_is_noticed_when_the_menu_opens() {
    let homeserver = MockHomeserver::start();
    let options = DesktopOptions { tray: Some(TrayHost::Xfce4Panel), ..Stage::OPTIONS };
    let mut stage = Stage::prepare_on(options, &Session::new("@alice:hs.test", homeserver.port, "token-1"));
    stage.pushbell.run();
    stage.wait_until_caught_up();
    let item = stage.desktop.tray_item();
    homeserver.answer(|answers| answers.instead = Box::new(pusher(true)));
    let asked = homeserver.asked().len();
    let open_for = |seconds: u64| {
        let end = Instant::now() + Duration::from_secs(seconds);
        while Instant::now() < end {
            item.menu();
        }
    };
    open_for(3);
    let looked: Vec<_> = homeserver.asked()[asked..].iter().map(|asked| asked.what.clone()).collect();
    assert_eq!(looked, ["GET /pushers"], "however often it is opened");

    homeserver.answer(|answers| answers.instead = Box::new(accepts("token-3", false)));
    item.menu();
    wait_until("the person is told", 2 * SOON, || !stage.titles().is_empty());
    let told = stage.desktop.notifications().all().remove(0);
    assert_eq!(told.summary, "Signed out by the homeserver");
    assert!(told.body.contains("New messages no longer come to this desktop"), "{told:?}");
    assert!(told.body.contains("pushbell login @alice:hs.test"), "{told:?}");
    let asked = homeserver.asked().len();
    open_for(1);
    assert_eq!(homeserver.asked().len(), asked, "there is nothing to look at any more");
}

#[test]
fn a_session_ended_elsewhere_is_noticed_at_an_unlock() {
    let homeserver = MockHomeserver::start();
    let stage = Stage::start(&Session::new("@alice:hs.test", homeserver.port, "token-1"));
    let saver = FakeScreenSaver::start(&stage.desktop, true);
    let mut is_locked = true;
    homeserver.answer(|answers| answers.instead = Box::new(accepts("token-3", false)));
    wait_until("the person is told", SOON, || {
        // One change at a time: a lock that ends before it is checked goes unnoticed.
        is_locked = !is_locked;
        saver.set_locked(is_locked);
        stage.titles().contains(&"Signed out by the homeserver".to_owned())
    });
    // The popup may appear before the status changes.
    wait_until("status says so", SOON, || {
        let status = stage.account_status();
        let says = status["signed_in"].as_str().unwrap();
        says.contains("new messages no longer come") && says.contains("pushbell login")
    });
}

#[test]
fn a_pusher_that_is_gone_is_set_again_at_an_unlock() {
    let homeserver = MockHomeserver::start();
    let stage = Stage::start(&Session::new("@alice:hs.test", homeserver.port, "token-1"));
    let sets = homeserver.count("POST /pushers/set");
    let saver = FakeScreenSaver::start(&stage.desktop, true);
    let mut is_locked = true;
    wait_until("it is set again", SOON, || {
        // One change at a time: a lock that ends before it is checked goes unnoticed.
        is_locked = !is_locked;
        saver.set_locked(is_locked);
        homeserver.count("POST /pushers/set") > sets
    });
}

#[test]
fn a_pusher_that_was_switched_off_is_left_alone() {
    let homeserver = MockHomeserver::start();
    let mut stage = Stage::start(&Session::new("@alice:hs.test", homeserver.port, "token"));
    let mut unread = message("1", "room", "before");
    unread["counts"]["unread"] = 3.into();
    stage.pushbell.notify(&stage.account, unread);
    stage.pushbell.terminate();
    homeserver.answer(|answers| {
        answers.instead = Box::new(pusher(false));
        answers.listed = vec![entry("$missed", "!r:hs.test", Timestamp::now().as_millisecond())];
    });
    let asked = homeserver.asked().len();

    stage.pushbell.run();
    wait_until("status says so", SOON, || {
        let says = stage.account_status()["signed_in"].as_str().unwrap().to_owned();
        says.contains("switched off in another client") && says.contains("`pushbell login @alice:hs.test`")
    });
    assert_eq!(stage.catching_up(), "not while the pusher is switched off");
    let looked: Vec<_> = homeserver.asked()[asked..].iter().map(|asked| asked.what.clone()).collect();
    assert_eq!(looked, ["GET /pushers"], "it is neither set again nor caught up with");
    assert_eq!(stage.pushbell.status()["unread"], 3);
    assert!(!stage.titles().contains(&"Signed out by the homeserver".to_owned()));

    // The user enables it again.
    homeserver.answer(|answers| answers.instead = Box::new(pusher(true)));
    let saver = FakeScreenSaver::start(&stage.desktop, true);
    let mut is_locked = true;
    wait_until("what was missed is known", SOON, || {
        is_locked = !is_locked;
        saver.set_locked(is_locked);
        stage.known().contains_key("$missed")
    });
    assert!(stage.account_status()["signed_in"].as_str().unwrap().starts_with("@alice:hs.test at http"));
}

#[test]
fn a_copied_home_leaves_the_first_computers_pusher_as_it_is() {
    let homeserver = MockHomeserver::start();
    let session = Session::new("@alice:hs.test", homeserver.port, "token");
    let stage = Stage::start(&Session { installation: "mark-of-another-one---", ..session });
    assert_eq!(homeserver.count("GET /pushers"), 1);
    assert_eq!(homeserver.count("POST /pushers/set"), 0);
    let said = "on another computer, of whose files these are a copy: new messages go there";
    assert!(stage.pushbell.ok(&["status"]).contains(said));
    let doctor = stage.pushbell.command(&["doctor"]).stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(doctor.contains(said) && doctor.contains("pushbell login @alice:hs.test"), "{doctor}");
}
