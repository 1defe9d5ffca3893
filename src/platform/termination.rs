//! Termination requests of the system, a service manager, another program, the terminal or the console.

/// Waits for SIGTERM, SIGINT or SIGHUP. Needs a tokio runtime.
#[cfg(unix)]
pub(crate) async fn termination() {
    use tokio::signal::unix::{SignalKind, signal};
    let mut signals = Vec::new();
    for kind in [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()] {
        match signal(kind) {
            Ok(signal) => signals.push(signal),
            Err(error) => tracing::warn!("a signal to end will not be noticed: {error}"),
        }
    }
    std::future::poll_fn(|context| {
        if signals.iter_mut().any(|signal| signal.poll_recv(context).is_ready()) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
}

/// Somebody asks a window of ours to close, or the session ends.
#[cfg(windows)]
static ASKED: tokio::sync::Notify = tokio::sync::Notify::const_new();

/// Ends the wait in [`termination`], now or when it begins.
#[cfg(windows)]
pub(super) fn ask() {
    ASKED.notify_one();
}

/// Waits for Ctrl+C, Ctrl+Break, the end of the console or of the session, or a request to close. Needs a tokio
/// runtime.
#[cfg(windows)]
pub(crate) async fn termination() {
    tokio::select! {
        () = ASKED.notified() => {}
        () = console_ends() => {}
    }
}

#[cfg(windows)]
async fn console_ends() {
    use tokio::signal::windows::{ctrl_break, ctrl_c, ctrl_close, ctrl_logoff, ctrl_shutdown};
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
