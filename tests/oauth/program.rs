//! `pushbell login` with a browser: one that works, none, and one that fails to start.

use std::{fs, path::PathBuf};

use hyper::Method;
use pushbell::homeserver::HomeserverClient;
use rustix::process::Signal;
use serde_json::Value;

use crate::{
    browser::{Browser, FinalPage},
    homeserver,
    rig::{
        Desktop, DesktopOptions, Pushbell, SOON, Synapse,
        bus::block_on,
        http,
        pushbell::{Output, executable},
        wait_for, wait_until,
    },
    server::{AccountServer, Granted, Plan},
    sso, synapse,
};

const NOTHING_CAME: i32 = 3;

/// Alice's desktop, and a homeserver.
pub(crate) struct Scene {
    pub(crate) server: AccountServer,
    synapse: Synapse,
    pub(crate) pushbell: Pushbell,
    _desktop: Desktop,
}

impl Scene {
    pub(crate) fn new((server, synapse): (AccountServer, Synapse)) -> Self {
        let desktop = Desktop::start(DesktopOptions::BARE);
        let pushbell = Pushbell::prepare(&desktop, "");
        let scene = Self { server, synapse, pushbell, _desktop: desktop };
        scene.set_browser(include_str!("browser.py"));
        scene
    }

    /// Makes this script the program that opens addresses.
    fn set_browser(&self, script: &str) {
        let directory = self.pushbell.home().parent().expect("homes are in a directory").join("bin");
        // The fallback must not open this computer's own browser.
        for (program, script) in [("xdg-open", script), ("gio", "#!/bin/sh\nexit 3\n")] {
            fs::write(directory.join(program), script).unwrap();
            executable(&directory.join(program));
        }
    }

    pub(crate) fn record(&self) -> PathBuf {
        self.pushbell.home().join("browser.json")
    }

    fn arguments(&self) -> Vec<String> {
        let homeserver = format!("http://127.0.0.1:{}", self.synapse.port);
        let words =
            ["--log-level", "trace", "login", "@alice:hs.test", "--push", "--homeserver", &homeserver, "--wait", "1"];
        words.map(str::to_owned).to_vec()
    }

