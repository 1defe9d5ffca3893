//! Inline replies typed into a real desktop's popups.

use std::time::Duration;

use hyper::Method;
use serde_json::{Value, json};
use tiny_skia::Pixmap;

use crate::{
    rig::{
        Desktop, DesktopOptions, Pushbell, SOON, bus, notifications::SERVICE, plasma::Plasma, screen::difference,
        wait_for, wait_until,
    },
    scene::{SYNAPSE, Scene},
};

/// Pointer position outside of what is compared: screenshots include the pointer.
const POINTER_ASIDE: (u32, u32) = (10, 200);

/// Clicks "Reply" in the only popup on the screen and types this text.
fn type_reply(desktop: &Desktop, bare: &Pixmap, text: &str) {
    let shown = desktop.at_rest("the popup is on the screen", bare);
    let (x, y, width, height) = difference(bare, &shown).expect("it differs");
    // The last of the buttons in its lowest row.
    desktop.click(x + width - 30, y + height - 20, 1);
    let field = desktop.at_rest("there is a field", &shown);
    desktop.type_text(text);
    desktop.at_rest("it has the text", &field);
    desktop.key("Return");
    desktop.point(POINTER_ASIDE.0, POINTER_ASIDE.1);
    wait_until("the popup is off the screen", SOON, || difference(bare, &desktop.screenshot()).is_none());
}

#[test]
fn a_reply_typed_into_plasma_arrives_plain_and_encrypted() {
    let desktop = Desktop::start(DesktopOptions { size: (880, 560), ..DesktopOptions::BARE });
    let plasma = Plasma::start(&desktop);
    let mut pushbell = Pushbell::prepare(&desktop, "[popup]\ntimeout = \"never\"\n");
    plasma.prepare(&mut pushbell);
    pushbell.run();
    let scene = Scene::on(&SYNAPSE, desktop, pushbell);
    let login = scene.login(&[]);
    assert!(login.stdout.contains("Encrypted messages are read"), "{login:#?}");
    scene.desktop.point(POINTER_ASIDE.0, POINTER_ASIDE.1);
    // The welcome popup would be in the way.
    scene.popup(0, "Pushbell is ready");
    let connection = scene.desktop.connect();
    wait_until("no popup is open", SOON, || {
        let open = scene.desktop.notifications().open();
        for id in open.keys() {
            bus::block_on(bus::call(&connection, SERVICE, "CloseNotification", &(id,))).expect("Plasma takes it");
        }
        open.is_empty()
    });
    // Popups fade out: the screen is empty once it no longer changes.
    let mut bare = scene.desktop.screenshot();
    wait_until("the screen is at rest", SOON, || {
        std::thread::sleep(Duration::from_secs(1));
        let before = std::mem::replace(&mut bare, scene.desktop.screenshot());
        difference(&before, &bare).is_none()
    });

    let plain = scene.bob.user.create_room(&json!({"name": "Kitchen", "invite": [scene.alice.id]}));
    scene.alice.join(&plain);
    let mark = scene.mark();
    scene.bob.user.send(&plain, "Dinner?");
    scene.popup(mark, "Dinner?");
    type_reply(&scene.desktop, &bare, "Yes, soon");
    let page = || scene.bob.user.request(&Method::GET, &format!("rooms/{plain}/messages?dir=b&limit=1"), &Value::Null);
    wait_for("Bob reads it", SOON, || {
        let newest = page()["chunk"][0].clone();
        (newest["sender"] == scene.alice.id.as_str() && newest["content"]["body"] == "Yes, soon").then_some(())
    });

    let mark = scene.mark();
    scene.bob.write(&scene.room, &scene.alice, "When?");
    scene.popup(mark, "When?");
    type_reply(&scene.desktop, &bare, "At eight");
    assert_eq!(scene.bob_reads(0)["content"]["body"], "At eight");
}
