//! Being told to end: by the console, or by its window that closes.

use tokio::signal::windows::{ctrl_break, ctrl_c, ctrl_close, ctrl_logoff, ctrl_shutdown};

/// Waits for Ctrl+C, Ctrl+Break, or the end of the console or the session. Needs a tokio runtime.
pub async fn termination() {
    match (ctrl_c(), ctrl_break(), ctrl_close(), ctrl_logoff(), ctrl_shutdown()) {
        (Ok(mut interrupt), Ok(mut pause), Ok(mut close), Ok(mut logoff), Ok(mut shutdown)) => {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = pause.recv() => {}
                _ = close.recv() => {}
                _ = logoff.recv() => {}
                _ = shutdown.recv() => {}
            }
        }
        _ => {
            tracing::warn!("a signal to end will not be noticed");
            std::future::pending().await
        }
    }
}
