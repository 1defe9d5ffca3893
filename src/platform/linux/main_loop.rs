//! The main thread on Linux: it only waits, for the tray icon lives on D-Bus and needs no event loop.
//!
//! Nothing of the D-Bus side has a deadline: a session bus or tray host that hangs keeps whoever talks to it. So the
//! icon has a thread of its own.

use std::{
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use tokio::sync::mpsc::UnboundedSender;

use crate::{
    desktop::DesktopEvent,
    platform::tray::{self, CommandQueue, Tray, TrayWords},
};

pub(crate) use crate::platform::tray::TrayRemote;

/// Width and height of the picture, the only one that is sent: the host scales it to its own size.
///
/// Chosen by screenshots of xfce4-panel and lxqt-panel with icons of 22 and 24 pixels. 48 looks as good as a picture
/// of the right size, since it is a whole multiple of 16, 24 and 48, and stays sharp at 22. From 32 and from 24 digits
/// blur at other sizes, and xfce4-panel does not enlarge a picture that is too small.
pub(in crate::platform) const ICON_SIZE: u32 = 48;

/// Hosts show the tooltip.
pub(in crate::platform) const ICON_WORDS: TrayWords = TrayWords::Tooltip;

/// By the session, on the bus.
pub(in crate::platform) const HOST_IS_WATCHED: bool = true;

/// Minimum interval between two updates. waybar 0.9 reads all properties 10 ms after a signal, and misses a signal that
/// comes while it reads.
const UPDATE_INTERVAL: Duration = Duration::from_millis(100);

/// How long the icon may take to leave.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

/// The receiving end of a [`TrayRemote`], for [`run`].
pub(crate) struct TrayCommands {
    queue: Arc<CommandQueue>,
    wakes: mpsc::Receiver<()>,
}

/// A remote and what it commands.
#[must_use]
pub(crate) fn channel() -> (TrayRemote, TrayCommands) {
    let (wake, wakes) = mpsc::sync_channel(1);
    // A pending wake suffices.
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
        // The icon's thread may hang; it handles the pending wake later.
        let _ = hand_over.try_send(());
    }
    let _ = hand_over.try_send(());
    if wait_finished.recv_timeout(SHUTDOWN_TIMEOUT) == Err(mpsc::RecvTimeoutError::Timeout) {
        tracing::warn!("left without taking the tray icon down: the session bus does not answer");
    }
}
