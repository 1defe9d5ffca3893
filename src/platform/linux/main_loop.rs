//! The main thread on Linux: it only waits, since a tray icon on D-Bus needs no event loop.
//!
//! Calls of the icon's library have no deadline and block while the session bus or tray host hangs, so the icon has a
//! thread of its own.

use std::{
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use tokio::sync::mpsc::UnboundedSender;

use crate::{
    desktop::DesktopEvent,
    platform::tray::{self, CommandQueue, Tray},
};

pub(crate) use crate::platform::tray::TrayRemote;

/// Width and height of the image, which the host scales to its own size.
///
/// Chosen by screenshots of xfce4-panel and lxqt-panel with icons of 22 and 24 pixels: 48 is a multiple of 16 and 24,
/// and stays sharp at 22. Digits of 24 and 32 pixels blur at other sizes, and xfce4-panel does not enlarge small
/// images.
pub(in crate::platform) const ICON_SIZE: u32 = 48;

/// Whether the count is a title beside the icon; otherwise it is drawn on the icon.
pub(in crate::platform) const COUNT_IS_TITLE: bool = false;

/// The session watches it on the bus.
pub(in crate::platform) const HOST_IS_WATCHED: bool = true;

/// Minimum interval between updates: waybar 0.9 reads all properties 10 ms after a signal, and misses signals
/// meanwhile.
const UPDATE_INTERVAL: Duration = Duration::from_millis(100);

/// Deadline for removing the icon.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

/// The receiving end of a [`TrayRemote`], for [`run`].
pub(crate) struct TrayCommands {
    queue: Arc<CommandQueue>,
    wakes: mpsc::Receiver<()>,
}

/// A remote and its receiving end.
#[must_use]
pub(crate) fn channel() -> (TrayRemote, TrayCommands) {
    let (wake, wakes) = mpsc::sync_channel(1);
    // One pending wake is enough.
    let (remote, queue) = tray::channel(move || {
        let _ = wake.try_send(());
    });
    (remote, TrayCommands { queue, wakes })
}

/// Shows the tray icon until the last [`TrayRemote`] is dropped, and returns at most two seconds later. Call it on the
/// main thread.
///
/// Without a session bus or tray host it logs why, and tries again at [`TrayRemote::recreate`].
pub(crate) fn run(commands: TrayCommands, events: UnboundedSender<DesktopEvent>) {
    let TrayCommands { queue, wakes } = commands;
    let (hand_over, handed_over) = mpsc::sync_channel(1);
    let (finished, wait_finished) = mpsc::channel::<()>();
    let icon = thread::Builder::new().name("tray".to_owned()).spawn({
        let queue = Arc::clone(&queue);
        move || {
            let mut tray = Tray::new(events);
            while tray.apply(&queue) {
                thread::sleep(UPDATE_INTERVAL);
                if handed_over.recv().is_err() {
                    break;
                }
            }
            drop((tray, finished));
        }
    });
    if let Err(error) = icon {
        tracing::error!("no tray icon: its thread could not be started: {error}");
    }
    while !queue.is_over() && wakes.recv().is_ok() {
        // If the icon's thread hangs, it handles the pending wake later.
        let _ = hand_over.try_send(());
    }
    let _ = hand_over.try_send(());
    if wait_finished.recv_timeout(SHUTDOWN_TIMEOUT) == Err(mpsc::RecvTimeoutError::Timeout) {
        tracing::warn!("left without taking the tray icon down: the session bus does not answer");
    }
}
