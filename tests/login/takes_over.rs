//! Accounts that were there before a login, and what login and logout make of them.

use std::fs;

use serde_json::json;

use crate::{
    rig::pushbell::{Account, address, message},
    scene::{Scene, refusing_pushers},
};

/// The names of the accounts, in the file's order.
fn names(scene: &Scene) -> Vec<String> {
    let list = scene.pushbell.ok(&["account", "list"]);
    list.lines().skip(1).filter_map(|line| line.split_whitespace().next().map(ToOwned::to_owned)).collect()
}

/// Whether a push for it is answered with its pushkey in `rejected`.
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
    let login = scene.beside(|scene| scene.login(&[]), |scene| drop(scene.bob_writes_when_there_is_a_pusher()));

    assert_eq!(login.code, 0, "{login:#?}");
    assert!(login.stdout.contains("for the account \"home\""), "{login:#?}");
    assert_eq!(names(&scene), ["home"]);
    assert_eq!(scene.pushbell.account_named("home"), home);
    assert_eq!(scene.wait_for_pushers(1)[0]["pushkey"], home.pushkey);

    let logout = scene.pushbell.command(&["logout", "home"]);
    assert_eq!(logout.code, 0, "{logout:#?}");
    assert!(logout.stdout.contains("was there before the login and stays"), "{logout:#?}");
    assert_eq!((scene.alice.pushers().len(), scene.devices().len()), (0, 0));
    assert_eq!(scene.pushbell.account_named("home"), home);
    assert!(!is_rejected(&scene, &home));
    scene.pushbell.ok(&["account", "remove", "home"]);
    assert!(is_rejected(&scene, &home));
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
