//! Pushes through a mock ntfy server, to which real homeservers push.
#![cfg(all(target_os = "linux", feature = "encryption"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking"
)]
#![recursion_limit = "512"]

#[path = "../rig/mod.rs"]
mod rig;

mod by_hand;
mod changes;
mod comes;
mod logs_in;
mod relay;
#[path = "../listening/scene.rs"]
#[allow(dead_code, reason = "a part of it is used here")]
mod scene;

use std::{sync::LazyLock, thread};

use relay::Relay;
use rig::Synapse;
use scene::Scene;

static SYNAPSE: LazyLock<Synapse> = LazyLock::new(Synapse::start);

/// Alice signed in through a relay, and the message that completed the login.
fn signed_in() -> (Scene, Relay, String) {
    let (scene, relay) = (Scene::at(&SYNAPSE), Relay::start());
    let proof = prove(&scene, &relay, &[]);
    scene.account("it is connected", |account| account["way_now"] == format!("connected to {}", relay.url()).as_str());
    // From now on events arrive through the relay.
    scene.account("it has caught up", |account| !account["caught_up_at"].is_null());
    (scene, relay, proof)
}

/// Signs in while Bob sends a message; returns the message.
fn prove(scene: &Scene, relay: &Relay, more: &[&str]) -> String {
    let before = relay.pushes().len();
    thread::scope(|threads| {
        let bob = threads.spawn(|| {
            // The login's own test push goes through first.
            rig::wait_until("the homeserver may push", rig::SOON, || {
                scene
                    .alice
                    .pushers()
                    .iter()
                    .any(|pusher| pusher["data"]["url"].as_str().unwrap().starts_with(&relay.url()))
            });
            scene.bob.send(&scene.room, "Does it work?")
        });
        let login = scene.login(&[&["--ntfy", &relay.url()], more].concat());
        assert_eq!(login.code, 0, "{login:#?}");
        assert!(login.stdout.contains("A push of the homeserver has come through"), "{login:#?}");
        assert!(relay.pushes().len() > before + 1);
        bob.join().unwrap()
    })
}
