//! A change of transport that fails its test leaves the old one in place.

use crate::{
    rig::{SOON, wait_until},
    signed_in,
};

#[test]
fn an_unproven_change_keeps_the_relay_or_the_connection() {
    let (scene, relay, proof) = signed_in();
    let before = scene.alice.pushers();
    let push = scene.login(&["--push", "--wait", "1"]);
    assert!(push.code == 1 && push.stderr.contains("the way stays \"ntfy\""), "{push:#?}");
    wait_until("the old pusher alone is there", SOON, || scene.alice.pushers() == before);
    scene.account("it is connected", |account| account["way_now"] == format!("connected to {}", relay.url()).as_str());
    let (mark, pushes) = (scene.mark(), relay.pushes().len());
    let relayed = scene.bob.send(&scene.room, "By the relay.");
    scene.popup(mark, "By the relay.");
    // The event may have been listed before it was pushed.
    wait_until("the relay has a push", SOON, || relay.pushes().len() > pushes);

    let listen = scene.login(&["--listen"]);
    assert_eq!(listen.code, 0, "{listen:#?}");
    let ntfy = scene.login(&["--ntfy", &relay.url(), "--wait", "1"]);
    assert!(ntfy.code == 1 && ntfy.stderr.contains("the way stays \"listen\""), "{ntfy:#?}");
    wait_until("nobody is to push", SOON, || scene.alice.pushers().is_empty());
    scene.account("it listens", |account| account["way_now"] == "listening" && account["way"] == "listen");
    let mark = scene.mark();
    let heard = scene.bob.send(&scene.room, "Over the connection.");
    scene.popup(mark, "Over the connection.");
    scene.knows_once(&[proof, relayed, heard]);
}
