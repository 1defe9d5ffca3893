//! What only the running user manager knows.

use std::{
    process::{ExitStatus, Stdio},
    time::Duration,
};

use tokio::{process::Command, runtime::Builder, time::timeout};

/// How long the user manager may take to answer.
const DEADLINE: Duration = Duration::from_secs(3);

/// Whether a user manager runs whose `graphical-session.target` is active: then the desktop tells systemd when it
/// begins and ends.
pub(super) fn session_target_is_active() -> bool {
    run(&["is-active", "--quiet", "graphical-session.target"]).is_some_and(|status| status.success())
}

/// Has the user manager, if one runs, take up changed files.
pub(super) fn reload() {
    if !run(&["daemon-reload"]).is_some_and(|status| status.success()) {
        tracing::debug!("no user manager has taken up the changed units: it does at the next login");
    }
}

/// `None` where there is no systemctl, or no answer in time.
fn run(arguments: &[&str]) -> Option<ExitStatus> {
    let runtime = Builder::new_current_thread().enable_all().build().ok()?;
    runtime.block_on(async {
        let mut command = Command::new("systemctl");
        command.arg("--user").args(arguments).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        timeout(DEADLINE, command.status()).await.ok()?.ok()
    })
}
