//! A real homeserver pushes over HTTPS to a certificate of the authority that `docs/connect.md` creates.

use std::fs;

use serde_json::json;

use crate::{
    authority::{Authority, write_pair},
    recipes::{adapt, blocks},
    rig::{
        SOON, Synapse,
        process::{PATH, TempDir, run},
        wait_until,
    },
    secure::start,
};

#[test]
fn a_homeserver_that_trusts_the_authority_pushes_over_https() {
    let directory = TempDir::new();
    let path = directory.path().display().to_string();
    let env = [("PATH".to_owned(), PATH.to_owned())];
    let recipe = adapt(blocks("TLS", "sh")[0], &[("192.168.1.20", "127.0.0.1")]);
    run("sh", &["-euc", &format!("cd {path}\n{recipe}")], &env);
    let made = ["fullchain.pem", "privkey.pem"]
        .map(|name| fs::read_to_string(directory.path().join(name)).expect("it was made"));

    // At first the certificate is of an unknown authority.
    write_pair(directory.path(), &Authority::new().certify("127.0.0.1"));
    // Any of the listeners will do: the test's port is substituted.
    let tls = blocks("TLS", "toml")[1].lines().find(|line| line.starts_with("tls = ")).expect("it names the files");
    let app = start(&format!("[server]\n{}", adapt(tls, &[("/home/me/pushbell-tls", &path)])));
    let synapse = Synapse::start_with_env(&[("SSL_CERT_FILE", &format!("{path}/ca.pem"))]);
    let (alice, bob) = (synapse.register("alice", "Alice"), synapse.register("bob", "Bob"));
    let url = format!("https://127.0.0.1:{}{}", app.pushbell.port, crate::rig::pushbell::PATH);
    alice.set_pusher(&url, &app.account.app_id, &app.account.pushkey, &json!({}));
    let room = bob.create_room(&json!({"name": "Mission Control", "invite": [alice.id], "preset": "private_chat"}));
    wait_until("the log says that it is not trusted", SOON, || app.pushbell.log().contains("does not trust"));
    assert!(app.pushbell.status()["accounts"][0]["last_push"].is_null());

    // Now the certificate is of the authority that the homeserver trusts, which retries by itself.
    for (name, text) in ["fullchain.pem", "privkey.pem"].iter().zip(&made) {
        fs::write(directory.path().join(name), text).expect("it is writable");
    }
    wait_until("the invite arrives", SOON * 2, || !app.pushbell.history().is_empty());
    alice.join(&room);
    bob.send(&room, "I'm floating in a most peculiar way.");
    app.notifications().wait_for_notify("the message is shown", |popup| popup.body.contains("most peculiar"));
    assert_eq!(alice.pushers().len(), 1, "the homeserver still pushes");
}
