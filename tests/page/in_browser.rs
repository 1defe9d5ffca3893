//! The page in a real browser.

use serde_json::{Value, json};

use crate::{
    browser::{Browser, ESCAPE},
    rig::{
        Desktop, DesktopOptions, Notifier, Notify, Pushbell, SOON, Synapse, pushbell::message, wait_for, wait_until,
    },
};

/// Pushes of a flood, and who sends them.
const FLOOD: usize = 3000;
const SENDERS: usize = 8;

/// Begins to sign in, by a push and nothing else: listening would connect, too.
fn sign_in_to_pushes(browser: &Browser, user: &str, synapse: &Synapse) {
    browser.enter_text("#user", user);
    browser.click("#own-address summary");
    browser.enter_text("#homeserver", &format!("http://127.0.0.1:{}", synapse.port));
    browser.click("#ways summary");
    browser.click("#way-push");
    browser.click("form[action='/setup/begin'] .primary");
}

#[test]
fn a_bare_home_is_connected_and_answers_from_there() {
    let synapse = Synapse::start();
    let (alice, bob) = (synapse.register("alice", "Alice"), synapse.register("bob", "Bob"));
    let room = bob.create_room(&json!({"name": "Kitchen", "invite": [alice.id]}));
    alice.join(&room);
    let desktop = Desktop::start(DesktopOptions { notifier: Some(Notifier::Dunst), ..DesktopOptions::BARE });
    let mut pushbell = Pushbell::prepare(&desktop, "");
    // Where it is told what homeservers push to, nothing is asked about containers, which this computer may have.
    pushbell.configure(&format!("[server]\npublic_url = \"http://127.0.0.1:{}\"\n", pushbell.port));
    pushbell.run();
    let browser = Browser::on(&pushbell, "setup");
    sign_in_to_pushes(&browser, &alice.id, &synapse);
    browser.shows("Password of @alice:hs.test");
    browser.enter_text("#answer", "wrong");
    browser.click("form[action='/setup/answer'] .primary");
    browser.shows("hs.test does not know this user with this password.");
    browser.enter_text("#answer", "secret");
    browser.click("form[action='/setup/answer'] .primary");
    browser.shows("The homeserver now pushes to");
    let page = browser.script("return document.documentElement.outerHTML");
    assert!(!page.as_str().unwrap().contains("\"secret\""), "{page}");
    assert_eq!(alice.pushers().len(), 1);
    let mark = desktop.notifications().len();
    bob.send(&room, "Dinner is ready.");
    browser.shows("You are connected");
    browser.shows("A push arrived at");
    let told = |popup: &Notify| popup.body.contains("Dinner is ready.");
    desktop.notifications().wait_for_notify_since(mark, "it is shown", told);

    browser.click("main a[href='/inbox']");
    browser.shows("Dinner is ready.");
    // By the keyboard: the first notice, and a reply to it, which Bob gets.
    browser.press("j");
    browser.press("r");
    browser.enter_text(".reply textarea", "On my ");
    // What comes meanwhile is listed, and leaves alone what is half-written.
    bob.send(&room, "Still hot.");
    browser.shows("Still hot.");
    let written =
        browser.script("return document.activeElement.matches('.reply textarea') && document.activeElement.value");
    assert_eq!(written, json!("On my "));
    browser.enter_text(".reply textarea:focus", "way");
    browser.click(".reply[open] .primary");
    browser.shows("Your reply is on its way.");
    let is_closed = "return document.querySelector('.reply[open]') === null";
    wait_until("nothing is left to send again", SOON, || browser.script(is_closed) == json!(true));
    wait_until("Bob has the reply, and Alice's other devices know that she has read", SOON, || {
        let path = format!("rooms/{room}/messages?dir=b&limit=5");
        let messages = bob.request(&hyper::Method::GET, &path, &Value::Null);
        let mut events = messages["chunk"].as_array().unwrap().iter();
        events.any(|event| event["content"]["body"] == "On my way")
    });
    wait_until("it is read here", SOON, || !browser.script("return document.title").as_str().unwrap().starts_with('('));
    assert_eq!(browser.errors(), [""; 0]);
    // Set-up says who is signed in, and offers another account.
    browser.click("nav a[href='/setup']");
    browser.click("form[action='/setup/forget'] button");
    browser.shows("How notifications get here: Pushed to this computer.");
    // Another way for the account that is there.
    browser.click("#again-0 summary");
    browser.click("#way-0-listen");
    browser.click("#again-0 .primary");
    browser.enter_text("#answer", "secret");
    browser.click("form[action='/setup/answer'] .primary");
    browser.shows("You are connected");
    wait_until("no pusher is left", SOON, || alice.pushers().is_empty());
    assert_eq!(pushbell.status()["accounts"][0]["way"], json!("listen"));
    browser.click("form[action='/setup/forget'] button");
    browser.shows("How notifications get here: Over a connection");
    browser.click("#out-0 summary");
    browser.click("form[action='/setup/sign-out'] button");
    browser.shows("You are signed out.");
    assert_eq!(pushbell.status()["accounts"], json!([]));
}

