//! Failed and cancelled logins, and their messages.

use std::sync::LazyLock;

use crate::{
    rig::{SOON, Synapse, http, wait_until},
    scene::{Scene, refusing_pushers},
};

/// A homeserver with Synapse's default block list: no pushes to private addresses.
pub(crate) static BLOCKS_PRIVATE_ADDRESSES: LazyLock<Synapse> = LazyLock::new(|| {
    Synapse::start_with(|configuration, _port| {
        let lines = configuration.lines().filter(|line| !line.starts_with("ip_range_whitelist"));
        lines.collect::<Vec<_>>().join("\n")
    })
});

#[test]
fn a_wrong_password_is_reported_and_leaves_nothing_behind() {
    let scene = Scene::new();
    std::fs::write(scene.file("password"), "wrong").unwrap();
    let login = scene.login(&[]);

    assert_eq!(login.code, 1, "{login:#?}");
    assert_eq!(login.stderr, "pushbell: hs.test does not know this user with this password\n");
    assert_eq!(scene.alice.pushers().len(), 0);
    // Not even an inbox: without accounts it would make the next start assume that they were lost.
    let mut files: Vec<_> = std::fs::read_dir(scene.pushbell.data_directory()).unwrap().flatten().collect();
    files.retain(|file| file.file_name() != "pushbell.lock");
    assert_eq!(files.len(), 0, "{files:?}");
}

#[test]
fn a_homeserver_that_blocks_private_addresses_ends_with_code_3() {
    let scene = Scene::on(&BLOCKS_PRIVATE_ADDRESSES);
    let login =
        scene.concurrently(|scene| scene.login(&["--wait", "5"]), |scene| drop(scene.bob_writes_once_pusher_is_set()));

    assert_eq!(login.code, 3, "{login:#?}");
    assert!(login.stdout.contains("The pusher is set, but no push has come."), "{login:#?}");
    assert!(login.stdout.contains("ip_range_whitelist: ['127.0.0.1/32']"), "{login:#?}");
    wait_until("the homeserver has blocked the push", SOON, || {
        BLOCKS_PRIVATE_ADDRESSES.log().contains("IP address blocked")
    });
}

#[test]
fn a_wrong_public_url_ends_with_code_3() {
    let scene = Scene::new();
    let wrong = format!("http://127.0.0.1:{}", http::free_port());
    scene.pushbell.configure(&format!("[server]\npublic_url = \"{wrong}\"\n"));
    let login =
        scene.concurrently(|scene| scene.login(&["--wait", "5"]), |scene| drop(scene.bob_writes_once_pusher_is_set()));

    assert_eq!(login.code, 3, "{login:#?}");
    assert!(login.stdout.contains(&format!("pushes to {wrong}")), "{login:#?}");
    assert!(login.stdout.contains("\nFAULT "), "{login:#?}");
}

#[test]
fn a_pusher_that_the_homeserver_refuses_leaves_nothing_behind() {
    let mut scene = Scene::new();
    scene.homeserver = refusing_pushers();
    let login = scene.login(&[]);

    assert_eq!(login.code, 1, "{login:#?}");
    assert!(login.stderr.contains("the pusher could not be set: ") && login.stderr.lines().count() == 1, "{login:#?}");
    assert_eq!((scene.alice.pushers().len(), scene.devices().len()), (0, 0));
    assert!(!scene.pushbell.data_directory().join("secrets.json").exists());
    assert_eq!(
        scene.pushbell.ok(&["account", "list"]),
        "There are no accounts yet: `pushbell login @you:example.org` connects your homeserver.\n"
    );
}

#[test]
fn a_login_again_that_fails_leaves_the_account_and_its_session() {
    let mut scene = Scene::new();
    assert_eq!(scene.login(&["--wait", "0"]).code, 3);
    let devices = scene.devices();
    let account = scene.pushbell.account_named(&scene.alice.id);
    let homeserver = refusing_pushers();
    let homeserver = std::mem::replace(&mut scene.homeserver, homeserver);
    let login = scene.login(&[]);

    assert_eq!(login.code, 1, "{login:#?}");
    assert!(login.stderr.contains("the pusher could not be set: "), "{login:#?}");
    assert_eq!(scene.devices(), devices);
    assert_eq!(scene.pushbell.account_named(&scene.alice.id), account);
    scene.homeserver = homeserver;
    assert_eq!(scene.login(&["--wait", "0"]).code, 3);
    assert_eq!((scene.devices(), scene.pushbell.account_named(&scene.alice.id)), (devices, account));
    let logout = scene.pushbell.command(&["logout", &scene.alice.id]);
    assert_eq!(logout.code, 0, "{logout:#?}");
    assert!(logout.stdout.contains("Signed out.\n"), "{logout:#?}");
    assert_eq!((scene.alice.pushers().len(), scene.devices().len()), (0, 0));
}

#[test]
fn a_second_login_with_an_unsaved_token_leaves_no_device() {
    let scene = Scene::new();
    std::fs::write(scene.file("token"), &scene.alice.token).unwrap();
    let token = scene.file("token");
    let by_token = ["login", &scene.alice.id, "--homeserver", &scene.homeserver, "--token-file", &token];
    assert_eq!(scene.pushbell.command(&[&by_token[..], &["--wait", "0"]].concat()).code, 3);
    let accounts = scene.pushbell.data_directory().join("accounts.toml");
    let before = std::fs::read_to_string(&accounts).unwrap();
    let secrets = scene.pushbell.data_directory().join("secrets.json");
    std::fs::remove_file(&secrets).unwrap();
    std::fs::create_dir(&secrets).unwrap();
    let login = scene.login(&[]);

    assert_eq!(login.code, 1, "{login:#?}");
    assert!(login.stderr.contains("secrets.json cannot be "), "{login:#?}");
    assert_eq!(scene.devices().len(), 0);
    assert_eq!(std::fs::read_to_string(&accounts).unwrap(), before);
    assert_eq!(scene.alice.pushers().len(), 1);
}

