//! The rig itself works: a real desktop comes up, is read rightly, and leaves nothing behind.
#![cfg(target_os = "linux")]
#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a test fails by panicking")]

mod rig;

use std::{process::Command, time::Duration};

use rig::{
    Desktop, DesktopOptions, FakeLogind, FakeScreenSaver, Notifier, OnNotify, Pushbell, Recording, SOON, Shade,
    TrayHost, bus,
    notifications::{SERVICE, Traffic},
    recording::tone,
    screen, wait_until,
};
use zbus::zvariant::Value;

/// Shows a popup as any program would; its id.
fn show(desktop: &Desktop, summary: &str, replaces: u32) -> Result<u32, String> {
    let connection = desktop.connect();
    let hints =
        std::collections::HashMap::from([("urgency", Value::from(2_u8)), ("category", Value::from("im.received"))]);
    let body = ("tester", replaces, "", summary, "the text", vec!["default", "Open"], hints, -1_i32);
    let id = bus::block_on(bus::call(&connection, SERVICE, "Notify", &body)).map_err(|error| error.to_string())?;
    Ok(u32::try_from(id.as_u64().expect("an id")).expect("an id"))
}

fn popup_is_read(notifier: Notifier) {
    let desktop = Desktop::start(DesktopOptions { notifier: Some(notifier), ..DesktopOptions::BARE });
    let before = desktop.screenshot();
    let id = show(&desktop, "Hello", 0).expect("the service shows it");
    let notify = desktop.notifications().wait_for_notify("it is shown", |notify| notify.summary == "Hello");
    assert_eq!(notify.id(), id);
    assert_eq!((&*notify.app_name, &*notify.body, notify.timeout), ("tester", "the text", -1));
    assert_eq!(notify.actions, [("default".to_owned(), "Open".to_owned())]);
    assert_eq!(notify.hints["urgency"], 2);
    assert_eq!(notify.hints["category"], "im.received");
    wait_until("the popup is on the screen", SOON, || desktop.screenshot() != before);

    let connection = desktop.connect();
    bus::block_on(bus::call(&connection, SERVICE, "CloseNotification", &(id,))).expect("the service closes it");
    assert_eq!(desktop.notifications().wait_for_closed(id), 3);
    assert!(desktop.notifications().open().is_empty());
}

#[test]
fn popups_of_dunst_are_read() {
    popup_is_read(Notifier::Dunst);
}

#[test]
fn popups_of_xfce4_notifyd_are_read() {
    popup_is_read(Notifier::Xfce4Notifyd);
}

#[test]
fn popups_of_mate_notification_daemon_are_read() {
    popup_is_read(Notifier::MateNotificationDaemon);
}

#[test]
fn popups_of_notification_daemon_are_read() {
    popup_is_read(Notifier::NotificationDaemon);
}

#[test]
fn dunst_can_be_clicked_closed_frozen_and_killed() {
    let mut desktop = Desktop::start(DesktopOptions { notifier: Some(Notifier::Dunst), ..DesktopOptions::BARE });
    let bare = desktop.screenshot();
    let id = show(&desktop, "clicked", 0).expect("dunst shows it");
    desktop.dunst("NotificationAction", Some(0));
    desktop.notifications().wait("the action comes", SOON, |traffic| {
        (*traffic == Traffic::ActionInvoked(id, "default".to_owned())).then_some(())
    });
    desktop.dunst("NotificationCloseAll", None);
    desktop.notifications().wait_for_closed(id);
    wait_until("the popup is off the screen", SOON, || desktop.screenshot() == bare);
    let before = desktop.screenshot();
    let id = show(&desktop, "dismissed", 0).expect("dunst shows it");
    wait_until("the popup is on the screen", SOON, || desktop.screenshot() != before);
    desktop.click(desktop.options.size.0 - 60, 40, 3);
    assert_eq!(desktop.notifications().wait_for_closed(id), 2);

    desktop.notifier().freeze();
    let connection = desktop.connect();
    bus::block_on(async {
        let call = bus::call(&connection, SERVICE, "GetCapabilities", &());
        assert!(tokio::time::timeout(Duration::from_millis(300), call).await.is_err(), "a frozen service answers");
    });
    desktop.notifier().thaw();
    show(&desktop, "thawed", 0).expect("dunst shows it");

    desktop.kill_notifier();
    let error = show(&desktop, "nobody", 0).expect_err("nobody can show it");
    assert!(error.contains("ServiceUnknown"), "{error}");
    desktop.start_notifier(Notifier::Xfce4Notifyd);
    show(&desktop, "again", 0).expect("the other service shows it");
    desktop.notifications().wait_for_notify("it is shown", |notify| notify.summary == "again");

    desktop.kill_bus();
    desktop.start_bus();
    desktop.start_notifier(Notifier::Dunst);
    show(&desktop, "new bus", 0).expect("dunst shows it");
    desktop.notifications().wait_for_notify("it is shown", |notify| notify.summary == "new bus");
}

