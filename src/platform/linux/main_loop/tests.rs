use super::*;
use crate::{config::TrayStyle, desktop::tray_view::Badge};

fn view(unread: u64) -> TrayView {
    TrayView {
        badge: Badge { unread, missed_calls: 0 },
        paused: false,
        style: TrayStyle::Color,
        dark_panel: None,
        tooltip: String::new(),
        menu: Vec::new(),
    }
}

#[test]
fn only_the_newest_view_is_shown() {
    let (remote, TrayCommands(mailbox)) = channel();
    for unread in 0..1000 {
        remote.set(view(unread));
    }
    assert_eq!(mailbox.next(), Some((view(999), false)));
    assert!(mailbox.lock().is_idle(), "it would be shown again and again");
    remote.quit();
    assert_eq!(mailbox.next(), None);
}

#[test]
fn recreating_shows_the_newest_view_again() {
    let (remote, TrayCommands(mailbox)) = channel();
    remote.recreate();
    remote.set(view(1));
    assert_eq!(mailbox.next(), Some((view(1), true)));
    assert!(mailbox.lock().is_idle());
    remote.recreate();
    assert_eq!(mailbox.next(), Some((view(1), true)));
}

#[test]
fn it_ends_when_nobody_can_command_it_any_more() {
    let (remote, TrayCommands(mailbox)) = channel();
    let other = remote.clone();
    drop(remote);
    other.set(view(1));
    assert!(mailbox.next().is_some());
    drop(other);
    assert_eq!(mailbox.next(), None);
}

#[test]
fn a_view_wakes_the_one_who_waits() {
    let (remote, TrayCommands(mailbox)) = channel();
    let waiting = thread::spawn(move || mailbox.next());
    remote.set(view(5));
    assert_eq!(waiting.join().unwrap(), Some((view(5), false)));
}
