//! How login and logout treat existing accounts.

use std::fs;

use hyper::Method;
use serde_json::{Value, json};

use crate::{
    rig::{
        SOON, Synapse,
        pushbell::{Account, address, message},
        wait_until,
    },
    scene::{Scene, refusing_pushers},
};

/// The names of the accounts, in the file's order.
fn names(scene: &Scene) -> Vec<String> {
    let list = scene.pushbell.ok(&["account", "list"]);
    list.lines().skip(1).filter_map(|line| line.split_whitespace().next().map(ToOwned::to_owned)).collect()
}

/// The number of unread notices.
fn unread(scene: &Scene) -> usize {
    scene.pushbell.history().iter().filter(|notice| notice["read"] == false).count()
}

/// Whether the answer to a push for the account has its pushkey in `rejected`.
fn is_rejected(scene: &Scene, account: &Account) -> bool {
    let (status, answer) = scene.pushbell.push(&address(account, message("1", "kitchen", "Hello")));
    assert_eq!(status, 200, "{answer}");
    answer["rejected"] != json!([])
}

#[test]
fn the_account_of_a_first_start_is_the_one_that_is_signed_in() {
    let mut scene = Scene::new();
    scene.pushbell.run();
    let home = scene.pushbell.account_named("home");
    scene.pushbell.ok(&["test", "--kind", "mention"]);
    let login = scene.concurrently(|scene| scene.login(&[]), |scene| drop(scene.bob_writes_once_pusher_is_set()));

    assert_eq!(login.code, 0, "{login:#?}");
    assert_eq!(names(&scene), [&*scene.alice.id]);
    assert_eq!(scene.pushbell.account_named(&scene.alice.id).pushkey, home.pushkey);
    assert_eq!(scene.wait_for_pushers(1)[0]["pushkey"], home.pushkey);
    scene.pushbell.wait_for_status("it is unread", |status| status["unread"] != 0);

    let logout = scene.pushbell.command(&["logout", &scene.alice.id]);
    assert_eq!(logout.code, 0, "{logout:#?}");
    assert_eq!((scene.alice.pushers().len(), scene.devices().len()), (0, 0));
    assert_eq!(names(&scene), [""; 0]);
    assert_eq!(scene.pushbell.status()["unread"], 0);
    assert!(is_rejected(&scene, &home));
    // A restart does not bring it back.
    scene.pushbell.restart();
    assert_eq!(names(&scene), [""; 0]);
}

#[test]
fn a_logout_while_it_does_not_run_leaves_nothing_unread() {
    let scene = Scene::new();
    let login = scene.concurrently(|scene| scene.login(&[]), |scene| drop(scene.bob_writes_once_pusher_is_set()));
    assert_eq!(login.code, 0, "{login:#?}");
    assert_eq!(unread(&scene), 1);

    let logout = scene.pushbell.command(&["logout", &scene.alice.id]);
    assert_eq!(logout.code, 0, "{logout:#?}");
    assert_eq!(unread(&scene), 0);

    let mut scene = scene;
    scene.pushbell.run();
    let status = scene.pushbell.status();
    assert_eq!((&status["unread"], &status["accounts"]), (&json!(0), &json!([])), "no first start");
    assert!(!scene.pushbell.log().contains("Pushbell is ready"), "{}", scene.pushbell.log());
}

#[test]
fn a_logout_sets_an_account_that_stays_to_zero() {
    for runs in [true, false] {
        let mut scene = Scene::new();
        scene.pushbell.run();
        scene.pushbell.ok(&["account", "add", "work"]);
        let work = scene.pushbell.account_named("work");
        scene.alice.set_pusher(&scene.pushbell.url(), &work.app_id, &work.pushkey, &json!({}));
        let login = scene.login(&["--wait", "0"]);
        assert_eq!(login.code, 3, "{login:#?}");
        let mut push = message("1", "kitchen", "Hello");
        push["counts"] = json!({"unread": 7, "missed_calls": 2});
        scene.pushbell.notify(&work, push);
        scene.pushbell.notify(&scene.pushbell.account_named("home"), message("2", "office", "Hello"));
        let counts = |status: &Value| (status["unread"].as_u64(), status["missed_calls"].as_u64());
        scene.pushbell.wait_for_status("it counts", |status| counts(status) == (Some(8), Some(2)));
        if !runs {
            scene.pushbell.terminate();
        }

        let logout = scene.pushbell.command(&["logout", &scene.alice.id]);
        assert_eq!(logout.code, 0, "{logout:#?}");
        assert!(logout.stdout.contains("was there before the login and stays"), "{logout:#?}");
        assert_eq!(unread(&scene), 1, "that of the other account");
        if !runs {
            scene.pushbell.run();
        }
        assert_eq!(counts(&scene.pushbell.status()), (Some(1), Some(0)), "{runs}");
        assert_eq!(scene.pushbell.account_named("work"), work);
    }
}

