//! Being told to end: by the system, by a service manager, by the person's terminal.

use tokio::signal::unix::{SignalKind, signal};

/// Waits for SIGTERM, SIGINT or SIGHUP. Needs a tokio runtime.
pub async fn termination() {
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
