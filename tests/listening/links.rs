//! What holds the connection fails: nothing is lost, and nothing comes twice.

use std::{fs, process::Command, thread, time::Duration};

use serde_json::json;

use crate::{
    client::Client,
    rig::{
        SOON, Synapse, http,
        process::{PATH, Part, TempDir},
        synapse::User,
        wait_until,
    },
    scene::{BLOCKED, Scene, without_pushes},
};

#[test]
fn nothing_is_lost_when_the_server_is_killed_and_started_again() {
    let mut synapse = Synapse::start_with(|usual, _| without_pushes(&usual));
    let scene = Scene::listening_at(&synapse);
    let mut events = vec![scene.bob.send(&scene.room, "Before.")];
    synapse.kill();
    scene.account("it is told", |account| {
        account["way_now"].as_str().is_some_and(|says| says.starts_with("listening is tried again"))
    });
    synapse.start_again();
    let mark = scene.mark();
    events.push(scene.bob.send(&scene.room, "After."));
    scene.popup(mark, "After.");
    scene.wait_until_it_listens();
    let mark = scene.mark();
    events.push(scene.bob.send(&scene.room, "And later."));
    scene.popup(mark, "And later.");
    scene.knows_once(&events);
}

#[test]
fn nothing_is_lost_when_the_app_is_killed_at_any_time() {
    let mut scene = Scene::listening();
    let mut events = Vec::new();
    // Over the first quarter of a second after a message, in which an answer is taken over.
    for round in 0..8 {
        let before: Vec<_> = (0..3).map(|number| scene.bob.send(&scene.room, &format!("{round} {number}"))).collect();
        events.extend(before);
        thread::sleep(Duration::from_millis(30 * round));
        scene.pushbell.kill9();
        events.push(scene.bob.send(&scene.room, &format!("{round}, while it does not run")));
        scene.pushbell.run();
        if round % 2 == 0 {
            scene.wait_until_it_listens();
        }
    }
    scene.knows_once(&events);
}

#[test]
fn an_encrypted_mention_that_came_while_it_did_not_run_is_shown_once_where_mentions_alone_notify() {
    let mut scene = Scene::listening();
    let bob = Client::new(&BLOCKED, &scene.bob);
    let encryption =
        json!({"type": "m.room.encryption", "state_key": "", "content": {"algorithm": "m.megolm.v1.aes-sha2"}});
    let few = bob.user.create_room(&json!({
        "name": "Few", "invite": [scene.alice.id], "preset": "trusted_private_chat", "initial_state": [encryption],
    }));
    scene.alice.join(&few);
    scene.alice.set_push_rule("room", &few, &json!({"actions": []}));
    let mention = |alice: &User, text: &str| {
        let content = json!({"msgtype": "m.text", "body": text, "m.mentions": {"user_ids": [alice.id]}});
        bob.send_encrypted(&few, alice, "m.room.message", &content)
    };
    // The sync that is held may still be by the rules before.
    let mark = scene.mark();
    scene.bob.send(&scene.room, "Dinner is ready.");
    scene.popup(mark, "Dinner is ready.");
    let mark = scene.mark();
    let before = mention(&scene.alice, "Alice, look!");
    scene.popup(mark, "Alice, look!");
    scene.pushbell.kill9();
    let missed = mention(&scene.alice, "Alice, come!");
    let mark = scene.mark();
    scene.pushbell.run();
    scene.popup(mark, "Alice, come!");
    scene.wait_until_it_listens();
    scene.knows_once(&[before, missed]);
}

/// nginx before the homeserver, with a plain `proxy_pass`.
pub(crate) struct Nginx {
    process: Part,
    pub(crate) port: u16,
    _directory: TempDir,
}

impl Nginx {
    /// With these directives of the location and of the server besides.
    pub(crate) fn start(location: &str, server: &str) -> Self {
        let (directory, port) = (TempDir::new(), http::free_port());
        let path = |name: &str| directory.path().join(name).display().to_string();
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let temporary = temporary.map(|name| format!("{name}_temp_path {};\n", path(name))).concat();
        let conf = format!(
            "error_log stderr;\npid {};\nevents {{}}\nhttp {{\naccess_log off;\n{temporary}server {{\n\
             listen 127.0.0.1:{port};\n{server}\nlocation / {{\nproxy_pass http://127.0.0.1:{};\n{location}\n}}\n}}\n}}\n",
            path("nginx.pid"),
            BLOCKED.port
        );
        fs::write(path("nginx.conf"), conf).unwrap();
        let mut command = Command::new("nginx");
        command.args(["-c", &path("nginx.conf"), "-p", &path(""), "-g", "daemon off;"]);
        let process = Part::start("nginx", command, &[("PATH".to_owned(), PATH.to_owned())], directory.path());
        wait_until("nginx answers", SOON, || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        Self { process, port, _directory: directory }
    }
}

#[test]
fn what_a_homeserver_counts_and_does_not_list_comes_all_the_same() {
    for answer in ["404", "200 '{\"notifications\": []}'"] {
        let list = format!("location /_matrix/client/v3/notifications {{\nreturn {answer};\n}}");
        let nginx = Nginx::start("", &list);
        let scene = Scene::listening_behind(&BLOCKED, nginx.port);
        let mark = scene.mark();
        let message = scene.bob.send(&scene.room, "Dinner is ready.");
        scene.popup(mark, "Dinner is ready.");
        let mention = format!("{}: come!", &scene.alice.id[1..].split(':').next().unwrap());
        let mark = scene.mark();
        let mention = scene.bob.send(&scene.room, &mention);
        scene.popup(mark, "come!");
        scene.knows_once(&[message, mention]);
    }
}

#[test]
fn a_proxy_that_cuts_is_no_failure() {
    // As long as what is taken for a cut, so that nobody has to wait for the minute that is nginx's default.
    let nginx = Nginx::start("proxy_read_timeout 26s;", "");
    let scene = Scene::listening_behind(&BLOCKED, nginx.port);
    let cut = || nginx.process.output().matches("upstream timed out").count();
    wait_until("it was cut", 2 * SOON, || cut() > 0);
    let event = scene.bob.send(&scene.room, "After the cut.");
    scene.knows_once(&[event]);
    scene.wait_until_it_listens();
    assert!(!scene.pushbell.log().contains("nothing is listened to now"), "{}", scene.pushbell.log());
}
