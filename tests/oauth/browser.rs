//! A stub browser, as a program.

use std::{fs, process::Stdio};

use serde_json::Value;
use tokio::process::Command;

use crate::rig::{process::TempDir, pushbell::executable};

/// The page that the browser shows last.
#[derive(Debug, Clone)]
pub(crate) struct FinalPage {
    /// 0: the connection failed.
    pub(crate) status: u64,
    pub(crate) address: String,
    pub(crate) body: String,
    pub(crate) headers: Value,
}

impl FinalPage {
    pub(crate) fn from_json(page: &Value) -> Self {
        let text = |key: &str| page[key].as_str().unwrap_or_default().to_owned();
        Self {
            status: page["status"].as_u64().expect("a page has a status"),
            address: text("address"),
            body: text("body"),
            headers: page["headers"].clone(),
        }
    }

    /// The heading of one of our pages.
    pub(crate) fn heading(&self) -> &str {
        let heading = self.body.split_once("<h1>").and_then(|(_, rest)| rest.split_once("</h1>"));
        heading.map_or("", |(heading, _)| heading)
    }
}

/// A directory that contains the stub under the name by which desktops find browsers.
pub(crate) struct Browser(TempDir);

impl Browser {
    pub(crate) fn new() -> Self {
        let directory = TempDir::new();
        let program = directory.path().join("xdg-open");
        fs::write(&program, include_str!("browser.py")).expect("the temporary directory is writable");
        executable(&program);
        Self(directory)
    }

    /// Opens an address, follows redirects, and returns the final page.
    pub(crate) async fn visit(&self, address: &str) -> FinalPage {
        let mut command = Command::new("python3");
        command.arg(self.0.path().join("xdg-open")).arg(address).stdin(Stdio::null());
        let output = command.output().await.expect("python3 starts. `make test` installs what the tests need");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        FinalPage::from_json(&serde_json::from_slice(&output.stdout).expect("it prints JSON"))
    }
}
