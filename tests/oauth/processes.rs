//! The app and a command, two processes, refresh the same session's token at the same time. The server treats a reused
//! refresh token as stolen and ends the session.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path, thread};

use pushbell::{accounts::AccountsFile, paths::Paths, secrets::Secrets, session::Sessions};

use crate::{
    program::Scene,
    rig::{SOON, bus::block_on, wait_until},
    server::Plan,
    synapse,
};

/// The app's paths, as far as sessions need them: all in its data directory.
fn paths(data: &Path) -> Paths {
    let path = |name: &str| data.join(name);
    Paths {
        config: path("pushbell.toml"),
        last_good_config: path("pushbell.last-good.toml"),
        data: data.to_owned(),
        database: path("pushbell.db"),
        accounts: path("accounts.toml"),
        sounds: path("sounds"),
        lock: path("pushbell.lock"),
        control: vec![path("control.sock")],
        cache: path("cache"),
        icon: path("pushbell.png"),
    }
}

/// Whether some process waits for this file lock.
fn is_waited_for(lock: &Path) -> bool {
    let Ok(lock) = fs::metadata(lock) else { return false };
    let inode = format!(":{} ", lock.ino());
    fs::read_to_string("/proc/locks").unwrap().lines().any(|line| line.contains("->") && line.contains(&inode))
}

/// Runs the app until it requests a refresh, which is held until the other process needs one too.
fn during_a_refresh_of_the_app<T: Send>(scene: &mut Scene, run: impl FnOnce(&Scene) -> T + Send) -> T {
    let before = scene.server.world().refreshes;
    scene.server.world().plan.holds_refreshes = true;
    scene.pushbell.launch(&["run"]);
    wait_until("the program asks for a refresh", SOON, || scene.server.world().refreshes > before);
    let (lock, scene) = (scene.pushbell.data_directory().join("secrets.lock"), &*scene);
    thread::scope(|scope| {
        let running = scope.spawn(|| run(scene));
        wait_until("the other wants a refresh too", SOON, || {
            is_waited_for(&lock) || scene.server.world().refreshes > before + 1 || running.is_finished()
        });
        assert_eq!(scene.server.world().refreshes, before + 1);
        scene.server.world().plan.holds_refreshes = false;
        running.join().unwrap()
    })
}

#[test]
fn two_processes_renew_a_token_once_and_both_go_on() {
    let mut scene = Scene::new(synapse::start(Plan { access_life: 1, ..Plan::default() }));
    scene.pushbell.set_env("BROWSER_RECORD", &scene.record().display().to_string());
    let login = scene.login();
    assert_eq!(login.code, 3, "{login:#?}");

    let signed_in = during_a_refresh_of_the_app(&mut scene, |scene| {
        let paths = paths(&scene.pushbell.data_directory());
        let account = AccountsFile::new(&paths.accounts).read().unwrap().find("@alice:hs.test").cloned().unwrap();
        block_on(Sessions::new(Secrets::new(&paths)).open(&account.sign_in.unwrap(), SOON)).unwrap()
    });
    // Catching up and reading encrypted messages open the session one after the other, and each refreshes a token that
    // is valid for one second.
    assert!(scene.server.world().refreshes <= 2, "the two processes share one");
    let who: serde_json::Value = block_on(signed_in.client.get("/_matrix/client/v3/account/whoami")).unwrap();
    assert_eq!(who["user_id"], "@alice:hs.test");
    scene.pushbell.wait_until_ready();
    scene.pushbell.wait_for_status("it has caught up", |status| !status["accounts"][0]["caught_up_at"].is_null());
    assert!(!scene.server.world().sessions[0].over);

    scene.pushbell.terminate();
    let logout = during_a_refresh_of_the_app(&mut scene, |scene| scene.pushbell.command(&["logout", "@alice:hs.test"]));
    assert_eq!(logout.code, 0, "{logout:#?}");
    assert!(logout.stdout.contains("Removed the pusher.\nSigned out.\n"), "{logout:#?}");
}
