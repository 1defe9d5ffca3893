//! The main thread on Linux: it only waits, for the tray icon lives on D-Bus and needs no event loop.
//!
//! Nothing of the D-Bus side has a deadline: a session bus or tray host that hangs keeps whoever talks to it. So
//! the icon has a thread of its own, which learns through a mailbox that holds only the newest view.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc},
    thread,
    time::Duration,
};

use tokio::sync::mpsc::UnboundedSender;

use crate::desktop::{DesktopEvent, tray_view::TrayView};
use crate::platform::tray::{Tray, TrayError, TrayWords};

/// Width and height of the picture, the only one that `tray-icon` sends: the host scales it to its own size.
///
/// Chosen by screenshots of xfce4-panel and lxqt-panel with icons of 22 and 24 pixels. 48 looks as good as a picture
/// of the right size, since it is a whole multiple of 16, 24 and 48, and stays sharp at 22. From 32 and from 24 digits
/// blur at other sizes, and xfce4-panel does not enlarge a picture that is too small.
pub const ICON_SIZE: u32 = 48;

/// `Title` of a `StatusNotifierItem` is its accessible name, and becomes the heading of its `ToolTip`.
pub const ICON_WORDS: TrayWords = TrayWords::Title;

/// How long the icon may take to leave.
const GOODBYE: Duration = Duration::from_secs(2);

/// Tells the tray icon what to show, from any thread and without waiting. When the last clone is gone, [`run`] ends.
#[derive(Clone)]
pub struct TrayRemote {
    mailbox: Arc<Mailbox>,
    _last: Arc<QuitOnDrop>,
}

/// The receiving end of a [`TrayRemote`], for [`run`].
pub struct TrayCommands(Arc<Mailbox>);

/// A remote and what it commands.
#[must_use]
pub fn channel() -> (TrayRemote, TrayCommands) {
    let mailbox = Arc::new(Mailbox::default());
    let last = Arc::new(QuitOnDrop(Arc::clone(&mailbox)));
    (TrayRemote { mailbox: Arc::clone(&mailbox), _last: last }, TrayCommands(mailbox))
}

impl TrayRemote {
    /// Shows this; a view that was not shown yet is dropped.
    pub fn set(&self, view: TrayView) {
        self.mailbox.change(|letters| {
            letters.view = Some(view);
            letters.changed = true;
        });
    }

    /// Makes the icon anew: its connection does not come back by itself when the session bus was restarted.
    pub fn recreate(&self) {
        self.mailbox.change(|letters| letters.recreate = true);
    }

    /// Takes the icon down and ends [`run`].
    pub fn quit(&self) {
        self.mailbox.change(|letters| letters.quit = true);
    }
}

/// Shows the tray icon until [`TrayRemote::quit`], and returns at most two seconds after it. Call it on the main thread.
///
/// Without a session bus or tray host it logs why, and tries again at [`TrayRemote::recreate`].
pub fn run(commands: TrayCommands, events: UnboundedSender<DesktopEvent>) {
    let TrayCommands(mailbox) = commands;
    let (finished, wait_finished) = mpsc::channel::<()>();
    let icon = thread::Builder::new().name("tray".to_owned()).spawn({
        let mailbox = Arc::clone(&mailbox);
        move || {
            serve(&mailbox, events);
            drop(finished);
        }
    });
    if let Err(error) = icon {
        tracing::error!("no tray icon: its thread could not be started: {error}");
    }
    mailbox.wait_for_quit();
    if wait_finished.recv_timeout(GOODBYE) == Err(mpsc::RecvTimeoutError::Timeout) {
        tracing::warn!("left without taking the tray icon down: the session bus does not answer");
    }
}

fn serve(mailbox: &Mailbox, events: UnboundedSender<DesktopEvent>) {
    let mut tray = Tray::new(events);
    // Each attempt to make the icon is a connection: one, then another only when that has a chance.
    let mut given_up = false;
    let mut reported = false;
    while let Some((view, recreate)) = mailbox.next() {
        if recreate {
            tray.take_down();
        } else if given_up {
            continue;
        }
        let outcome = tray.show(view);
        given_up = !tray.is_up();
        match outcome {
            Ok(()) => reported = false,
            Err(error) if reported => tracing::debug!("tray icon: {error}"),
            Err(error) => {
                report(&error);
                reported = true;
            }
        }
    }
}

fn report(error: &TrayError) {
    match error {
        // Said already, by whoever watches for the tray host.
        TrayError::Icon(error) => tracing::debug!("no tray icon: {error}; tried again when the session bus is back"),
        TrayError::Picture(_) | TrayError::Menu(_) => tracing::warn!("no tray icon: {error}; everything else goes on"),
    }
}

/// What the remotes have said and the icon has not yet heard.
#[derive(Default)]
struct Mailbox {
    letters: Mutex<Letters>,
    arrived: Condvar,
}

#[derive(Default)]
struct Letters {
    /// The newest view.
    view: Option<TrayView>,
    /// It was not taken yet.
    changed: bool,
    recreate: bool,
    quit: bool,
}

impl Letters {
    fn is_idle(&self) -> bool {
        !self.quit && (self.view.is_none() || !(self.changed || self.recreate))
    }
}

impl Mailbox {
    fn change(&self, write: impl FnOnce(&mut Letters)) {
        write(&mut self.lock());
        self.arrived.notify_all();
    }

    /// Waits for something to show: the newest view, and whether to make the icon anew. `None`: the end.
    fn next(&self) -> Option<(TrayView, bool)> {
        let idle = |letters: &mut Letters| letters.is_idle();
        let mut letters = self.arrived.wait_while(self.lock(), idle).unwrap_or_else(PoisonError::into_inner);
        if letters.quit {
            return None;
        }
        letters.changed = false;
        let recreate = std::mem::take(&mut letters.recreate);
        letters.view.clone().map(|view| (view, recreate))
    }

    fn wait_for_quit(&self) {
        drop(self.arrived.wait_while(self.lock(), |letters| !letters.quit));
    }

    fn lock(&self) -> MutexGuard<'_, Letters> {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct QuitOnDrop(Arc<Mailbox>);

impl Drop for QuitOnDrop {
    fn drop(&mut self) {
        self.0.change(|letters| letters.quit = true);
    }
}

#[cfg(test)]
mod tests;
