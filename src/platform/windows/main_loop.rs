//! The main thread on Windows: a message loop, since the tray icon has a hidden window.

use std::{
    io,
    os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle},
    ptr,
    sync::{Arc, OnceLock},
};

use tokio::sync::mpsc::UnboundedSender;
use windows_sys::Win32::{
    Foundation::WAIT_FAILED,
    System::Threading::{CreateEventW, INFINITE, SetEvent},
    UI::WindowsAndMessaging::{
        DispatchMessageW, MSG, MWMO_INPUTAVAILABLE, MsgWaitForMultipleObjectsEx, PM_REMOVE, PeekMessageW, QS_ALLINPUT,
        TranslateMessage,
    },
};

use crate::{
    desktop::DesktopEvent,
    platform::tray::{self, CommandQueue, Tray},
};

pub(crate) use crate::platform::tray::TrayRemote;

/// Width and height of the image: a small icon at a display scale of 200 %.
pub(in crate::platform) const ICON_SIZE: u32 = 32;

/// Whether the count is a title beside the icon; otherwise it is drawn on the icon.
pub(in crate::platform) const COUNT_IS_TITLE: bool = false;

/// Whether there is a tray host is known only by creating the icon.
pub(in crate::platform) const HOST_IS_WATCHED: bool = false;

/// The receiving end of a [`TrayRemote`], for [`run`].
pub(crate) struct TrayCommands {
    queue: Arc<CommandQueue>,
    wake: Arc<OnceLock<WakeEvent>>,
}

/// A remote and its receiving end.
#[must_use]
pub(crate) fn channel() -> (TrayRemote, TrayCommands) {
    let wake = Arc::new(OnceLock::<WakeEvent>::new());
    let remote_wake = Arc::clone(&wake);
    // Before there is an event, the loop has not looked into its queue for the first time.
    let (remote, queue) = tray::channel(move || remote_wake.get().into_iter().for_each(WakeEvent::signal));
    (remote, TrayCommands { queue, wake })
}

/// Shows the tray icon until the last [`TrayRemote`] is dropped and no menu is open. Call it on the main thread. If the
/// icon cannot be created it logs why, and retries with the next view.
pub(crate) fn run(commands: TrayCommands, events: UnboundedSender<DesktopEvent>) {
    let TrayCommands { queue, wake } = commands;
    if let Err(error) = WakeEvent::new().and_then(|new| run_loop(wake.get_or_init(|| new), &queue, events)) {
        tracing::error!("no tray icon: its message loop has failed: {error}");
    }
}

fn run_loop(wake: &WakeEvent, queue: &CommandQueue, events: UnboundedSender<DesktopEvent>) -> io::Result<()> {
    let mut tray = Tray::new(events);
    while tray.apply(queue) {
        wake.wait_for_it_or_a_message()?;
        dispatch_messages();
    }
    Ok(())
}

#[expect(unsafe_code, reason = "calls of the system")]
fn dispatch_messages() {
    let mut message = MSG::default();
    // SAFETY: `message` is written by the first call and read by the others; a null window means any of this thread.
    unsafe {
        while PeekMessageW(&raw mut message, ptr::null_mut(), 0, 0, PM_REMOVE) != 0 {
            TranslateMessage(&raw const message);
            DispatchMessageW(&raw const message);
        }
    }
}

/// Wakes the main thread. A message would be dropped by an open menu.
struct WakeEvent(OwnedHandle);

impl WakeEvent {
    fn new() -> io::Result<Self> {
        #[expect(unsafe_code, reason = "calls of the system")]
        // SAFETY: no pointer is passed, and the handle of a success is new and nobody else's.
        unsafe {
            let event = CreateEventW(ptr::null(), 0, 0, ptr::null());
            if event.is_null() {
                Err(io::Error::last_os_error())
            } else {
                Ok(Self(OwnedHandle::from_raw_handle(event)))
            }
        }
    }

    fn signal(&self) {
        #[expect(unsafe_code, reason = "a call of the system")]
        // SAFETY: the handle is open for as long as its owner lives.
        let rung = unsafe { SetEvent(self.0.as_raw_handle()) };
        if rung == 0 {
            tracing::error!("the tray icon cannot be told anything: {}", io::Error::last_os_error());
        }
    }

    fn wait_for_it_or_a_message(&self) -> io::Result<()> {
        let handle = self.0.as_raw_handle();
        #[expect(unsafe_code, reason = "a call of the system")]
        // SAFETY: one handle is passed, which is open for as long as its owner lives.
        let woken =
            unsafe { MsgWaitForMultipleObjectsEx(1, &raw const handle, INFINITE, QS_ALLINPUT, MWMO_INPUTAVAILABLE) };
        if woken == WAIT_FAILED { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}