#[test]
fn the_line_that_ends_a_block_of_pushes_is_shown_and_helps() {
    let mut synapse = Synapse::start_with(|usual, _| format!("{usual}\nip_range_whitelist: []\n"));
    let (alice, bob) = (synapse.register("alice", "Alice"), synapse.register("bob", "Bob"));
    let room = bob.create_room(&json!({"invite": [alice.id]}));
    alice.join(&room);
    let desktop = Desktop::start(DesktopOptions::BARE);
    let mut pushbell = Pushbell::prepare(&desktop, "");
    pushbell.configure(&format!("[server]\npublic_url = \"http://127.0.0.1:{}\"\n", pushbell.port));
    pushbell.run();
    let browser = Browser::on(&pushbell, "setup");
    sign_in_to_pushes(&browser, &alice.id, &synapse);
    browser.enter_text("#answer", "secret");
    browser.click("form[action='/setup/answer'] .primary");

    let line = "ip_range_whitelist: ['127.0.0.1/32']";
    browser.shows(line);
    let can_be_copied = browser.script(&format!(
        "return [...document.querySelectorAll('#setup .copied')].some((it) => it.querySelector('pre').innerText === {line:?}
            && it.querySelector('button').checkVisibility())"
    ));
    assert_eq!(can_be_copied, json!(true), "{}", browser.text());
    assert!(!browser.text().contains("You are connected"), "{}", browser.text());
    synapse.restart_with(line);
    bob.send(&room, "Dinner is ready.");
    browser.shows("You are connected");
    browser.shows("A push arrived at");
    assert_eq!(browser.errors(), [""; 0]);
}

#[test]
fn the_inbox_is_live_in_all_tabs_until_the_program_has_gone() {
    let desktop = Desktop::start(DesktopOptions::BARE);
    let mut pushbell = Pushbell::start(&desktop, "");
    let account = pushbell.account();
    let browser = Browser::on(&pushbell, "inbox");
    browser.shows("Nothing has come yet.");
    let health = browser.script("return location.origin + '/health'");
    let tab = browser.open_tab(health.as_str().unwrap());
    pushbell.notify(&account, message("1", "Kitchen", "first"));
    browser.shows("first");
    browser.switch_to(&tab);
    wait_until("the other tab knows it, too", SOON, || {
        browser.script("return document.title").as_str().unwrap().starts_with("(1) ")
    });
    browser.shows("A report to copy");
    browser.enter(&pushbell, "inbox");
    for number in 2..=40 {
        let mut notice = message(&number.to_string(), "Kitchen", &format!("text {number}."));
        notice["counts"]["unread"] = json!(number);
        pushbell.notify(&account, notice);
    }
    browser.shows("text 40.");

    // By the keyboard alone: down, up, marked as read, help, and out of the search.
    browser.press("j");
    browser.press("j");
    let focused = || browser.script("return document.activeElement.querySelector('.text')?.innerText ?? ''");
    assert_eq!(focused(), json!("text 39."));
    browser.press("k");
    assert_eq!(focused(), json!("text 40."));
    browser.press("e");
    browser.shows("Marked as read.");
    wait_until("all of the room is read", SOON, || !browser.text().contains("Mark as read"));
    browser.press("?");
    browser.shows("leave the reply or the search");
    browser.enter_text("#q", "text 1");
    browser.press(ESCAPE);
    assert_eq!(browser.script("return document.activeElement === document.body"), json!(true));
    assert_eq!(browser.errors(), [""; 0]);

    // A flood: the page goes on taking keys, and is right in the end.
    browser.script(
        "window.longest = 0; let last = performance.now();
        setInterval(() => { const now = performance.now(); longest = Math.max(longest, now - last); last = now }, 20)",
    );
    let before = browser.script("return document.querySelectorAll('.notice.unread').length").as_u64().unwrap();
    let began = std::time::Instant::now();
    std::thread::scope(|scope| {
        let (pushbell, account) = (&pushbell, &account);
        let senders: Vec<_> = (0..SENDERS)
            .map(|sender| {
                let push = |number: usize| pushbell.notify(account, message(&format!("f{number}"), "Flood", "wave"));
                scope.spawn(move || (sender..FLOOD).step_by(SENDERS).for_each(push))
            })
            .collect();
        while senders.iter().any(|sender| !sender.is_finished()) {
            browser.script("document.activeElement.blur()");
            browser.press("j");
            wait_until("a key moves", SOON, || focused().as_str().is_some_and(|text| !text.is_empty()));
        }
    });
    let rate = 1000 * FLOOD / usize::try_from(began.elapsed().as_millis()).unwrap();
    wait_until("all of it is counted", SOON, || {
        browser.script("return document.title").as_str().unwrap().starts_with(&format!("({}) ", before + FLOOD as u64))
    });
    eprintln!("{rate} pushes a second; the page was busy for {} ms at most", browser.script("return longest"));
    assert_eq!(browser.errors(), [""; 0]);

    // Started again, the program has another port: an open page says so.
    pushbell.restart();
    browser.shows("This page is no longer connected to Pushbell.");
    browser.shows("pushbell open");
    browser.enter(&pushbell, "inbox");
    browser.shows("wave");
}