#[test]
fn the_scripted_service_does_as_it_is_told() {
    let desktop = Desktop::start(DesktopOptions::BARE);
    let fake = desktop.fake_notifier(&["actions", "body"]);
    let connection = desktop.connect();
    let capabilities = bus::block_on(bus::call(&connection, SERVICE, "GetCapabilities", &())).expect("it answers");
    assert_eq!(capabilities, serde_json::json!(["actions", "body"]));
    let id = show(&desktop, "one", 0).expect("it answers");
    assert_eq!(show(&desktop, "one again", id), Ok(id));
    assert_ne!(show(&desktop, "two", 0), Ok(id));

    fake.invoke_action_with_token(id, "default", "token-1");
    fake.close(id, 2);
    assert_eq!(desktop.notifications().wait_for_closed(id), 2);
    let traffic = desktop.notifications().traffic();
    assert!(traffic.contains(&Traffic::ActivationToken(id, "token-1".to_owned())));

    fake.on_notify(OnNotify::Fail("no room"));
    assert!(show(&desktop, "three", 0).expect_err("it was told to fail").contains("no room"));
    fake.on_notify(OnNotify::AnswerAfter(Duration::from_millis(50)));
    show(&desktop, "four", 0).expect("it answers late");
    fake.on_notify(OnNotify::Hang);
    bus::block_on(async {
        let body = ("", 0_u32, "", "", "", Vec::<&str>::new(), std::collections::HashMap::<&str, Value<'_>>::new(), 0);
        let call = bus::call(&connection, SERVICE, "Notify", &body);
        assert!(tokio::time::timeout(Duration::from_millis(300), call).await.is_err(), "a hanging service answers");
    });
    drop(fake);
    show(&desktop, "nobody", 0).expect_err("the service is gone");
}

#[test]
fn the_screen_can_be_locked_and_the_computer_can_sleep() {
    let desktop = Desktop::start(DesktopOptions::BARE);
    let saver = FakeScreenSaver::start(&desktop, false);
    saver.set_locked(true);
    let name = "org.freedesktop.ScreenSaver";
    let connection = desktop.connect();
    let active = bus::call(&connection, (name, "/org/freedesktop/ScreenSaver", name), "GetActive", &());
    assert_eq!(bus::block_on(active), Ok(true.into()));

    let logind = FakeLogind::start(&desktop, false);
    let system = bus::block_on(bus::connect(&desktop.system_bus_address()));
    let manager = ("org.freedesktop.login1", "/org/freedesktop/login1", "org.freedesktop.login1.Manager");
    let session = bus::block_on(bus::call(&system, manager, "GetSessionByPID", &(1_u32,))).expect("it answers");
    let session = (manager.0, session.as_str().expect("a path"), "org.freedesktop.login1.Session");
    assert_eq!(bus::block_on(bus::property(&system, session, "LockedHint")), Ok(false.into()));
    logind.set_locked(true);
    assert_eq!(bus::block_on(bus::property(&system, session, "LockedHint")), Ok(true.into()));
    logind.sleep_and_wake();
}

#[test]
fn commands_run_in_a_home_of_their_own() {
    let desktop = Desktop::start(DesktopOptions::BARE);
    let pushbell = Pushbell::prepare(&desktop, "[popup]\ntimeout = 5\n");
    pushbell.ok(&["check-config"]);
    pushbell.ok(&["account", "add", "work"]);
    let account = pushbell.account_named("work");
    assert_eq!(account.app_id, pushbell::identity::APP_ID);
    assert_eq!(account.pushkey.len(), 44, "256 bits in base64");
    assert!(pushbell.data_directory().join("accounts.toml").exists());
    assert_eq!(pushbell.command(&["status"]).code, 69);
    pushbell.write_config("[popup]\ntimeuot = 5\n");
    let output = pushbell.command(&["check-config"]);
    assert!(output.code == 78 && output.stdout.contains("popup.timeout"), "{output:#?}");
}

/// Starts a program with a tray icon like the app's, all red. It needs an environment, so a process, of its own.
fn start_icon(desktop: &Desktop) -> rig::process::Part {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["--ignored", "--exact", "helper_tray_icon", "--nocapture"]);
    rig::process::Part::start("icon", command, desktop.env(), &desktop.run_directory())
}

