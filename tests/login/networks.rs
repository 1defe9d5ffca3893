//! Homeservers on other computers: the desktop is in a network namespace of its own, and the homeserver outside.

use std::process::Command;

use pushbell::app_info;

use crate::{
    rig::{
        Cable, SOON, Synapse, Terminal,
        process::{Part, TempDir},
        wait_until,
    },
    scene::Scene,
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_pushbell");

/// The homeserver's and the desktop's ends.
struct CableEnds(Cable);

impl CableEnds {
    fn plug_in() -> Option<Self> {
        Cable::plug_in().map(Self)
    }

    fn scene(&self) -> (Synapse, Scene) {
        let synapse = Synapse::start_with(|configuration, _| {
            let ends = format!("[127.0.0.1, {}.1, {}.1]", self.0.private, self.0.public);
            configuration
                .replace("bind_addresses: [127.0.0.1]", &format!("bind_addresses: {ends}"))
                .replace("['127.0.0.0/8', '::1/128']", "['10.0.0.0/8']")
        });
        let scene = Scene::on(&synapse);
        (synapse, scene)
    }

    fn login(&self, scene: &Scene, homeserver: &str) -> Terminal {
        let inside = self.0.inside();
        let arguments: Vec<&str> = inside[1..]
            .iter()
            .map(String::as_str)
            .chain([PROGRAM, "login", &scene.alice.id, "--push", "--homeserver", homeserver])
            .collect();
        Terminal::run(&inside[0], &arguments, scene.pushbell.env())
    }
}

/// Forwards connections inside the cable's namespace to the homeserver outside, as a container engine's proxy does.
const RELAY: &str = "
import asyncio, sys
listen, host, port = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
async def copy(source, sink):
    while data := await source.read(65536):
        sink.write(data)
        await sink.drain()
    sink.close()
async def relay(reader, writer):
    there, back = await asyncio.open_connection(host, port)
    await asyncio.gather(copy(reader, back), copy(there, writer), return_exceptions=True)
async def main():
    server = await asyncio.start_server(relay, '127.0.0.1', listen)
    print('ready', flush=True)
    await server.serve_forever()
asyncio.run(main())
";

#[test]
fn a_homeserver_in_a_container_is_asked_for_and_reaches_us() {
    let Some(cable) = CableEnds::plug_in() else { return };
    let (synapse, scene) = cable.scene();
    let bridge = "ip link add docker0 type veth peer name docker1 && ip address add 172.17.0.1/16 dev docker0 && \
                  ip link set docker0 up && ip link set docker1 up";
    let inside = cable.0.inside();
    let output = Command::new(&inside[0]).args(&inside[1..]).args(["sh", "-c", bridge]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let mut command = Command::new(&inside[0]);
    let listen = crate::rig::http::free_port();
    command.args(&inside[1..]).args(["/usr/bin/python3", "-c", RELAY, &listen.to_string()]);
    command.args([&format!("{}.1", cable.0.private), &synapse.port.to_string()]);
    let env = [("PATH".to_owned(), crate::rig::process::PATH.to_owned())];
    let logs = TempDir::new();
    let relay = Part::start("relay", command, &env, logs.path());
    wait_until("the relay is there", SOON, || relay.stdout().contains("ready"));

    let homeserver = format!("http://127.0.0.1:{listen}");
    let port = scene.pushbell.port;
    let question = "Does it run in a container? Then they are written. [y/N] ";
    let mut terminal = cable.login(&scene, &homeserver);
    terminal.expect(question);
    terminal.type_line("");
    terminal.expect("Password of ");
    drop(terminal);
    assert!(!std::fs::read_to_string(scene.pushbell.config_file()).unwrap().contains("172.17.0.1"));

    let mut terminal = cable.login(&scene, &homeserver);
    let lines = format!(
        "listen = [\"127.0.0.1:{port}\", \"172.17.0.1:{port}\"]\n  public_url = \"http://172.17.0.1:{port}\"\n"
    );
    terminal.expect(&lines);
    terminal.expect(question);
    terminal.type_line("y");
    terminal.expect("Written.\nAnd this in the configuration of Synapse");
    terminal.expect("  ip_range_whitelist: ['172.17.0.1/32']\n");
    terminal.expect("Password of ");
    terminal.type_line("secret");
    terminal.expect(&format!("now pushes to http://172.17.0.1:{port} "));
    terminal.expect("ip_range_whitelist: ['172.17.0.1/32']");
    terminal.type_line("");
    assert_eq!(terminal.wait(SOON), Some(3), "{}", terminal.screen());
    let url = format!("http://172.17.0.1:{port}/_matrix/push/v1/notify");
    assert_eq!(scene.alice.pushers()[0]["data"]["url"], url);
}

#[test]
fn on_the_same_network_the_configuration_is_written_if_allowed() {
    let Some(cable) = CableEnds::plug_in() else { return };
    let (synapse, scene) = cable.scene();
    let homeserver = format!("http://{}.1:{}", cable.0.private, synapse.port);
    let ours = format!("{}.2:{}", cable.0.private, scene.pushbell.port);
    let before = std::fs::read_to_string(scene.pushbell.config_file()).unwrap();

    let mut terminal = cable.login(&scene, &homeserver);
    terminal.expect(&format!("public_url = \"http://{ours}\""));
    terminal.expect("Write them? [Y/n] ");
    terminal.type_line("n");
    assert_eq!(terminal.wait(SOON), Some(1), "{}", terminal.screen());
    assert_eq!(std::fs::read_to_string(scene.pushbell.config_file()).unwrap(), before);

    let mut terminal = cable.login(&scene, &homeserver);
    terminal.expect("Write them? [Y/n] ");
    terminal.type_line("");
    terminal.expect("Password of ");
    terminal.type_line("secret");
    terminal.expect("press Enter to skip.");
    scene.bob.send(&scene.room, "Dinner is ready.");
    terminal.expect("A push arrived at ");
    terminal.expect("Start Pushbell with the desktop? [Y/n] ");
    terminal.type_line("n");
    assert_eq!(terminal.wait(SOON), Some(0), "{}", terminal.screen());
    let written = std::fs::read_to_string(scene.pushbell.config_file()).unwrap();
    let listen = format!("listen = [\"127.0.0.1:{}\", \"{ours}\"]", scene.pushbell.port);
    assert!(written.contains(&listen) && written.contains(&format!("public_url = \"http://{ours}\"")), "{written}");
    assert_eq!(scene.alice.pushers()[0]["data"]["url"], format!("http://{ours}/_matrix/push/v1/notify"));
}

#[test]
fn elsewhere_no_pusher_is_set_unless_told_to() {
    let Some(cable) = CableEnds::plug_in() else { return };
    let (synapse, scene) = cable.scene();
    let homeserver = format!("http://{}.1:{}", cable.0.public, synapse.port);
    let inside = cable.0.inside();
    let inside: Vec<&str> = inside.iter().map(String::as_str).collect();
    let password = scene.file("password");
    let login = |options: &[&str]| {
        let fixed = ["login", &scene.alice.id, "--push", "--homeserver", &homeserver, "--password-file", &password];
        scene.pushbell.command_under(&inside, &[&fixed, options].concat())
    };

    let refused = login(&[]);
    assert_eq!((refused.code, refused.stderr.as_str()), (1, ""), "{refused:#?}");
    let words = ["cannot reach this computer", "public_url = \"https://push.example.org\"", "docs/connect.md"];
    assert!(words.iter().all(|word| refused.stdout.contains(word)), "{refused:#?}");
    assert_eq!((scene.alice.pushers().len(), scene.devices().len()), (0, 0));

    scene.pushbell.configure("[server]\npublic_url = \"https://push.example.org\"");
    let unencrypted = login(&[]);
    assert!(unencrypted.code == 1 && unencrypted.stderr.contains("is not encrypted"), "{unencrypted:#?}");
    assert_eq!((scene.alice.pushers().len(), scene.devices().len()), (0, 0));
    scene.pushbell.configure("");

    let anyway = login(&["--anyway", "--wait", "0"]);
    assert!(anyway.code == 3 && !anyway.stdout.contains("Waiting"), "{anyway:#?}");
    assert_eq!(scene.alice.pushers()[0]["app_id"], app_info::APP_ID);

    let port = scene.pushbell.port;
    scene.pushbell.configure(&format!("[server]\nlisten = [\"[::]:{port}\"]"));
    let nowhere = login(&["--anyway", "--wait", "0"]);
    assert!(nowhere.code == 1 && nowhere.stderr.contains("set server.public_url in "), "{nowhere:#?}");
    scene.pushbell.configure(&format!("[server]\nlisten = [\"0.0.0.0:{port}\"]"));
    assert_eq!(login(&["--anyway", "--wait", "0"]).code, 3);
    let url = format!("http://{}.2:{port}/_matrix/push/v1/notify", cable.0.public);
    assert_eq!(scene.alice.pushers()[0]["data"]["url"], url);
}
