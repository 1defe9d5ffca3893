//! The README's pictures of encrypted messages on a desktop, if they are requested (`PUSHBELL_PICTURES=docs/images`).

use std::path::PathBuf;

use serde_json::json;
use tiny_skia::Pixmap;

use crate::{
    client::Client,
    rig::{Desktop, DesktopOptions, Notifier, Pushbell, TrayHost, screen},
    scene::{SYNAPSE, Scene, encryption},
};

const SIZE: (u32, u32) = (880, 560);
/// The right part of the screen contains everything.
const WIDTH: u32 = 510;
/// Pointer position outside of the picture: screenshots include the pointer.
const POINTER_ASIDE: (u32, u32) = (10, 200);

fn save(image: &Pixmap, path: PathBuf) {
    let part = screen::cut(image, (SIZE.0 - WIDTH, 0, WIDTH, SIZE.1));
    screen::with_wallpaper(&part).save_png(path).unwrap();
}

/// A user in an encrypted room with Alice. The room has this name, if any.
fn joined(scene: &Scene, name: &str, room_name: Option<&str>) -> (Client, String) {
    let user = SYNAPSE.register(&name.to_lowercase().replace(' ', "-"), name);
    let mut options =
        json!({"invite": [scene.alice.id], "preset": "trusted_private_chat", "initial_state": [encryption()]});
    match room_name {
        Some(room_name) => options["name"] = room_name.into(),
        None => options["is_direct"] = true.into(),
    }
    let room = user.create_room(&options);
    scene.alice.join(&room);
    (Client::new(&SYNAPSE, &user), room)
}

#[test]
fn the_readme_has_pictures_of_encrypted_rooms() {
    let Some(directory) = std::env::var_os("PUSHBELL_PICTURES").map(PathBuf::from) else { return };
    let desktop = Desktop::start(DesktopOptions {
        notifier: Some(Notifier::Xfce4Notifyd),
        tray: Some(TrayHost::Xfce4Panel),
        size: SIZE,
        ..DesktopOptions::BARE
    });
    let pushbell = Pushbell::start(&desktop, "[popup]\ntimeout = \"never\"\n");
    let scene = Scene::on(&SYNAPSE, desktop, pushbell);
    scene.desktop.point(POINTER_ASIDE.0, POINTER_ASIDE.1);
    let (grace, of_grace) = joined(&scene, "Grace", None);
    let (ada, kitchen) = joined(&scene, "Ada", Some("Kitchen"));
    let (tom, mission) = joined(&scene, "Major Tom", Some("Mission Control"));
    scene.login(&[]);
    let welcome = scene.popup(0, "Pushbell is ready");
    scene.pushbell.ok(&["clear"]);
    scene.desktop.notifications().wait_for_closed(welcome.id());
    let mark = scene.mark();
    let call = json!({"call_id": "call", "lifetime": 1000, "version": "1", "offer": {"type": "offer", "sdp": ""}});
    grace.send_encrypted(&of_grace, &scene.alice, "m.call.invite", &call);
    scene.popup(mark, "Missed call from Grace");
    let mention = json!({
        "msgtype": "m.text", "body": "Dinner is ready, who is coming?", "m.mentions": {"user_ids": [scene.alice.id]},
    });
    ada.send_encrypted(&kitchen, &scene.alice, "m.room.message", &mention);
    scene.popup(mark, "Dinner is ready");
    tom.write(&mission, &scene.alice, "I'm floating in a most peculiar way");
    scene.popup(mark, "floating");
    tom.write(&mission, &scene.alice, "And the stars look very different today");
    scene.popup(mark, "stars");
    let popups = scene.desktop.at_rest("the popups are on the screen", &Pixmap::new(SIZE.0, SIZE.1).unwrap());
    save(&popups, directory.join("desktop.png"));
    let (x, y) = scene.desktop.tray_icon_position().unwrap();
    scene.desktop.click(x, y, 3);
    save(&scene.desktop.at_rest("the menu is on the screen", &popups), directory.join("menu.png"));
}