#[test]
fn pages_fit_narrow_windows_and_large_text_and_name_fields() {
    let desktop = Desktop::start(DesktopOptions::BARE);
    let pushbell = Pushbell::start(&desktop, "");
    let account = pushbell.account();
    let long = "w".repeat(300);
    pushbell.notify(&account, message("1", &long, &long));
    let browser = Browser::start(&pushbell, 500);
    browser.enter(&pushbell, "inbox");
    let origin = browser.script("return location.origin").as_str().unwrap().to_owned();
    for path in ["/inbox", "/inbox?show=rooms", "/setup", "/settings", "/health"] {
        browser.go(&format!("{origin}{path}"));
        if path == "/health" {
            wait_for("it was checked", SOON, || browser.text().contains("A report to copy").then_some(()));
        }
        browser.script("for (const details of document.querySelectorAll('details')) details.open = true");
        for (width, size) in [("360px", "100%"), ("360px", "200%"), ("1280px", "200%")] {
            let sticks_out = browser.script(&format!(
                "document.documentElement.style.fontSize = '{size}';
                document.body.style.width = '{width}';
                const edge = document.body.getBoundingClientRect().right + 1;
                return [...document.querySelectorAll('body *')].filter((it) => it.checkVisibility()
                    && !it.matches('.unseen, .unseen *, .skip, pre *') && it.getBoundingClientRect().right > edge)
                    .map((it) => it.outerHTML.slice(0, 200))"
            ));
            assert_eq!(sticks_out, json!([]), "{path} {width} {size}");
        }
        let nameless = browser.script(
            "return [...document.querySelectorAll('input:not([type=hidden]), select, textarea, button, a')]
                .filter((it) => it.checkVisibility() && !(it.labels?.length || it.innerText.trim() || it.ariaLabel)).map((it) => it.outerHTML)",
        );
        assert_eq!(nameless, json!([]), "{path}");
    }
    assert_eq!(browser.errors(), [""; 0]);
}

#[test]
fn a_saved_setting_stays_in_view() {
    let desktop = Desktop::start(DesktopOptions::BARE);
    let pushbell = Pushbell::start(&desktop, "");
    let browser = Browser::start(&pushbell, 500);
    browser.enter(&pushbell, "settings");
    for (field, entered) in [("#history-keep_days", "7"), ("#tweak", "kitchen.wav")] {
        browser.script(&format!("document.querySelector('{field}').value = ''"));
        browser.enter_text(field, entered);
        browser.click(&format!("form:has({field}) button"));
        wait_until("it says that it is saved", SOON, || {
            let note = format!("return document.querySelector('form:has({field}) .note.done')?.innerText ?? ''");
            browser.script(&note).as_str().is_some_and(|note| note.starts_with("Saved."))
        });
        let in_view = format!(
            "const {{ top, bottom }} = document.querySelector('{field}').getBoundingClientRect();
            return 0 <= top && bottom <= innerHeight"
        );
        assert_eq!(browser.script(&in_view), json!(true), "{field}");
    }
    assert_eq!(browser.errors(), [""; 0]);
}