#[test]
fn a_logout_of_all_leaves_only_accounts_by_hand() {
    let mut scene = Scene::new();
    scene.pushbell.run();
    scene.pushbell.ok(&["account", "add", "work"]);
    for user in [&scene.alice, &scene.bob] {
        assert_eq!(scene.login_of(user, &["--wait", "0"]).code, 3);
    }
    assert_eq!(names(&scene).len(), 3);

    let logout = scene.pushbell.command(&["logout", "--all"]);
    assert_eq!(logout.code, 0, "{logout:#?}");
    assert_eq!(names(&scene), ["work"]);
    assert_eq!((scene.alice.pushers().len(), scene.bob.pushers().len()), (0, 0));
    let again = scene.pushbell.ok(&["logout", "--all"]);
    assert_eq!(again, "No account is signed in.\n");
    assert_eq!(scene.pushbell.command(&["logout"]).code, 2);
    assert_eq!(scene.pushbell.command(&["logout", "work", "--all"]).code, 2);
}

#[test]
fn a_login_switches_a_pusher_on_again() {
    let synapse =
        Synapse::start_with(|configuration, _port| configuration + "experimental_features: {msc3881_enabled: true}\n");
    let mut scene = Scene::on(&synapse);
    scene.pushbell.run();
    assert_eq!(scene.login(&["--wait", "0"]).code, 3);
    let is_on = |scene: &Scene| scene.wait_for_pushers(1)[0]["org.matrix.msc3881.enabled"].clone();
    let says = |scene: &Scene, words: &str| {
        let status = scene.pushbell.status();
        status["accounts"][0]["signed_in"].as_str().is_some_and(|says| says.contains(words))
    };
    assert_eq!(is_on(&scene), true);
    let mut off = scene.wait_for_pushers(1).remove(0);
    off["org.matrix.msc3881.enabled"] = false.into();
    off["append"] = true.into();
    scene.alice.request(&Method::POST, "pushers/set", &off);

    scene.pushbell.restart();
    wait_until("status says so", SOON, || says(&scene, "switched off in another client"));
    assert_eq!(is_on(&scene), false, "a start leaves it off");
    let doctor = scene.pushbell.command(&["doctor", "--json"]).stdout;
    assert!(doctor.contains("was switched off in another client"), "{doctor}");

    assert_eq!(scene.login(&["--wait", "0"]).code, 3);
    assert_eq!(is_on(&scene), true);
    wait_until("status says so", SOON, || says(&scene, " at http://127.0.0.1"));
}

#[test]
fn an_account_that_somebody_pushes_to_is_left_alone() {
    for notification in [message("1", "kitchen", "Hello"), json!({"counts": {"unread": 2}})] {
        let mut scene = Scene::new();
        scene.pushbell.run();
        let home = scene.pushbell.account_named("home");
        scene.pushbell.notify(&home, notification);
        let login = scene.login(&["--wait", "0"]);
        assert_eq!(login.code, 3, "{login:#?}");

        assert_eq!(names(&scene), ["home", &scene.alice.id]);
        assert_ne!(scene.wait_for_pushers(1)[0]["pushkey"], home.pushkey);
        assert!(!is_rejected(&scene, &home));
    }
}

#[test]
fn who_has_registered_by_hand_goes_on_with_that_pusher() {
    let mut scene = Scene::new();
    scene.pushbell.run();
    scene.pushbell.ok(&["account", "add", "work"]);
    let work = scene.pushbell.account_named("work");
    scene.alice.set_pusher(&scene.pushbell.url(), &work.app_id, &work.pushkey, &json!({}));
    scene.pushbell.notify(&work, message("1", "kitchen", "Hello"));
    let login = scene.login(&["--wait", "0"]);
    assert_eq!(login.code, 3, "{login:#?}");

    assert_eq!(names(&scene), ["home", "work"]);
    let pushers = scene.wait_for_pushers(1);
    assert_eq!(pushers[0]["pushkey"], work.pushkey);
    assert!(scene.pushbell.ok(&["account", "list"]).contains(&scene.alice.id));
    let logout = scene.pushbell.command(&["logout", &scene.alice.id]);
    assert_eq!((logout.code, scene.alice.pushers().len()), (0, 0), "{logout:#?}");
    assert!(!is_rejected(&scene, &work));
}

#[test]
fn a_login_that_fails_half_way_leaves_the_account_as_it_was() {
    let mut scene = Scene::new();
    scene.homeserver = refusing_pushers();
    scene.pushbell.ok(&["account", "add", "home"]);
    let accounts = scene.pushbell.data_directory().join("accounts.toml");
    let before = fs::read_to_string(&accounts).unwrap();
    let login = scene.login(&[]);

    assert_eq!(login.code, 1, "{login:#?}");
    assert!(login.stderr.contains("the pusher could not be set: "), "{login:#?}");
    assert_eq!(fs::read_to_string(&accounts).unwrap(), before);
    assert_eq!(scene.devices().len(), 0);
}