#[test]
#[ignore = "a helper: runs in a process of its own"]
fn helper_tray_icon() {
    use tray_icon::{
        Icon, TrayIconBuilder,
        menu::{Menu, MenuItem},
    };
    let menu = Menu::new();
    menu.append(&MenuItem::new("Say &a_b", true, None)).expect("a menu takes items");
    let red = [0xff, 0, 0, 0xff].repeat(22 * 22);
    let icon = Icon::from_rgba(red, 22, 22).expect("an icon");
    let _icon = TrayIconBuilder::new()
        .with_icon(icon)
        .with_tooltip("3 unread")
        .with_title("helper")
        .with_menu(Box::new(menu))
        .build()
        .expect("a tray icon");
    std::thread::park();
}

fn tray_icon_is_read(host: TrayHost, shade: Shade) {
    let mut desktop = Desktop::start(DesktopOptions { tray: Some(host), shade, ..DesktopOptions::BARE });
    assert_eq!(desktop.tray_icon_pixels(), None);
    let _program = start_icon(&desktop);
    let item = desktop.tray_item();
    assert_eq!(item.icons()[0].width(), 22);
    assert_eq!(screen::color(&item.icons()[0], 11, 11), (255, 0, 0));
    assert_eq!(item.tooltip(), ("helper".to_owned(), "3 unread".to_owned()));
    let pixels = rig::wait_for("the icon is on the panel", SOON, || {
        desktop.tray_icon_pixels().filter(|icon| screen::count_color(icon, (255, 0, 0), 40) > 100)
    });
    assert!((16..=24).contains(&pixels.width()) && (16..=24).contains(&pixels.height()), "{pixels:?}");
    assert_eq!(item.menu_labels(), ["Say a_b"]);

    desktop.kill_tray();
    desktop.start_tray(host);
    wait_until("the icon is back", SOON, || desktop.tray_items() == 1 && desktop.tray_icon_pixels().is_some());
}

#[test]
fn a_tray_icon_on_xfce4_panel_is_read() {
    tray_icon_is_read(TrayHost::Xfce4Panel, Shade::Dark);
}

#[test]
fn a_tray_icon_on_a_light_lxqt_panel_is_read() {
    tray_icon_is_read(TrayHost::LxqtPanel, Shade::Light);
}

#[test]
fn sounds_are_recorded() {
    let desktop = Desktop::start(DesktopOptions { sound: Some(rig::Sound::Pulse), ..DesktopOptions::BARE });
    let recording = Recording::start(&desktop);
    let sound = [tone(440.0, 1.0), tone(0.0, 0.5), tone(1000.0, 0.5)].concat();
    let file = desktop.run_directory().join("sound.raw");
    std::fs::write(&file, sound).expect("the run directory is writable");
    let mark = recording.length();
    let file = file.display().to_string();
    rig::process::run("pacat", &["--format=s16le", "--rate=48000", "--channels=1", &file], desktop.env());
    let bursts = recording.wait_for_bursts(mark, 2);
    assert_eq!(bursts.len(), 2, "{bursts:#?}");
    for (burst, (frequency, seconds)) in bursts.iter().zip([(440.0, 1.0), (1000.0, 0.5)]) {
        assert!((burst.frequency - frequency).abs() <= 5.0, "{burst:?}");
        assert!((burst.length.as_secs_f32() - seconds).abs() < 0.1, "{burst:?}");
        assert!((0.4..0.6).contains(&burst.peak), "{burst:?}");
    }
}

#[test]
#[ignore = "a helper: runs in a process of its own and is killed"]
fn helper_whole_desktop() {
    let desktop = Desktop::start(DesktopOptions::default());
    println!("RUNS {}", desktop.run_directory().display());
    std::thread::park();
}

#[test]
fn a_killed_test_program_leaves_nothing() {
    let logs = rig::process::TempDir::new();
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["--ignored", "--exact", "helper_whole_desktop", "--nocapture"]);
    let env = [("PATH".to_owned(), rig::process::PATH.to_owned())];
    let mut program = rig::process::Part::start("helper", command, &env, logs.path());
    let directory = rig::wait_for("the desktop runs", Duration::from_secs(60), || {
        let text = program.stdout();
        let (_, rest) = text.split_once("RUNS ")?;
        rest.lines().next().map(str::to_owned)
    });
    // What belongs to the desktop has its directory in the environment.
    let processes = || {
        let environments = std::fs::read_dir("/proc").expect("/proc").flatten();
        environments
            .filter_map(|process| std::fs::read(process.path().join("environ")).ok())
            .filter(|environment| String::from_utf8_lossy(environment).contains(&directory))
            .count()
    };
    assert!(processes() >= 6, "{} processes", processes());
    program.kill();
    wait_until("all of the desktop's processes are gone", SOON, || processes() == 0);
    wait_until("its directory is gone", SOON, || !std::path::Path::new(&directory).exists());
}