#[test]
fn damaged_secrets_are_repaired_by_login_and_by_logout() {
    let scene = Scene::new();
    let secrets = scene.pushbell.data_directory().join("secrets.json");
    assert_eq!(scene.login(&["--wait", "0"]).code, 3);
    std::fs::write(&secrets, "{\"damaged").unwrap();
    let login = scene.login(&["--wait", "0"]);
    assert_eq!(login.code, 3, "{login:#?}");
    std::fs::write(&secrets, "{\"damaged").unwrap();
    let logout = scene.pushbell.command(&["logout", &scene.alice.id, "--anyway"]);
    assert!(logout.stdout.contains("Forgot the account"), "{logout:#?}");
    assert!(!secrets.exists());
}

#[test]
fn an_address_that_would_do_is_told_with_the_lines_for_it() {
    let scene = Scene::new();
    let port = scene.pushbell.port;
    for listen in [format!("[::1]:{port}"), format!("[::]:{port}")] {
        scene.pushbell.configure(&format!("[server]\nlisten = [\"{listen}\"]\n"));
        let login = scene.login(&[]);
        assert_eq!(login.code, 1, "{login:#?}");
        let said = format!("It is on this computer, but Pushbell does not listen at 127.0.0.1:{port}.");
        let line = format!("listen = [\"{listen}\", \"127.0.0.1:{port}\"]");
        assert!(login.stdout.contains(&said) && login.stdout.contains(&line), "{login:#?}");
        assert!(!login.stdout.contains("network"), "{login:#?}");
    }
}

#[test]
fn a_taken_address_is_reported_before_anything_is_changed() {
    let scene = Scene::new();
    let _taken = std::net::TcpListener::bind(("127.0.0.1", scene.pushbell.port)).unwrap();
    let login = scene.login(&[]);

    assert_eq!(login.code, 1, "{login:#?}");
    assert!(login.stderr.contains("in use by another program"), "{login:#?}");
    assert_eq!(scene.devices().len(), 0);
}

#[test]
fn a_homeserver_that_is_not_there_is_said_in_plain_words() {
    let scene = Scene::new();
    let password = scene.file("password");
    let check = |user: &str, homeserver: &str, words: &[&str]| {
        let login = scene.pushbell.command(&[
            "login",
            user,
            "--push",
            "--homeserver",
            homeserver,
            "--password-file",
            &password,
        ]);
        assert_eq!(login.code, 1, "{login:#?}");
        assert!(words.iter().all(|word| login.stderr.contains(word)), "{login:#?}");
    };
    let nobody = format!("http://127.0.0.1:{}", http::free_port());
    check("@alice:hs.test", &nobody, &["no homeserver answers", "refused", "that the homeserver runs"]);
    check("@alice:hs.test", "https://no-such-host.invalid", &["Check the name"]);
    let usage = scene.pushbell.command(&["login", "alice"]);
    assert_eq!((usage.code, usage.stderr.as_str()), (2, "pushbell: alice: a user ID looks like @alice:example.org\n"));
    let both = ["login", "@a:b", "--password-file", "x", "--token-file", "y"];
    assert_eq!(scene.pushbell.command(&both).code, 2);
}

#[test]
fn without_a_terminal_and_a_password_a_login_says_what_to_use() {
    let scene = Scene::new();
    let login = scene.pushbell.command(&["login", &scene.alice.id, "--push", "--homeserver", &scene.homeserver]);

    assert_eq!(login.code, 1, "{login:#?}");
    assert!(login.stderr.contains("--password-file"), "{login:#?}");
}

#[test]
fn another_users_token_is_refused() {
    let scene = Scene::new();
    std::fs::write(scene.file("token"), &scene.bob.token).unwrap();
    let check = |words: &str| {
        let token = scene.file("token");
        let arguments = ["login", &scene.alice.id, "--homeserver", &scene.homeserver, "--token-file", &token];
        let login = scene.pushbell.command(&arguments);
        assert!(login.code == 1 && login.stderr.contains(words), "{login:#?}");
    };
    check(&format!("that signs in {}, not {}", scene.bob.id, scene.alice.id));
    std::fs::write(scene.file("token"), "syt_nonsense").unwrap();
    check("does not know this access token");
    assert_eq!(scene.alice.pushers().len() + scene.bob.pushers().len(), 0);
}

#[test]
fn an_offline_logout_changes_nothing_without_anyway() {
    let synapse = Synapse::start();
    let scene = Scene::on(&synapse);
    assert_eq!(scene.login(&["--wait", "0"]).code, 3);
    drop(synapse);
    let logout = scene.pushbell.command(&["logout", &scene.alice.id]);
    assert_eq!(logout.code, 1, "{logout:#?}");
    assert!(logout.stderr.contains("nothing has changed") && logout.stderr.contains("--anyway"), "{logout:#?}");
    assert!(!logout.stdout.contains("Removed") && !logout.stdout.contains("Signed out"), "{logout:#?}");
    assert!(scene.pushbell.ok(&["account", "list"]).contains(&scene.alice.id));
    let anyway = scene.pushbell.command(&["logout", &scene.alice.id, "--anyway"]);
    assert_eq!(anyway.code, 1, "{anyway:#?}");
    assert!(anyway.stdout.contains("This remains to be done: sign out the session"), "{anyway:#?}");
    assert!(!scene.pushbell.ok(&["account", "list"]).contains(&scene.alice.id));
    assert!(!scene.pushbell.data_directory().join("secrets.json").exists());
}
