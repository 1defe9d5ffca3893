use jiff::{ToSpan, tz::Offset};

use super::*;

fn state() -> TrayState {
    TrayState {
        badge: Badge::default(),
        paused_until: None,
        muted: false,
        muted_rooms: Vec::new(),
        newest: Vec::new(),
        connected: true,
        style: TrayStyle::Color,
        dark_panel: None,
        autostart: None,
        now: "2026-11-22T21:30:00Z".parse().unwrap(),
        time_zone: TimeZone::fixed(Offset::constant(1)),
    }
}

#[test]
fn muted_rooms_are_named_and_can_be_unmuted() {
    let room = |name: &str, until| MenuRoom { room: RoomKey::with_id("home", name), name: name.to_owned(), until };
    let menu = |rooms: Vec<MenuRoom>| {
        let view = TrayView::new(&TrayState { muted_rooms: rooms, ..state() });
        let mut all = actions(&view.menu);
        all.retain(|(_, action)| matches!(action, TrayAction::Unmute(_)));
        all
    };
    let unmute = |name: &str| TrayAction::Unmute(Some(RoomKey::with_id("home", name)));
    assert_eq!(menu(Vec::new()), []);
    let kitchen = room("Kitchen", Some(state().now + 1.hour()));
    assert_eq!(menu(vec![kitchen.clone()]), [("Unmute Kitchen (until 23:30)".to_owned(), unmute("Kitchen"))]);
    let all = menu(vec![kitchen, room("Cellar", None)]);
    assert_eq!(
        all[1..],
        [("Unmute Cellar".to_owned(), unmute("Cellar")), ("Unmute all".to_owned(), TrayAction::Unmute(None)),]
    );
}

fn in_menu(id: i64, is_unread: bool, line: &str) -> MenuNotice {
    MenuNotice { id: NoticeId(id), is_unread, line: line.to_owned() }
}

/// The menu as text: a submenu indented, a tick before what is on.
fn written(menu: &[MenuEntry]) -> String {
    menu.iter()
        .map(|entry| match entry {
            MenuEntry::Label(label) => format!("({label})\n"),
            MenuEntry::Item { label, .. } => format!("{label}\n"),
            MenuEntry::Check { label, checked, .. } => format!("{}{label}\n", if *checked { "✓ " } else { "" }),
            MenuEntry::Submenu { label, entries } => {
                let inner = written(entries);
                format!("{label} ▸\n  {}\n", inner.trim_end().replace('\n', "\n  "))
            }
            MenuEntry::Separator => "--\n".to_owned(),
        })
        .collect()
}

/// What the actions of the menu's items are called in the menu, submenus included.
fn actions(menu: &[MenuEntry]) -> Vec<(String, TrayAction)> {
    menu.iter()
        .flat_map(|entry| match entry {
            MenuEntry::Item { label, action } | MenuEntry::Check { label, action, .. } => {
                vec![(label.clone(), action.clone())]
            }
            MenuEntry::Submenu { entries, .. } => actions(entries),
            MenuEntry::Label(_) | MenuEntry::Separator => vec![],
        })
        .collect()
}

#[test]
fn the_menu_offers_everything_in_its_order() {
    let view = TrayView::new(&state());
    let expected = "(Nothing unread)\n--\nPause ▸\n  30 minutes\n  1 hour\n  Until tomorrow\nMute sounds\nClear\n--\n\
                    Open inbox\nSettings\nTest notification\n--\nQuit\n";
    assert_eq!(written(&view.menu), expected);
    let view = TrayView::new(&TrayState { connected: false, muted: true, autostart: Some(true), ..state() });
    let expected = expected
        .replace("Mute sounds", "✓ Mute sounds")
        .replace("Open inbox", "Connect a homeserver…\nOpen inbox")
        .replace("Test notification\n", "Test notification\n✓ Start with the desktop\n");
    assert_eq!(written(&view.menu), expected);
}

