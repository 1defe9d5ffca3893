//! What the page shows and does, asked without a browser.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::{
    rig::{
        Desktop, DesktopOptions, Notifier, Pushbell, Recording, SOON,
        pushbell::message,
        recording::{Burst, wav},
        wait_for, wait_until,
    },
    visit::Visit,
};

/// Markup, scripts and addresses that run.
const EVIL: &str = "\"'><script>alert(1)</script><img src=x onerror=alert(1)><a href=\"javascript:alert(1)\">x</a>";

#[test]
fn what_strangers_write_is_shown_as_text() {
    let desktop = Desktop::start(DesktopOptions::BARE);
    let pushbell = Pushbell::start(&desktop, "");
    let account = pushbell.account();
    let mut notice = message("1", "r", EVIL);
    notice["sender_display_name"] = json!(EVIL);
    notice["room_name"] = json!(EVIL);
    notice["sender"] = json!(format!("@{EVIL}:hs"));
    notice["room_id"] = json!(format!("!{EVIL}&a=b#c"));
    pushbell.notify(&account, notice);
    let mut links = message("2", "s", "see https://example.org/a?b=1&c=2, javascript:alert(1)");
    links["counts"]["unread"] = json!(2);
    pushbell.notify(&account, links);
    let visit = Visit::begin(&pushbell, "inbox");
    for path in [
        "/inbox",
        "/inbox?show=rooms",
        "/inbox?show=unread",
        "/inbox?q=alert",
        &format!("/inbox?q={}", "%22%3E%3Cscript%3E"),
    ] {
        let page = visit.get(path).body;
        for markup in ["<script>", "<img src=x", "javascript:alert(1)\"", "<a href=\"javascript"] {
            assert!(!page.contains(markup), "{path}: {markup}");
        }
    }
    let inbox = visit.get("/inbox").body;
    assert!(inbox.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "{inbox}");
    let link = "href=\"https://example.org/a?b=1&amp;c=2\" target=\"_blank\" rel=\"noopener noreferrer\"";
    assert!(inbox.contains(link), "{inbox}");
    // The room's own page is found by its address, whatever is in it.
    let rooms = visit.get("/inbox?show=rooms").body;
    let mut addresses = rooms.split("href=\"").filter_map(|part| part.split('"').next());
    let room = addresses.find(|address| address.starts_with("/inbox?account=") && address.contains("script")).unwrap();
    let page = visit.get(&room.replace("&amp;", "&")).body;
    assert!(page.contains("&lt;script&gt;") && !page.contains("example.org"), "{page}");
}

