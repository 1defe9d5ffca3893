//! What other threads say to the tray icon on the main thread.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::desktop::tray_view::TrayView;

/// Tells the tray icon what to show, from any thread and without waiting. When the last clone is gone, the main
/// thread's loop ends.
#[derive(Clone)]
pub struct TrayRemote {
    mailbox: Arc<Mailbox>,
    _last: Arc<QuitOnDrop>,
}

/// A remote, and the mailbox that it writes to. `wake` is called after each letter, from any thread: it makes the main
/// thread look into the mailbox.
pub(in crate::platform) fn channel(wake: impl Fn() + Send + Sync + 'static) -> (TrayRemote, Arc<Mailbox>) {
    let mailbox = Arc::new(Mailbox { letters: Mutex::default(), wake: Box::new(wake) });
    let last = Arc::new(QuitOnDrop(Arc::clone(&mailbox)));
    (TrayRemote { mailbox: Arc::clone(&mailbox), _last: last }, mailbox)
}

impl TrayRemote {
    /// Shows this; a view that was not shown yet is dropped.
    pub fn set(&self, view: TrayView) {
        self.mailbox.write(|letters| letters.view = Some(view));
    }

    /// Makes the icon anew.
    pub fn recreate(&self) {
        self.mailbox.write(|letters| letters.recreate = true);
    }

    /// Takes the icon down and ends the main thread's loop.
    pub fn quit(&self) {
        self.mailbox.write(|letters| letters.quit = true);
    }
}

/// What the remotes have said and the icon has not yet heard.
pub(in crate::platform) struct Mailbox {
    letters: Mutex<Letters>,
    wake: Box<dyn Fn() + Send + Sync>,
}

/// What was said since it was last asked.
#[derive(Default)]
pub(in crate::platform) struct Letters {
    /// The newest view.
    pub(super) view: Option<TrayView>,
    /// Make the icon anew.
    pub(super) recreate: bool,
    /// It is over.
    pub(super) quit: bool,
}

impl Mailbox {
    /// Takes out what has arrived.
    pub(super) fn take(&self) -> Letters {
        std::mem::take(&mut *self.lock())
    }

    fn write(&self, write: impl FnOnce(&mut Letters)) {
        write(&mut self.lock());
        (self.wake)();
    }

    fn lock(&self) -> MutexGuard<'_, Letters> {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct QuitOnDrop(Arc<Mailbox>);

impl Drop for QuitOnDrop {
    fn drop(&mut self) {
        self.0.write(|letters| letters.quit = true);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::{config::TrayStyle, desktop::tray_view::Badge};

    fn view(unread: u64) -> TrayView {
        TrayView {
            badge: Badge { unread, missed_calls: 0 },
            paused: false,
            style: TrayStyle::Color,
            dark_panel: None,
            tooltip: String::new(),
            menu: Vec::new(),
        }
    }

    #[test]
    fn only_the_newest_view_is_taken_and_only_once() {
        let (remote, mailbox) = channel(|| {});
        remote.set(view(1));
        remote.set(view(2));
        remote.recreate();
        let letters = mailbox.take();
        assert_eq!((letters.view, letters.recreate, letters.quit), (Some(view(2)), true, false));
        let letters = mailbox.take();
        assert_eq!((letters.view, letters.recreate, letters.quit), (None, false, false));
    }

    #[test]
    fn quitting_and_the_last_remote_that_goes_end_the_loop_and_each_letter_wakes_it() {
        let (woken, wakes) = mpsc::channel();
        let (remote, mailbox) = channel(move || woken.send(()).unwrap());
        let other = remote.clone();
        remote.set(view(1));
        drop(remote);
        assert_eq!((mailbox.take().quit, wakes.try_iter().count()), (false, 1));
        other.quit();
        assert_eq!((mailbox.take().quit, wakes.try_iter().count()), (true, 1));
        drop(other);
        assert_eq!((mailbox.take().quit, wakes.try_iter().count()), (true, 1));
    }
}
