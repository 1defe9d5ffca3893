//! Being told to end: by the console, by its window that closes, by the end of the session, by another program.

use tokio::{
    signal::windows::{ctrl_break, ctrl_c, ctrl_close, ctrl_logoff, ctrl_shutdown},
    sync::Notify,
};

/// Somebody asks a window of ours to close, or the session ends.
static ASKED: Notify = Notify::const_new();

/// Ends the wait in [`termination`], now or when it begins.
pub(super) fn ask() {
    ASKED.notify_one();
}

/// Waits for Ctrl+C, Ctrl+Break, the end of the console or of the session, or a request to close. Needs a tokio runtime.
pub async fn termination() {
    tokio::select! {
        () = ASKED.notified() => {}
        () = console_ends() => {}
    }
}

async fn console_ends() {
    let signals = (ctrl_c(), ctrl_break(), ctrl_close(), ctrl_logoff(), ctrl_shutdown());
    let (Ok(mut interrupt), Ok(mut pause), Ok(mut close), Ok(mut logoff), Ok(mut shutdown)) = signals else {
        tracing::warn!("the console's signals to end will not be noticed");
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = pause.recv() => {}
        _ = close.recv() => {}
        _ = logoff.recv() => {}
        _ = shutdown.recv() => {}
    }
}
