//! Logins that end with a received push.

use pushbell::app_info;

use crate::scene::Scene;

#[test]
fn a_password_login_ends_with_a_real_push() {
    let scene = Scene::new();
    let login = scene.concurrently(|scene| scene.login(&[]), |scene| drop(scene.bob_writes_once_pusher_is_set()));

    assert_eq!(login.code, 0, "{login:#?}");
    assert!(login.stdout.contains("A push arrived at "), "{login:#?}");
    assert_eq!(login.stderr, "");
    let pusher = scene.wait_for_pushers(1).remove(0);
    assert_eq!(pusher["app_id"], app_info::APP_ID);
    assert_eq!(pusher["app_display_name"], app_info::APP_NAME);
    assert_eq!(pusher["data"]["url"], scene.pushbell.url());
    assert_eq!(pusher["lang"], "en");
    let device = scene.devices();
    assert_eq!(device.len(), 1, "{device:?}");
    assert!(device[0].starts_with(&format!("{} on ", app_info::APP_NAME)), "{device:?}");
    // The received push is not lost: it waits for the app.
    let history = scene.pushbell.history();
    assert_eq!((history[0]["body"].as_str(), &history[0]["shown"]), (Some("Dinner is ready."), &false.into()));
}

#[test]
fn a_push_is_proven_by_the_running_app_too() {
    let mut scene = Scene::new();
    scene.pushbell.run();
    let login = scene.concurrently(|scene| scene.login(&[]), |scene| drop(scene.bob_writes_once_pusher_is_set()));

    assert_eq!(login.code, 0, "{login:#?}");
    assert!(login.stdout.contains("A push arrived at "), "{login:#?}");
    assert!(!login.stdout.contains("not running"), "{login:#?}");
    assert_eq!(scene.pushbell.history()[0]["body"], "Dinner is ready.");
    // The account is served only while it exists.
    let logout = scene.pushbell.command(&["logout", &scene.alice.id]);
    assert_eq!(logout.code, 0, "{logout:#?}");
    let serves = |name: &str| {
        let accounts = scene.pushbell.status()["accounts"].clone();
        accounts.as_array().unwrap().iter().any(|account| account["name"] == name)
    };
    assert!(!serves("home") && !serves(&scene.alice.id));
}

#[test]
fn who_signs_in_again_keeps_account_pushkey_and_device() {
    let scene = Scene::new();
    let by_hand = scene.pushbell.command(&["account", "add", "work"]);
    assert_eq!(by_hand.code, 0, "{by_hand:#?}");
    let work = scene.pushbell.account_named("work");
    assert_eq!(scene.login(&["--wait", "0"]).code, 3);
    let (before, devices) = (scene.wait_for_pushers(1), scene.devices());
    let stdin = ["sh", "-c", "echo secret | \"$0\" \"$@\""];
    let again =
        ["login", &scene.alice.id, "--push", "--homeserver", &scene.homeserver, "--password-file", "-", "--wait", "0"];
    let again = scene.pushbell.command_under(&stdin, &again);

    assert_eq!(again.code, 3, "{again:#?}");
    let after = scene.wait_for_pushers(1);
    assert_eq!(after[0]["pushkey"], before[0]["pushkey"]);
    assert_eq!(scene.devices(), devices);
    assert_eq!(scene.pushbell.account_named("work"), work);
    assert_eq!(scene.pushbell.ok(&["account", "list"]).lines().count(), 3);
}

#[test]
fn an_access_token_will_do_and_its_session_is_left_alone() {
    let scene = Scene::new();
    std::fs::write(scene.file("token"), &scene.alice.token).unwrap();
    let login = |scene: &Scene| {
        let token = scene.file("token");
        let arguments =
            ["login", &scene.alice.id, "--homeserver", &scene.homeserver, "--token-file", &token, "--event-id-only"];
        scene.pushbell.command(&arguments)
    };
    let login = scene.concurrently(login, |scene| drop(scene.bob_writes_once_pusher_is_set()));

    assert_eq!(login.code, 0, "{login:#?}");
    assert_eq!(scene.devices().len(), 0);
    assert_eq!(scene.alice.pushers()[0]["data"]["format"], "event_id_only");
    let remove = scene.pushbell.command(&["account", "remove", &scene.alice.id]);
    assert_eq!(remove.code, 1, "{remove:#?}");
    assert!(remove.stderr.contains(&format!("pushbell logout {}", scene.alice.id)), "{remove:#?}");
    let logout = scene.pushbell.command(&["logout", &scene.alice.id]);
    assert_eq!(logout.code, 0, "{logout:#?}");
    // Alice's own session remains.
    assert_eq!(scene.alice.pushers().len(), 0);
    assert!(!scene.pushbell.data_directory().join("secrets.json").exists());
}

#[test]
fn another_sign_in_method_leaves_one_session_of_ours() {
    let scene = Scene::new();
    std::fs::write(scene.file("token"), &scene.alice.token).unwrap();
    let token = scene.file("token");
    let with_token =
        ["login", &scene.alice.id, "--homeserver", &scene.homeserver, "--token-file", &token, "--wait", "0"];
    for ours in [0, 1, 0] {
        let login = if ours == 0 { scene.pushbell.command(&with_token) } else { scene.login(&["--wait", "0"]) };
        assert_eq!(login.code, 3, "{login:#?}");
        // Requested with the token, which must remain valid.
        assert_eq!((scene.devices().len(), scene.alice.pushers().len()), (ours, 1));
        let kept = std::fs::read_to_string(scene.pushbell.data_directory().join("secrets.json")).unwrap();
        assert_eq!(kept.matches("access_token").count(), 1);
    }
}
