//! Being told to end: by the console, or by its window that closes.

use tokio::signal::windows::{ctrl_break, ctrl_c, ctrl_close, ctrl_logoff, ctrl_shutdown};

/// Waits for Ctrl+C, Ctrl+Break, or the end of the console or the session. Needs a tokio runtime.
pub async fn termination() {
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
