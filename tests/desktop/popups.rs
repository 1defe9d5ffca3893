//! A popup as sent over D-Bus, and how it is replaced and withdrawn.

use pushbell::app_info;
use serde_json::json;

use super::app::{App, DUNST, XFCE4_NOTIFYD};
use crate::rig::{DesktopOptions, notifications::Traffic, pushbell::message};

fn life_of_a_popup(options: DesktopOptions) {
    let app = App::start(options, "");
    let mark = app.mark();
    app.message("1", "Mission Control", "first");
    let first = app.titled(mark, "Bob in Mission Control");
    assert_eq!((&*first.app_name, first.replaces_id, &*first.body), (app_info::APP_NAME, 0, "first"));
    assert_eq!(first.hints["desktop-entry"], app_info::APP_ID);
    assert_eq!((&first.hints["urgency"], &first.hints["category"]), (&json!(1), &json!("im.received")));
    assert_eq!(first.actions, [("default".to_owned(), "Open".to_owned())]);
    assert_eq!(first.timeout, -1);
    let icon = tiny_skia::Pixmap::load_png(&first.app_icon).expect("the icon is a PNG file");
    assert!(icon.width() >= 48 && icon.width() == icon.height());

    // Another room has a popup of its own; the same room reuses its popup.
    app.message("2", "Elsewhere", "hello");
    let elsewhere = app.titled(mark, "Bob in Elsewhere");
    assert_ne!(elsewhere.id(), first.id());
    app.message("3", "Mission Control", "second");
    app.shows(mark, "first\nsecond");
    app.message("4", "Mission Control", "third");
    let third = app.shows(mark, "first\nsecond\nthird");
    assert_eq!(
        (third.summary.as_str(), third.replaces_id, third.id()),
        ("Bob in Mission Control", first.id(), first.id())
    );
    assert_eq!(third.sender, elsewhere.sender, "all popups come over one connection");

    // Read on another device: both are withdrawn.
    app.unread(0);
    app.withdraws(mark, first.id());
    app.withdraws(mark, elsewhere.id());
    assert_eq!(app.notifications().wait_for_closed(first.id()), 3);
    assert_eq!(app.notifications().wait_for_closed(elsewhere.id()), 3);
    app.counts(0);

    // A later message starts a new popup.
    app.message("5", "Mission Control", "fourth");
    let fourth = app.shows(mark, "fourth");
    assert_eq!(fourth.replaces_id, 0);
}

#[test]
fn a_popup_changes_with_its_room_and_goes_at_zero_on_dunst() {
    life_of_a_popup(DUNST);
}

#[test]
fn xfce4_notifyd_updates_a_rooms_popup_and_closes_it_at_zero() {
    life_of_a_popup(XFCE4_NOTIFYD);
}

#[test]
fn text_reads_as_it_was_written_with_and_without_markup() {
    const SAID: &str = "<b>&amp; \"quotes\"</b>";
    let app = App::start(DesktopOptions::BARE, "");
    let dunst_desktop = App::start(DUNST, "");
    dunst_desktop.message("1", SAID, SAID);
    let seen = dunst_desktop.notifications().wait_for_notify("dunst shows it", |_| true);
    assert_eq!(seen.summary, format!("Bob in {SAID}"), "titles are never markup");
    let markup = as_markup(&seen.body);
    assert_eq!(markup, SAID);

    for (capabilities, expected) in
        [(&["actions", "body"][..], SAID), (&["actions", "body", "body-markup"], &seen.body)]
    {
        let mark = app.mark();
        let fake = app.desktop.fake_notifier(capabilities);
        app.message(&format!("e{}", capabilities.len()), &format!("room {}", capabilities.len()), SAID);
        app.shows(mark, expected);
        drop(fake);
        app.pushbell.wait_for_status("the service is gone", |status| status["popup"]["available"] == false);
    }
}

/// The characters that a markup parser reads.
fn as_markup(body: &str) -> String {
    let entities = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&amp;", "&")];
    let mut read = String::new();
    let mut rest = body;
    while let Some(sign) = rest.chars().next() {
        assert_ne!(sign, '<', "a tag in {body:?}");
        let entity = entities.iter().find(|(entity, _)| rest.starts_with(entity));
        assert!(sign != '&' || entity.is_some(), "a stray & in {body:?}");
        let (length, sign) =
            entity.map_or((sign.len_utf8(), sign.to_string()), |(entity, sign)| (entity.len(), (*sign).to_owned()));
        read.push_str(&sign);
        rest = &rest[length..];
    }
    read
}

#[test]
fn a_service_without_actions_is_sent_none() {
    let app = App::start(DesktopOptions::BARE, "");
    let _fake = app.desktop.fake_notifier(&["body"]);
    app.message("1", "room", "text");
    assert_eq!(app.shows(0, "text").actions, []);
}

#[test]
fn popups_stay_as_long_as_configured() {
    let app = App::start(DUNST, "[popup]\ntimeout = 7\n");
    app.message("1", "room", "seven");
    assert_eq!(app.shows(0, "seven").timeout, 7000);
    app.pushbell.configure("[popup]\ntimeout = \"never\"\n");
    crate::rig::wait_for("the change is taken up", crate::rig::SOON, || {
        let mark = app.mark();
        app.message(&format!("n{mark}"), "room", &format!("never {mark}"));
        let shown = app.notifications().wait_for_notify_since(mark, "it is shown", |_| true);
        (shown.timeout == 0).then_some(())
    });
}

