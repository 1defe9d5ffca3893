//! A real headless browser: Debian's Chromium, controlled by its driver (the `WebDriver` protocol).

use std::process::Command;

use hyper::Method;
use serde_json::{Value, json};

use crate::{
    rig::{
        Pushbell, SOON, http,
        process::{Part, TempDir},
        wait_for, wait_until,
    },
    visit::Address,
};

/// A browser window.
pub(crate) struct Browser {
    session: String,
    port: u16,
    // Dropped before the directory.
    _driver: Part,
    directory: TempDir,
}

/// The Escape key in the protocol.
pub(crate) const ESCAPE: &str = "\u{e00c}";

impl Browser {
    /// Starts it with a window of this width.
    #[track_caller]
    pub(crate) fn start(pushbell: &Pushbell, width: u32) -> Self {
        let (directory, port) = (TempDir::new(), http::free_port());
        let mut command = Command::new("chromedriver");
        command.arg(format!("--port={port}"));
        let driver = Part::start("chromedriver", command, pushbell.env(), directory.path());
        wait_until("the driver answers", SOON, || {
            http::request(port, &Method::GET, "/status", None, "").is_ok_and(|answer| answer.status == 200)
        });
        let mut browser = Self { session: String::new(), port, _driver: driver, directory };
        let profile = browser.directory.path().join("profile").display().to_string();
        // Root has no sandbox; small containers have no room in /dev/shm.
        let arguments = json!([
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            format!("--user-data-dir={profile}"),
            format!("--window-size={width},900"),
        ]);
        let wanted = json!({"browserName": "chrome", "goog:chromeOptions": {"args": arguments}});
        let session = browser.ask(&Method::POST, "/session", &json!({"capabilities": {"alwaysMatch": wanted}}));
        browser.session = format!("/session/{}", session["sessionId"].as_str().expect("there is a session"));
        browser
    }

    /// Starts it and opens the page.
    #[track_caller]
    pub(crate) fn on(pushbell: &Pushbell, section: &str) -> Self {
        let browser = Self::start(pushbell, 1280);
        browser.enter(pushbell, section);
        browser
    }

    /// Opens the page at a new one-time URL.
    #[track_caller]
    pub(crate) fn enter(&self, pushbell: &Pushbell, section: &str) {
        self.go(&Address::of(pushbell, section).url());
        assert_eq!(self.script("return location.pathname"), json!(format!("/{section}")), "{}", self.text());
    }

    #[track_caller]
    fn ask(&self, method: &Method, path: &str, body: &Value) -> Value {
        let body = if *method == Method::GET { String::new() } else { body.to_string() };
        let answer =
            http::request(self.port, method, path, None, body).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.json()["value"].clone()
    }

    #[track_caller]
    fn tell(&self, path: &str, body: &Value) -> Value {
        self.ask(&Method::POST, &format!("{}{path}", self.session), body)
    }

    #[track_caller]
    pub(crate) fn go(&self, url: &str) {
        self.tell("/url", &json!({ "url": url }));
    }

    /// The result of a script.
    #[track_caller]
    pub(crate) fn script(&self, script: &str) -> Value {
        self.tell("/execute/sync", &json!({"script": script, "args": []}))
    }

    /// The page's visible text.
    #[track_caller]
    pub(crate) fn text(&self) -> String {
        self.script("return document.body.innerText").as_str().unwrap_or_default().to_owned()
    }

    #[track_caller]
    pub(crate) fn shows(&self, what: &str) {
        let start = std::time::Instant::now();
        while !self.text().contains(what) {
            assert!(start.elapsed() < SOON, "{what:?} is not shown: {}", self.text());
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }

    /// The visible element of this selector.
    #[track_caller]
    fn element(&self, selector: &str) -> String {
        wait_for(selector, SOON, || {
            let found = self.script(&format!(
                "const found = [...document.querySelectorAll({selector:?})].find((it) => it.checkVisibility());
                return found ?? null"
            ));
            found.as_object()?.values().next()?.as_str().map(ToOwned::to_owned)
        })
    }

    #[track_caller]
    pub(crate) fn click(&self, selector: &str) {
        // An element that the page's script has just replaced is stale.
        wait_until(selector, SOON, || {
            let element = self.element(selector);
            let path = format!("{}/element/{element}/click", self.session);
            http::request(self.port, &Method::POST, &path, None, "{}").is_ok_and(|answer| answer.status == 200)
        });
    }

    #[track_caller]
    pub(crate) fn enter_text(&self, selector: &str, text: &str) {
        let element = self.element(selector);
        self.tell(&format!("/element/{element}/value"), &json!({ "text": text }));
    }

    /// Presses a key, wherever the focus is.
    #[track_caller]
    pub(crate) fn press(&self, key: &str) {
        let actions = json!([{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]);
        self.tell("/actions", &json!({"actions": [{"type": "key", "id": "keyboard", "actions": actions}]}));
    }

    /// Opens this address in another tab, and returns to the current one.
    #[track_caller]
    pub(crate) fn open_tab(&self, url: &str) -> String {
        let tab = self.tell("/window/new", &json!({"type": "tab"}))["handle"].as_str().unwrap().to_owned();
        let this = self.ask(&Method::GET, &format!("{}/window", self.session), &Value::Null);
        self.switch_to(&tab);
        self.go(url);
        self.switch_to(this.as_str().unwrap());
        tab
    }

    #[track_caller]
    pub(crate) fn switch_to(&self, tab: &str) {
        self.tell("/window", &json!({ "handle": tab }));
    }

    /// Script errors and blocked resources.
    #[track_caller]
    pub(crate) fn errors(&self) -> Vec<String> {
        let log = self.tell("/se/log", &json!({"type": "browser"}));
        let entries = log.as_array().expect("it is a list").iter();
        entries.filter_map(|entry| entry["message"].as_str().map(ToOwned::to_owned)).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        // Ends the browser, which is not our child process.
        drop(http::request(self.port, &Method::DELETE, &self.session, None, ""));
    }
}