    pub(crate) fn login(&self) -> Output {
        let arguments = self.arguments();
        self.pushbell.command(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// The same without waiting for the end.
    fn launch(&mut self) {
        let arguments = self.arguments();
        self.pushbell.launch(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    }

    /// Logs in with a browser elsewhere, in which the person opens the address that is shown. Returns the output.
    fn login_by_the_address_shown(&mut self) -> String {
        self.launch();
        wait_until("the address is shown", SOON, || self.pushbell.app().stdout().contains("ssh -L "));
        let output = self.pushbell.app().stdout();
        let address = output.lines().find_map(|line| line.strip_prefix("    ")).expect("an address on its own line");
        assert_eq!(block_on(Browser::new().visit(address)).heading(), "You are signed in");
        assert_eq!(self.pushbell.app().wait(SOON).code(), Some(NOTHING_CAME), "{}", self.pushbell.app().output());
        self.pushbell.app().stdout()
    }

    /// The address that the browser opened, and the final page.
    fn seen(&self) -> (String, FinalPage) {
        let text = wait_for("the browser has ended", SOON, || fs::read_to_string(self.record()).ok());
        fs::remove_file(self.record()).unwrap();
        let page: Value = serde_json::from_str(&text).unwrap();
        (page["argument"].as_str().unwrap().to_owned(), FinalPage::from_json(&page))
    }

    /// The session granted last.
    fn granted(&self) -> Granted {
        self.server.world().sessions.last().cloned().expect("somebody has signed in")
    }

    fn client(&self, token: &str) -> HomeserverClient {
        homeserver(self.synapse.port).with_token(token)
    }
}

#[test]
fn an_account_signs_in_by_oauth_and_out_again() {
    let mut scene = Scene::new(synapse::start(Plan::default()));
    scene.pushbell.set_env("BROWSER_RECORD", &scene.record().display().to_string());

    let login = scene.login();
    let (address, shown) = scene.seen();
    assert_eq!((login.code, shown.heading()), (NOTHING_CAME, "You are signed in"), "{login:#?}");
    assert!(login.stdout.contains(&format!("\n    {address}\n")), "{login:#?}");
    let first = scene.granted();
    let client = scene.client(&first.access_token);
    assert_eq!(block_on(client.pushers()).unwrap().len(), 1);
    let name: serde_json::Value = block_on(client.get("/_matrix/client/v3/devices")).unwrap();
    assert!(name["devices"][0]["display_name"].as_str().unwrap().contains(" on "), "{name}");
    let code = shown.address.split_once("code=").expect("the browser came back with a code").1;
    for secret in [&*first.access_token, &*first.refresh_token, code] {
        let told = format!("{}{}{address}", login.stdout, login.stderr);
        assert!(!told.contains(secret), "{secret} is in {told}");
    }

    // Again on a desktop whose browser does not start. This login ends the previous session.
    scene.set_browser("#!/bin/sh\nexit 3\n");
    scene.server.world().plan.access_life = 1;
    let output = scene.login_by_the_address_shown();
    assert!(output.contains("No browser could be opened."), "{output}");
    let second = scene.granted();
    assert!(second.device_id() != first.device_id() && scene.server.world().sessions[0].over, "{output}");
    let kept = fs::read_to_string(scene.pushbell.data_directory().join("secrets.json")).unwrap();
    assert!(kept.contains(second.device_id()) && !kept.contains(first.device_id()), "what it was before is kept");

    // The access token has expired by now: logout refreshes it first.
    let logout = scene.pushbell.command(&["logout", "@alice:hs.test"]);
    assert_eq!(logout.code, 0, "{logout:#?}");
    let last = scene.granted();
    assert!(last.over && last.access_token != second.access_token, "{logout:#?}");
}

#[test]
fn without_a_desktop_the_redirect_can_be_forwarded() {
    let mut scene = Scene::new(synapse::start(Plan::default()));
    scene.pushbell.set_env("SSH_CONNECTION", "192.0.2.1 50000 192.0.2.2 22");
    let output = scene.login_by_the_address_shown();
    assert!(!output.contains("browser opens"), "{output}");
    assert_eq!(scene.server.world().sessions.len(), 1);
}

#[test]
fn an_account_signs_in_by_single_sign_on_and_out_again() {
    let server = AccountServer::start(Plan { oauth: false, ..Plan::default() });
    let synapse = sso::synapse(&server);
    let mut scene = Scene::new((server, synapse));
    scene.pushbell.set_env("BROWSER_RECORD", &scene.record().display().to_string());
    let login = scene.login();
    let (address, shown) = scene.seen();
    assert_eq!((login.code, shown.heading()), (NOTHING_CAME, "You are signed in"), "{login:#?}");
    assert!(address.starts_with(&format!("http://127.0.0.1:{}/_matrix/client/v3/login/sso/", scene.synapse.port)));
    let (_, token) = shown.address.split_once("loginToken=").expect("the browser came back with a token");
    assert!(!format!("{login:?}").contains(token), "{login:#?}");
    let logout = scene.pushbell.command(&["logout", "@alice:hs.test"]);
    assert_eq!(logout.code, 0, "{logout:#?}");
}

#[test]
fn ctrl_c_ends_the_wait_for_the_browser() {
    let mut scene = Scene::new(synapse::start(Plan::default()));
    scene.set_browser("#!/bin/sh\nexit 0\n");
    scene.launch();
    wait_until("the address is shown", SOON, || scene.pushbell.app().stdout().contains("redirect_uri"));
    let output = scene.pushbell.app().stdout();
    let (_, port) = output.split_once("127%2E0%2E0%2E1%3A").expect("the way back is in the address");
    let port: u16 = port.split('%').next().unwrap().parse().unwrap();
    assert_eq!(http::request(port, &Method::GET, "/", None, "").unwrap().status, 404);
    scene.pushbell.app().signal(Signal::INT);
    scene.pushbell.app().wait(SOON);
    assert!(http::request(port, &Method::GET, "/", None, "").is_err());
    assert!(!scene.pushbell.data_directory().join("accounts.toml").exists());
    assert!(scene.server.world().sessions.is_empty());
}