#[test]
fn the_inbox_is_read_searched_and_paged() {
    let desktop = Desktop::start(DesktopOptions::BARE);
    let pushbell = Pushbell::start(&desktop, "");
    let account = pushbell.account();
    for number in 1..=60 {
        let mut notice =
            message(&number.to_string(), if number % 2 == 0 { "even" } else { "odd" }, &format!("text {number}."));
        notice["counts"]["unread"] = json!(number);
        pushbell.notify(&account, notice);
    }
    let visit = Visit::begin(&pushbell, "inbox");
    let notices = |page: &str| page.matches("<article").count();
    let first = visit.get("/inbox").body;
    assert_eq!(notices(&first), 50);
    assert!(first.contains("text 60.") && first.contains("text 11.") && !first.contains("text 10."));
    let older = first.split("href=\"").find(|part| part.contains("before=")).unwrap().split('"').next().unwrap();
    let second = visit.get(&older.replace("&amp;", "&")).body;
    assert_eq!(notices(&second), 10);
    assert!(second.contains("text 10.") && !second.contains("before="));
    let found = visit.get("/inbox?q=TEXT+7.").body;
    assert_eq!(notices(&found), 1 + 5, "{found}");
    assert!(visit.get("/inbox?q=nowhere").body.contains("Nothing was found."));
    let rooms = visit.get("/inbox?show=rooms").body;
    assert_eq!((rooms.matches("class=\"room ").count(), rooms.matches(">30<").count()), (2, 2));

    // One is read, and what came before it in its room.
    let id = first.split("name=\"notice\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let read = visit.post("/inbox/read", &[("notice", &id), ("back", "/inbox?show=unread")]);
    assert!(read.status == 200 && read.body.contains("Marked as read."), "{}", read.body.len());
    assert_eq!(notices(&read.body), 30, "those of the other room");
    let opened = pushbell.opened().len();
    visit.post("/inbox/open", &[("notice", &id), ("back", "https://evil.example/")]);
    wait_until("it is opened", SOON, || pushbell.opened().len() > opened);
    assert!(pushbell.opened()[opened].0.contains("even"), "{:?}", pushbell.opened());
}

#[test]
fn settings_are_checked_and_written_beside_the_persons_comments() {
    let desktop = Desktop::start(DesktopOptions::BARE);
    let mut pushbell = Pushbell::prepare(&desktop, "");
    let mine = format!(
        "# mine\n[server]\nlisten = [\"127.0.0.1:{}\"] # my port\n\n[popup]\npreview = \"always\" # for now\n",
        pushbell.port
    );
    pushbell.write_config(&mine);
    pushbell.run();
    let visit = Visit::begin(&pushbell, "settings");
    let file = || std::fs::read_to_string(pushbell.config_file()).unwrap();
    let set = |section: &str, key: &str, value: &str| {
        visit.post("/settings/set", &[("section", section), ("key", key), ("value", value)])
    };
    let saved = set("popup", "preview", "never");
    assert!(saved.body.contains("Saved. The change is in effect."), "{saved:?}");
    let expected = mine.replace("preview = \"always\" # for now", "preview = \"never\" # for now");
    assert_eq!(file(), expected);
    set("history", "keep_days", "7");
    assert_eq!(file(), format!("{expected}\n[history]\nkeep_days = 7\n"));

    // What the check does not take changes nothing, and is said in its own words, before it is sent, too.
    let (before, refused) = (file(), set("popup", "lines", "99"));
    assert!(refused.body.contains("popup.lines = 99: expected"), "{refused:?}");
    let fields = [("section", "sound"), ("key", "volume"), ("value", "loud")];
    let checked = visit.post("/settings/check", &fields);
    assert!(checked.status == 200 && checked.body.starts_with("sound.volume = \"loud\": expected"), "{checked:?}");
    assert_eq!(visit.post("/settings/check", &[("section", "sound"), ("key", "volume"), ("value", "0.5")]).body, "");
    for (section, key, value) in [
        ("popup", "open", "[\"sh\", \"-c\", \"true\"]"),
        ("sound", "directory", "/etc"),
        ("sound", "tweaks", "x"),
        ("server", "tls", "x"),
        ("popup", "lines", "3\nopen = [\"sh\"]"),
        ("popup", "nothing", "1"),
        ("nothing", "lines", "1"),
    ] {
        let refused = set(section, key, value);
        assert!(refused.body.contains("note failed"), "{section}.{key}: {refused:?}");
    }
    assert_eq!(file(), before);
    assert_eq!(pushbell.ok(&["check-config"]).trim(), format!("{} is good", pushbell.config_file().display()));
}

#[test]
fn sounds_are_heard_dropped_in_and_chosen() {
    let desktop = Desktop::start(DesktopOptions { tray: None, ..DesktopOptions::default() });
    let mut pushbell = Pushbell::prepare(&desktop, "");
    let mine = format!("[server]\nlisten = [\"127.0.0.1:{}\"]\n# mine\n[sound.tweaks]\n", pushbell.port);
    pushbell.write_config(&mine);
    pushbell.run();
    let (account, recording) = (pushbell.account(), Recording::start(&desktop));
    let hears_tone = |mark| {
        // A busy computer may break it up.
        let is_whole = |burst: &&Burst| burst.length > Duration::from_millis(150);
        let start = Instant::now();
        let burst = loop {
            let bursts = recording.bursts_since(mark);
            if let Some(burst) = bursts.iter().find(is_whole) {
                break *burst;
            }
            assert!(start.elapsed() < SOON, "{bursts:?} {}", pushbell.status()["sound"]);
            std::thread::sleep(Duration::from_millis(20));
        };
        assert!((burst.frequency - 440.0).abs() < 10.0, "{burst:?}");
    };
    let visit = Visit::begin(&pushbell, "settings");
    let file = || std::fs::read_to_string(pushbell.config_file()).unwrap();
    let sounds = pushbell.data_directory().join("sounds");

    // What is no sound is not kept, whatever it is called; what is one has a name of the program's own.
    let refused = visit.post_file("/settings/sound", "a.ogg", b"OggS: no sound");
    assert!(refused.body.contains("The sound is not kept: it cannot be decoded"), "{refused:?}");
    let too_large = visit.post_file("/settings/sound", "a.ogg", &vec![0; 2_000_001]);
    assert!(too_large.body.contains("it is larger than 2 MB"), "{too_large:?}");
    assert!(visit.post_file("/settings/sound", "a.ogg", &vec![0; 5_000_000]).status == 413);
    assert_eq!(std::fs::read_dir(&sounds).into_iter().flatten().count(), 0);
    let tone = wav(440.0, 2.0);
    let kept = visit.post_file("/settings/sound", "../My Kitchen.mp3", &tone);
    assert!(kept.body.contains("The sound is kept as “my-kitchen.wav”."), "{kept:?}");
    assert_eq!(std::fs::read(sounds.join("my-kitchen.wav")).unwrap(), tone);

    // Only what is listed is chosen. A message with that name then has it, which a button plays, too.
    let choose = |tweak: &str, sound: &str| {
        visit
            .post("/settings/sound-for", &[("tweak", tweak), ("sound", sound)])
            .body
            .contains("Saved. The change is in effect.")
    };
    assert!(!choose("default", "/etc/passwd") && !choose("a\nb", "bing") && !choose("default", "../x"));
    assert_eq!(file(), mine);
    assert!(choose("default", "my-kitchen.wav"));
    assert_eq!(file(), format!("{mine}default = \"my-kitchen.wav\"\n"));
    let mark = recording.length();
    let mut notice = message("1", "Kitchen", "text");
    notice["devices"] = json!([{"tweaks": {"sound": "default"}}]);
    pushbell.notify(&account, notice);
    hears_tone(mark);
    assert!(choose("default", ""));
    assert_eq!(file(), mine);
    wait_until("it is quiet", SOON, || recording.silence() > Duration::from_millis(500));
    let mark = recording.length();
    visit.post("/settings/play", &[("sound", "my-kitchen.wav")]);
    hears_tone(mark);
}

#[test]
fn health_has_a_button_for_what_the_program_can_do() {
    let desktop = Desktop::start(DesktopOptions { notifier: Some(Notifier::Dunst), ..DesktopOptions::BARE });
    let pushbell = Pushbell::start(&desktop, "");
    pushbell.ok(&["pause"]);
    let visit = Visit::begin(&pushbell, "health");
    let health =
        |what: &str| wait_for(what, SOON, || Some(visit.get("/health").body).filter(|page| page.contains(what)));
    let checked = health("A report to copy");
    for button in ["End the pause", "Show a test popup", "Connect a homeserver"] {
        assert!(checked.contains(button), "{button}: {checked}");
    }
    let does = |what: &str| visit.post("/health/do", &[("do", what)]).body;
    assert!(does("resume").contains("Popups are shown again."));
    assert_eq!(pushbell.status()["paused_until"], json!(null));
    let mark = desktop.notifications().len();
    assert!(does("popup").contains("A test notification is on its way"));
    desktop.notifications().wait_for_notify_since(mark, "the sample", |popup| popup.body.contains("test"));
    assert!(does("reconnect").contains("Setting pushers and connecting again."));
    let opened = pushbell.opened().len();
    does("edit");
    wait_until("the file is opened", SOON, || pushbell.opened().len() > opened);
    wait_until("nothing is paused", SOON, || !visit.get("/health").body.contains("End the pause"));
    // Nothing is known by this name.
    assert!(!does("x").contains("class=\"note") && does("verify").contains("there is no such account"));
}

#[test]
fn a_failed_sign_in_says_why_and_keeps_its_input() {
    let desktop = Desktop::start(DesktopOptions::BARE);
    let pushbell = Pushbell::start(&desktop, "");
    let visit = Visit::begin(&pushbell, "setup");
    let begin = |fields: &[(&str, &str)]| visit.post("/setup/begin", fields).body;
    assert!(begin(&[("user", "@a:b"), ("way", "ntfy")]).contains("Enter the address of the ntfy server."));
    begin(&[("user", "@alice:hs.test"), ("homeserver", "http://127.0.0.1:1"), ("way", "push")]);
    wait_until("it has failed", SOON, || visit.get("/setup").body.contains("No homeserver answers at"));
    visit.post("/setup/forget", &[]);
    let page = visit.get("/setup").body;
    assert!(page.contains("value=\"@alice:hs.test\"") && page.contains("value=\"http://127.0.0.1:1\""), "{page}");
    begin(&[("user", "nobody")]);
    wait_until("it is no user ID", SOON, || visit.get("/setup").body.contains("A user ID looks like"));
    assert_eq!(pushbell.status()["accounts"].as_array().unwrap().len(), 1, "that of the first start");
}
