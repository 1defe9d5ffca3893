//! Tests of the rig itself, for faults that no other test would notice.
#![cfg(target_os = "linux")]
#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a test fails by panicking")]

mod rig;

use std::{process::Command, time::Duration};

use rig::{
    Desktop, DesktopOptions, Notifier, OnNotify, SOON, bus,
    notifications::{SERVICE, Traffic},
    wait_until,
};
use zbus::zvariant::Value;

/// Shows a popup as any program would; returns its ID.
fn show(desktop: &Desktop, summary: &str, replaces: u32) -> Result<u32, String> {
    let connection = desktop.connect();
    let hints =
        std::collections::HashMap::from([("urgency", Value::from(2_u8)), ("category", Value::from("im.received"))]);
    let body = ("tester", replaces, "", summary, "the text", vec!["default", "Open"], hints, -1_i32);
    let id = bus::block_on(bus::call(&connection, SERVICE, "Notify", &body)).map_err(|error| error.to_string())?;
    Ok(u32::try_from(id.as_u64().expect("an id")).expect("an id"))
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
    // Every process of the desktop has its directory in the environment.
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