#[test]
fn every_item_does_what_it_says() {
    let newest = vec![in_menu(8, true, "Bob: hi"), in_menu(7, false, "Alice: hello")];
    let mut found =
        actions(&TrayView::new(&TrayState { newest, connected: false, autostart: Some(false), ..state() }).menu);
    let paused = TrayState { paused_until: Some(state().now + 1.hour()), ..state() };
    found.extend(actions(&TrayView::new(&paused).menu).into_iter().filter(|(label, _)| label == "Resume"));
    let expected = [
        ("• Bob: hi", TrayAction::OpenNotice(NoticeId(8))),
        ("Alice: hello", TrayAction::OpenNotice(NoticeId(7))),
        ("Mark these as read", TrayAction::Read(vec![NoticeId(8)])),
        ("30 minutes", TrayAction::Pause(PauseLength::HalfHour)),
        ("1 hour", TrayAction::Pause(PauseLength::Hour)),
        ("Until tomorrow", TrayAction::Pause(PauseLength::UntilTomorrow)),
        ("Mute sounds", TrayAction::ToggleMute),
        ("Clear", TrayAction::Clear),
        ("Connect a homeserver…", TrayAction::Connect),
        ("Open inbox", TrayAction::OpenInbox),
        ("Settings", TrayAction::OpenSettings),
        ("Test notification", TrayAction::Test),
        ("Start with the desktop", TrayAction::ToggleAutostart),
        ("Quit", TrayAction::Quit),
        ("Resume", TrayAction::Resume),
    ];
    assert_eq!(found, expected.map(|(label, action)| (label.to_owned(), action)));
}

#[test]
fn a_paused_tray_offers_to_resume_and_not_to_pause() {
    let paused_until = Some("2026-11-23T07:00:00Z".parse().unwrap());
    let view = TrayView::new(&TrayState { paused_until, ..state() });
    assert!(view.paused);
    let menu = written(&view.menu);
    assert!(menu.contains("(Paused until 08:00)\nResume\n"), "{menu}");
    assert!(!menu.contains("Pause ▸"), "{menu}");
}

#[test]
fn the_tooltip_says_it_in_words() {
    let check = |unread, missed_calls, paused_until: Option<&str>, expected: &str| {
        let paused_until = paused_until.map(|time| time.parse().unwrap());
        let badge = Badge { unread, missed_calls };
        let view = TrayView::new(&TrayState { badge, paused_until, ..state() });
        assert_eq!(view.tooltip, format!("{}: {expected}", app_info::APP_NAME));
        assert_eq!(view.badge, badge);
    };
    check(0, 0, None, "nothing unread");
    check(3, 1, None, "3 unread, 1 missed call");
    check(1, 0, None, "1 unread");
    check(0, 2, None, "2 missed calls");
    check(1234, 11, None, "1234 unread, 11 missed calls");
    check(0, 0, Some("2026-11-23T07:00:00Z"), "nothing unread, paused until 08:00");
    check(3, 1, Some("2026-11-22T22:05:00Z"), "3 unread, 1 missed call, paused until 23:05");
    check(3, 0, Some("2026-11-24T07:00:00Z"), "3 unread, paused until 24 Nov, 08:00");
}

#[test]
fn the_menu_lists_the_newest_five_notices() {
    let newest = (1..=6).map(|id| in_menu(id, id % 2 == 0, &format!("Alice & _Carol_: {id}"))).collect();
    let menu = TrayView::new(&TrayState { newest, ..state() }).menu;
    let lines = written(&menu);
    let shown: Vec<&str> = lines.lines().take_while(|line| *line != "Mark these as read").collect();
    let expected = (1..=5).map(|id| format!("{}Alice & _Carol_: {id}", if id % 2 == 0 { "• " } else { "" }));
    assert_eq!(shown[0], "(Nothing unread)");
    assert!(shown[1..].iter().copied().eq(expected), "{shown:?}");
    let read = TrayState { newest: vec![in_menu(1, false, "Alice: hello")], ..state() };
    assert!(!written(&TrayView::new(&read).menu).contains("Mark these as read"));
}