#[test]
fn an_edit_changes_the_popup_and_a_redaction_withdraws_it() {
    let app = App::start(DUNST, "");
    app.message("1", "room", "wrnog");
    let first = app.shows(0, "wrnog");
    let mut edit = message("2", "room", "* wrong");
    edit["content"]["m.new_content"] = json!({"msgtype": "m.text", "body": "wrong"});
    edit["content"]["m.relates_to"] = json!({"rel_type": "m.replace", "event_id": "$1"});
    app.push(edit);
    let edited = app.shows(0, "wrong");
    assert_eq!((edited.replaces_id, &edited.summary), (first.id(), &first.summary));
    let mark = app.mark();
    let mut redaction = message("3", "room", "");
    redaction["type"] = "m.room.redaction".into();
    redaction["content"] = json!({"redacts": "$1"});
    app.push(redaction);
    app.withdraws(mark, first.id());
    let history = app.pushbell.history();
    assert!(!history.iter().any(|line| line.to_string().contains("wrong")), "{history:#?}");
}

#[test]
fn a_highlight_is_marked_and_never_folded_away_unseen() {
    let app = App::start(DUNST, "");
    let mut mention = message("1", "room", "Alice: look");
    mention["content"]["m.mentions"] = json!({"user_ids": ["@alice:hs.test"]});
    mention["devices"] = json!([{"tweaks": {"highlight": true}}]);
    app.push(mention);
    let mention = app.titled(0, "Bob mentioned you in room");
    assert_eq!(mention.hints["urgency"], 2);
    app.message("2", "room", "chatter");
    let chatter = app.notifications().wait_for_notify("the chatter is shown", |notify| notify.body.contains("chatter"));
    assert_eq!(
        (chatter.replaces_id, &chatter.hints["urgency"]),
        (mention.id(), &json!(1)),
        "only the mention is urgent"
    );
    assert!(chatter.body.contains("Alice: look"), "{:?}", chatter.body);
}

#[test]
fn a_flood_of_rooms_becomes_a_few_popups_and_one_summary() {
    let app = App::start(DUNST, "");
    for number in 0..500 {
        app.message(&format!("e{number}"), &format!("room {number}"), "flood");
    }
    app.pushbell.wait_for_status("all has been shown", |status| status["inbox"]["unshown"] == 0);
    crate::rig::wait_until("all popups are confirmed", crate::rig::SOON, || {
        app.notifications().all().iter().all(|notify| notify.answer.is_some())
    });
    let shown = app.notifications().all();
    let (summaries, rooms): (Vec<_>, Vec<_>) = shown.iter().partition(|notify| notify.summary.ends_with(" rooms"));
    assert!(rooms.len() <= 20 && shown.len() <= 40, "{} rooms, {} summaries", rooms.len(), summaries.len());
    let ids: std::collections::BTreeSet<_> = summaries.iter().map(|notify| notify.id()).collect();
    assert_eq!(ids.len(), 1, "it is one popup that changes");
    let last = summaries.last().expect("there is one");
    let told: usize = last.summary.split(' ').next().and_then(|number| number.parse().ok()).expect("a number");
    crate::rig::wait_until(&format!("what {:?} tells is told nowhere else", last.summary), crate::rig::SOON, || {
        let open = app.notifications().open();
        let others = open.values().filter(|popup| !popup.summary.ends_with(" rooms")).count();
        others <= 3 && told + others == 500
    });
    assert_eq!(last.hints["category"], "im.received");
}

#[test]
fn a_flood_in_one_room_changes_one_popup_a_few_times() {
    let app = App::start(DUNST, "");
    for number in 1..=500 {
        app.message(&format!("e{number}"), "room", &format!("flood {number}"));
    }
    app.shows(0, "497 more\nflood 498\nflood 499\nflood 500");
    crate::rig::wait_until("all popups are confirmed", crate::rig::SOON, || {
        app.notifications().all().iter().all(|notify| notify.answer.is_some())
    });
    let shown = app.notifications().all();
    assert!(shown.len() <= 60, "{}", shown.len());
    let ids: std::collections::BTreeSet<_> = shown.iter().map(|notify| notify.id()).collect();
    assert_eq!(ids.len(), 1);
}

#[test]
fn what_a_service_refused_is_shown_once_it_accepts_popups() {
    let app = App::start(DesktopOptions::BARE, "");
    let fake = app.desktop.fake_notifier(&["body"]);
    fake.on_notify(crate::rig::OnNotify::Fail("no room on the screen"));
    app.message("1", "room", "refused");
    app.notifications().wait("it is refused", crate::rig::SOON, |traffic| match traffic {
        Traffic::Notify(notify) if matches!(notify.answer, Some(Err(_))) => Some(()),
        _ => None,
    });
    fake.on_notify(crate::rig::OnNotify::Answer);
    app.shows(0, "refused");
    assert_eq!(app.pushbell.wait_for_status("shown", |status| status["inbox"]["unshown"] == 0)["unread"], 1);
}
