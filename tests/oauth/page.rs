//! Signing in with a browser from Pushbell's page: the tab that started the sign-in continues by itself.

use serde_json::json;

use crate::{
    browser::Browser,
    rig::{Desktop, DesktopOptions, Pushbell, SOON, bus::block_on, wait_for},
    server::{AccountServer, Plan},
    sso, synapse,
    visit::Visit,
};

#[test]
fn signing_in_without_a_password_works_in_the_browser() {
    let (_server, synapse) = synapse::start(Plan::default());
    let desktop = Desktop::start(DesktopOptions::BARE);
    let mut pushbell = Pushbell::prepare(&desktop, "");
    pushbell.configure(&format!("[server]\npublic_url = \"http://127.0.0.1:{}\"\n", pushbell.port));
    pushbell.run();
    let visit = Visit::begin(&pushbell, "setup");
    let homeserver = format!("http://127.0.0.1:{}", synapse.port);
    visit.post("/setup/begin", &[("user", "@alice:hs.test"), ("homeserver", &homeserver), ("way", "listen")]);
    let link = |page: &str| {
        Some(page.split_once("<a class=\"button primary\" href=\"")?.1.split('"').next()?.replace("&amp;", "&"))
    };
    let address = wait_for("the address is shown", SOON, || link(&visit.get("/setup").body));
    assert!(address.contains("redirect_uri"), "{address}");
    let back = block_on(Browser::new().visit(&address));
    assert_eq!(back.heading(), "You are signed in", "{back:?}");
    wait_for("it is connected", SOON, || visit.get("/setup").body.contains("You are connected").then_some(()));
}

#[test]
fn single_sign_on_goes_on_in_the_tab_that_began_it() {
    let server = AccountServer::start(Plan::default());
    let synapse = sso::synapse(&server);
    let bob = synapse.register("bob", "Bob");
    let desktop = Desktop::start(DesktopOptions::BARE);
    let mut pushbell = Pushbell::prepare(&desktop, "");
    // With the push address configured, there is no question about containers, which this computer may have.
    pushbell.configure(&format!("[server]\npublic_url = \"http://127.0.0.1:{}\"\n", pushbell.port));
    pushbell.run();
    let visit = Visit::begin(&pushbell, "setup");
    let homeserver = format!("http://127.0.0.1:{}", synapse.port);
    visit.post("/setup/begin", &[("user", "@alice:hs.test"), ("homeserver", &homeserver)]);
    let value = |page: &str, before: &str| Some(page.split_once(before)?.1.split('"').next()?.replace("&amp;", "&"));
    let shown = |before: &str| wait_for(before, SOON, || value(&visit.get("/setup").body, before));

    let question = shown("name=\"question\" value=\"");
    assert!(visit.get("/setup").body.contains("Sign in with a password (else in the browser)?"));
    visit.post("/setup/answer", &[("question", &question), ("answer", "no")]);
    let address = shown("<a class=\"button primary\" href=\"");
    assert!(address.starts_with(&homeserver), "{address}");
    let back = block_on(Browser::new().visit(&address));
    assert_eq!(back.heading(), "You are signed in", "{back:?}");
    wait_for("the pusher is set", SOON, || {
        visit.get("/setup").body.contains("The homeserver now pushes to").then_some(())
    });
    bob.create_room(&json!({"name": "Kitchen", "invite": ["@alice:hs.test"]}));
    wait_for("it has come", SOON, || visit.get("/setup").body.contains("You are connected").then_some(()));

    // Cancelled by the user, a sign-in leaves nothing behind for the next one.
    visit.post("/setup/forget", &[]);
    visit.post("/setup/begin", &[("user", "@bob:hs.test"), ("homeserver", &homeserver)]);
    shown("name=\"question\" value=\"");
    visit.post("/setup/cancel", &[]);
    wait_for("it has ended", SOON, || visit.get("/setup").body.contains("You have ended it").then_some(()));
    assert_eq!(pushbell.status()["accounts"].as_array().unwrap().len(), 1);
    // Without the browser's redirect.
    visit.post("/setup/forget", &[]);
    let made = visit.post("/setup/by-hand", &[("name", "work")]).body;
    let account = pushbell.account_named("work");
    assert!(made.contains("The account is created") && made.contains(&account.pushkey), "{made}");
    assert!(visit.post("/setup/by-hand", &[("name", "no good")]).body.contains("note failed"));
}
