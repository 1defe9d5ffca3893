//! The network path of the sync connection fails: nothing is lost, and nothing is shown twice.

use std::{fs, net::TcpStream, process::Command};

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
    let mut scene = Scene::listening_at(&synapse);
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
    wait_until("there is one connection", SOON, || scene.pushbell.connections_to(synapse.port) == 1);
}

#[test]
fn a_mention_while_stopped_is_shown_once_where_only_they_notify() {
    let mut scene = Scene::listening();
    let bob = Client::new(&BLOCKED, &scene.bob);
    let few = scene.encrypted_room();
    scene.alice.set_push_rule("room", &few, &json!({"actions": []}));
    let mention = |alice: &User, text: &str| {
        let content = json!({"msgtype": "m.text", "body": text, "m.mentions": {"user_ids": [alice.id]}});
        bob.send_encrypted(&few, alice, "m.room.message", &content)
    };
    // The pending sync may still use the previous rules.
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
    pub(crate) process: Part,
    pub(crate) port: u16,
    _directory: TempDir,
}

impl Nginx {
    /// Starts it with these additional directives in its `server` block.
    pub(crate) fn start(server: &str) -> Self {
        Self::at("127.0.0.1", "", server)
    }

    /// The same at this address, with these options of `listen`.
    pub(crate) fn at(address: &str, how: &str, server: &str) -> Self {
        let (directory, port) = (TempDir::new(), http::free_port());
        let path = |name: &str| directory.path().join(name).display().to_string();
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let temporary = temporary.map(|name| format!("{name}_temp_path {};\n", path(name))).concat();
        let conf = format!(
            "error_log stderr;\npid {};\nevents {{}}\nhttp {{\naccess_log off;\n{temporary}server {{\n\
             listen {address}:{port} {how};\n{server}\nlocation / {{\nproxy_pass http://127.0.0.1:{};\n}}\n}}\n}}\n",
            path("nginx.pid"),
            BLOCKED.port
        );
        fs::write(path("nginx.conf"), conf).unwrap();
        let mut command = Command::new("nginx");
        command.args(["-c", &path("nginx.conf"), "-p", &path(""), "-g", "daemon off;"]);
        let process = Part::start("nginx", command, &[("PATH".to_owned(), PATH.to_owned())], directory.path());
        wait_until("nginx answers", SOON, || TcpStream::connect((address, port)).is_ok());
        Self { process, port, _directory: directory }
    }
}

#[test]
fn what_a_homeserver_counts_but_does_not_list_is_shown() {
    for answer in ["404", "200 '{\"notifications\": []}'"] {
        let list = format!("location /_matrix/client/v3/notifications {{\nreturn {answer};\n}}");
        let nginx = Nginx::start(&list);
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
