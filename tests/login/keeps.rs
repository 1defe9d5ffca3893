//! Where tokens are stored, and where they must not be.

use std::{fs, os::unix::fs::PermissionsExt as _};

use serde_json::Value;

use crate::{
    rig::keyring::{Keyring, SilentKeyring},
    scene::Scene,
};

/// The access tokens in the private file.
fn tokens_in_file(scene: &Scene) -> Vec<String> {
    let text = fs::read_to_string(scene.pushbell.data_directory().join("secrets.json")).unwrap_or_default();
    let all: Value = serde_json::from_str(&text).unwrap_or_default();
    let all = all.as_object().cloned().unwrap_or_default();
    all.values().map(|tokens| tokens["access_token"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn without_a_keyring_the_token_is_only_in_a_private_file() {
    let scene = Scene::new();
    let login = scene.login(&["--wait", "0", "--log-level", "trace"]);

    assert_eq!(login.code, 3, "{login:#?}");
    let file = scene.pushbell.data_directory().join("secrets.json");
    let place = format!("{}, which only you can read (there is no keyring)", file.display());
    assert!(login.stdout.contains(&place), "{login:#?}");
    let tokens = tokens_in_file(&scene);
    assert_eq!(tokens.len(), 1);
    let pushkey = scene.pushbell.account_named(&scene.alice.id).pushkey;
    for secret in [&tokens[0], &pushkey, "secret"] {
        let printed = format!("{}{}", login.stdout, login.stderr).replace("secrets", "");
        assert!(!printed.contains(secret), "{login:#?}");
    }
    for name in ["secrets.json", "secrets.lock", "accounts.toml", "pushbell.db"] {
        let mode = fs::metadata(scene.pushbell.data_directory().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let accounts = fs::read_to_string(scene.pushbell.data_directory().join("accounts.toml")).unwrap();
    assert!(!accounts.contains(&tokens[0]));
}

#[test]
fn a_keyring_keeps_each_token_gives_it_back_and_forgets_it() {
    let scene = Scene::new();
    let keyring = Keyring::start(&scene.desktop);
    let users = [&scene.alice, &scene.bob];
    let kept = || users.map(|user| keyring.secrets_of(&user.id).len());
    for user in users {
        let login = scene.login_of(user, &["--wait", "0"]);
        assert_eq!(login.code, 3, "{login:#?}");
        assert!(login.stdout.contains("in the keyring (Secret Service)"), "{login:#?}");
    }
    // Each has a token and the key to its encryption keys.
    let secrets = if cfg!(feature = "encryption") { 2 } else { 1 };
    assert_eq!(kept(), [secrets; 2]);
    assert!(!scene.pushbell.data_directory().join("secrets.json").exists());
    for (user, left) in [(&scene.alice, [0, secrets]), (&scene.bob, [0, 0])] {
        let logout = scene.pushbell.command(&["logout", &user.id]);
        assert_eq!(logout.code, 0, "{logout:#?}");
        assert!(logout.stdout.contains("Removed the pusher.\nSigned out.\n"), "{logout:#?}");
        assert_eq!((kept(), user.pushers().len()), (left, 0));
    }
    assert_eq!(scene.devices().len(), 0);
}

#[test]
fn a_keyring_that_hangs_does_not_keep_a_login() {
    let scene = Scene::new();
    let _keyring = SilentKeyring::start(&scene.desktop);
    let login = scene.login(&["--wait", "0"]);

    assert_eq!(login.code, 3, "{login:#?}");
    assert!(login.stdout.contains("the keyring has not answered within 5 s"), "{login:#?}");
    assert_eq!(tokens_in_file(&scene).len(), 1);
}

#[test]
fn a_token_moves_into_a_new_keyring_and_is_missed_without_it() {
    let scene = Scene::new();
    assert_eq!(scene.login(&["--wait", "0"]).code, 3);
    assert_eq!(tokens_in_file(&scene).len(), 1);
    let keyring = Keyring::start(&scene.desktop);
    assert_eq!(scene.login(&["--wait", "0"]).code, 3);
    assert!(!scene.pushbell.data_directory().join("secrets.json").exists());
    drop(keyring);
    let logout = scene.pushbell.command(&["logout", &scene.alice.id]);
    assert_eq!(logout.code, 1, "{logout:#?}");
    assert!(logout.stdout.contains("there is no keyring"), "{logout:#?}");
    assert!(logout.stderr.contains("nothing has changed"), "{logout:#?}");
    assert_eq!(scene.wait_for_pushers(1).len(), 1);
}
