//! Pictures of every kind of popup, with buttons, for review by people.

use std::sync::LazyLock;

use serde_json::{Value, json};
use tiny_skia::{Pixmap, PixmapPaint, Transform};

use super::{
    app::App,
    gnome::Gnome,
    plasma::PlasmaApp,
    x11::{POINTER_ASIDE, SIZE, picture_path},
};
use crate::rig::{
    Desktop, DesktopOptions, Notifier, Pushbell, SOON, Synapse,
    pushbell::message,
    screen::{self, difference, with_wallpaper},
    wait_until,
};

static SYNAPSE: LazyLock<Synapse> = LazyLock::new(Synapse::start);

/// Signs in as a user of this name, so that popups have all their buttons.
fn sign_in(name: &str) -> impl Fn(&Pushbell) -> String {
    let user = SYNAPSE.register(name, "You");
    move |pushbell| {
        let password = pushbell.home().join("password");
        std::fs::write(&password, "secret\n").expect("the home is writable");
        let (password, homeserver) = (password.display().to_string(), format!("http://127.0.0.1:{}", SYNAPSE.port));
        let login =
            ["login", &user.id, "--push", "--homeserver", &homeserver, "--password-file", &password, "--wait", "0"];
        assert_eq!(pushbell.command(&login).code, 3, "no push comes");
        user.id.clone()
    }
}

/// The pushes, each with the title of its popup.
fn kinds() -> Vec<(&'static str, Value)> {
    let said = |event: &str, room: &str, body: &str| {
        let mut push = message(event, &format!("{room}:hs.test"), body);
        push["room_name"] = room.into();
        push
    };
    let of_type = |event: &str, room: &str, event_type: &str, content: Value| {
        let mut push = said(event, room, "");
        push["type"] = event_type.into();
        push["content"] = content;
        push
    };
    let mut mention = said("mention", "Mission Control", "you: ready for the countdown?");
    mention["devices"] = json!([{"tweaks": {"highlight": true}}]);
    mention["content"]["m.mentions"] = json!({"room": true});
    let mut thread = said("thread", "Kitchen", "I can bring a cake");
    thread["content"]["m.relates_to"] = json!({"rel_type": "m.thread", "event_id": "$root"});
    let ciphertext = json!({"algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "x", "session_id": "x"});
    let call = |lifetime: u32| json!({"call_id": format!("{lifetime}"), "lifetime": lifetime, "version": "1", "offer": {"sdp": "m=video"}});
    vec![
        ("Bob in Kitchen", said("message", "Kitchen", "Dinner at eight & bring wine")),
        ("Bob mentioned the room in Mission Control", mention),
        ("Bob in a thread in Kitchen", thread),
        ("Bob in Attic", of_type("encrypted", "Attic", "m.room.encrypted", ciphertext)),
        ("Bob invites you to Cellar", of_type("invite", "Cellar", "m.room.member", json!({"membership": "invite"}))),
        ("Bob is calling", of_type("call", "Garage", "m.call.invite", call(60_000))),
        ("Missed call from Bob", of_type("missed", "Garage", "m.call.invite", call(1000))),
    ]
}

/// Saves a picture of each kind, two side by side. `look` makes the whole popup visible; `place` is its position where
/// that cannot be derived from the pixels that changed.
fn take_pictures(app: &App, name: &str, look: &dyn Fn(&str), place: Option<(u32, u32, u32, u32)>) {
    let clear = |bare: &Pixmap| {
        app.pushbell.ok(&["clear"]);
        app.desktop.point(POINTER_ASIDE.0, POINTER_ASIDE.1);
        wait_until("no popup is open", SOON, || app.notifications().open().is_empty());
        if place.is_none() {
            wait_until("the screen is bare", SOON, || difference(bare, &app.desktop.screenshot()).is_none());
        }
    };
    let bare = app.desktop.screenshot();
    let take = |title: &str| {
        let titled = |notify: &crate::rig::Notify| notify.summary.starts_with(title);
        wait_until(title, SOON, || app.notifications().open().values().any(titled));
        look(title);
        let shown = app.desktop.at_rest(title, &bare);
        let part = screen::cut(&shown, place.or_else(|| difference(&bare, &shown)).expect("it differs"));
        clear(&bare);
        with_wallpaper(&part)
    };
    let mut pictures = Vec::new();
    for (title, push) in kinds() {
        app.push(push);
        pictures.push(take(title));
    }
    app.pushbell.ok(&["pause"]);
    for room in ["Kitchen", "Attic", "Garden"] {
        app.message(&format!("summary {room}"), &format!("{room}:hs.test"), "Dinner?");
    }
    app.pushbell.ok(&["resume"]);
    pictures.push(take("3 messages in 3 rooms"));

    let Some(path) = picture_path(&format!("kinds-{name}.png")) else { return };
    let gap = 8;
    let width = pictures.iter().map(Pixmap::width).max().expect("there are some");
    let rows: Vec<_> = pictures.chunks(2).map(|row| row.iter().map(Pixmap::height).max().unwrap_or(0)).collect();
    let height = rows.iter().map(|row| row + gap).sum::<u32>() - gap;
    let mut canvas = Pixmap::new(2 * width + gap, height).expect("a picture");
    let mut y = 0;
    for (row, row_height) in pictures.chunks(2).zip(rows) {
        for (picture, x) in row.iter().zip([0, width + gap]) {
            let (x, y) = (x.cast_signed(), y);
            canvas.draw_pixmap(x, y, picture.as_ref(), &PixmapPaint::default(), Transform::identity(), None);
        }
        y += (row_height + gap).cast_signed();
    }
    canvas.save_png(path).expect("the directory is there");
}

fn on_x11(notifier: Notifier, name: &str) {
    let desktop = Desktop::start(DesktopOptions { notifier: Some(notifier), size: SIZE, ..DesktopOptions::BARE });
    let pushbell = Pushbell::prepare(&desktop, "");
    let app = App::run(desktop, pushbell, &sign_in(name));
    app.desktop.point(POINTER_ASIDE.0, POINTER_ASIDE.1);
    take_pictures(&app, name, &|_| {}, None);
}

#[test]
#[ignore = "makes pictures"]
fn kinds_on_xfce() {
    on_x11(Notifier::Xfce4Notifyd, "xfce");
}

#[test]
#[ignore = "makes pictures"]
fn kinds_on_dunst() {
    on_x11(Notifier::Dunst, "dunst");
}

#[test]
#[ignore = "makes pictures"]
fn kinds_on_plasma() {
    // A second account, so that the first one's name is shown.
    let sign_in = sign_in("plasma");
    let plasma = PlasmaApp::start_as("", &|pushbell: &Pushbell| {
        pushbell.ok(&["account", "add", "work"]);
        sign_in(pushbell)
    });
    take_pictures(&plasma.app, "plasma", &|_| {}, None);
}

#[test]
#[ignore = "makes pictures"]
fn kinds_on_gnome() {
    let gnome = Gnome::start_as("", &sign_in("gnome"));
    let look = |title: &str| {
        gnome.shows(title);
        gnome.hover();
        gnome.app.desktop.point(650, 80);
    };
    take_pictures(&gnome.app, "gnome", &look, Some((190, 30, 500, 128)));
}
