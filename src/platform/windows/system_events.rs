//! Events of Windows: waking from sleep, a set clock, the screen lock, the colour scheme, the end of the session.
//!
//! Only top-level windows receive them. A hidden window on a thread of its own does, since the tray icon's may be
//! missing.

mod window;

use std::{
    io, ptr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use tokio::sync::mpsc::{UnboundedSender, WeakUnboundedSender};
use windows_registry::CURRENT_USER;
use windows_sys::Win32::{
    Foundation::{LPARAM, LRESULT},
    System::RemoteDesktop::{
        WTS_CURRENT_SESSION, WTS_SESSIONSTATE_LOCK, WTS_SESSIONSTATE_UNLOCK, WTSFreeMemory, WTSINFOEXW,
        WTSQuerySessionInformationW, WTSSessionInfoEx,
    },
    UI::WindowsAndMessaging::{
        PBT_APMRESUMEAUTOMATIC, WM_CLOSE, WM_ENDSESSION, WM_POWERBROADCAST, WM_QUERYENDSESSION, WM_SETTINGCHANGE,
        WM_TIMECHANGE, WM_WTSSESSION_CHANGE, WTS_SESSION_LOCK, WTS_SESSION_UNLOCK,
    },
};

use crate::{
    desktop::DesktopEvent,
    platform::{portable::interruptions, termination},
};

/// The name of a colour change in a `WM_SETTINGCHANGE`.
const COLORS: &str = "ImmersiveColorSet";

/// How long the end of the session is delayed for the program to end. Windows waits five seconds at most.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(4);

/// Reports what happens as [`DesktopEvent`]s, until it is dropped.
#[derive(Debug)]
pub(in crate::platform) struct SystemEvents {
    wanted: Arc<Wanted>,
    events: UnboundedSender<DesktopEvent>,
}

/// Which reports are wanted.
#[derive(Debug, Default)]
struct Wanted {
    screen_lock: AtomicBool,
    color_scheme: AtomicBool,
}

impl SystemEvents {
    /// Starts the thread, which lives as long as the program.
    pub(in crate::platform) fn watch(events: UnboundedSender<DesktopEvent>) -> Self {
        let wanted = Arc::<Wanted>::default();
        let listener = Listener { wanted: Arc::clone(&wanted), events: events.downgrade() };
        let listen = || {
            if let Err(error) = window::listen(listener) {
                tracing::warn!("sleep, the screen lock and the end of the session will not be noticed: {error}");
            }
        };
        if let Err(error) = thread::Builder::new().name("system events".to_owned()).spawn(listen) {
            tracing::warn!("sleep, the screen lock and the end of the session will not be noticed: {error}");
        }
        Self { wanted, events }
    }

    /// Reports [`DesktopEvent::ScreenLock`] from now on, or no longer.
    pub(in crate::platform) fn screen_lock(&self, wanted: bool) {
        self.wanted.screen_lock.store(wanted, Ordering::SeqCst);
        if wanted {
            let _ = self.events.send(DesktopEvent::ScreenLock(is_locked()));
        }
    }

    /// Reports [`DesktopEvent::ColorScheme`] from now on, or no longer.
    pub(in crate::platform) fn color_scheme(&self, wanted: bool) {
        self.wanted.color_scheme.store(wanted, Ordering::SeqCst);
        if wanted {
            let _ = self.events.send(DesktopEvent::ColorScheme(is_taskbar_dark()));
        }
    }
}

/// Turns window messages into events.
struct Listener {
    wanted: Arc<Wanted>,
    events: WeakUnboundedSender<DesktopEvent>,
}

impl Listener {
    fn send(&self, event: DesktopEvent) {
        if let Some(events) = self.events.upgrade() {
            let _ = events.send(event);
        }
    }

    fn report_lock(&self, locked: bool) {
        if self.wanted.screen_lock.load(Ordering::SeqCst) {
            self.send(DesktopEvent::ScreenLock(Some(locked)));
        }
    }

    /// The answer to a message; `None`: what Windows would answer.
    fn answer(&self, message: u32, detail: usize, extra: LPARAM) -> Option<LRESULT> {
        match (message, u32::try_from(detail)) {
            (WM_POWERBROADCAST, Ok(PBT_APMRESUMEAUTOMATIC)) => {
                interruptions::clock_jumped();
                self.send(DesktopEvent::Resumed);
            }
            (WM_TIMECHANGE, _) => interruptions::clock_jumped(),
            (WM_WTSSESSION_CHANGE, Ok(WTS_SESSION_LOCK)) => self.report_lock(true),
            (WM_WTSSESSION_CHANGE, Ok(WTS_SESSION_UNLOCK)) => self.report_lock(false),
            (WM_SETTINGCHANGE, _) if window::text(extra) == COLORS => {
                if self.wanted.color_scheme.load(Ordering::SeqCst) {
                    self.send(DesktopEvent::ColorScheme(is_taskbar_dark()));
                }
            }
            (WM_CLOSE, _) => termination::ask(),
            (WM_QUERYENDSESSION, _) => return Some(1),
            (WM_ENDSESSION, Ok(1..)) => {
                termination::ask();
                // With the answer the process ends. It ends sooner when it is done.
                thread::sleep(SHUTDOWN_TIMEOUT);
            }
            _ => return None,
        }
        Some(0)
    }
}

/// Whether the session's screen is locked; `None` where Windows does not say.
fn is_locked() -> Option<bool> {
    let (mut information, mut size) = (ptr::null_mut(), 0);
    #[expect(unsafe_code, reason = "calls of the system")]
    #[expect(clippy::cast_ptr_alignment, reason = "the type of the pointer is a stand-in for what was asked for")]
    // SAFETY: a success stores a pointer to so many bytes, aligned for what was asked for, that are ours to free.
    let flags = unsafe {
        let session = WTS_CURRENT_SESSION;
        let server = ptr::null_mut();
        if WTSQuerySessionInformationW(server, session, WTSSessionInfoEx, &raw mut information, &raw mut size) == 0 {
            tracing::debug!("Windows does not say whether the screen is locked: {}", io::Error::last_os_error());
            return None;
        }
        let found = information.cast::<WTSINFOEXW>();
        let whole = usize::try_from(size).is_ok_and(|size| size >= size_of::<WTSINFOEXW>()) && (*found).Level == 1;
        let flags = whole.then(|| (*found).Data.WTSInfoExLevel1.SessionFlags.cast_unsigned());
        WTSFreeMemory(information.cast());
        flags
    };
    match flags {
        Some(WTS_SESSIONSTATE_LOCK) => Some(true),
        Some(WTS_SESSIONSTATE_UNLOCK) => Some(false),
        Some(_) | None => None,
    }
}

/// Whether the task bar is dark; `None` where Windows does not say.
fn is_taskbar_dark() -> Option<bool> {
    let themes = r"Software\Microsoft\Windows\CurrentVersion\Themes\Personalize";
    let light = CURRENT_USER.open(themes).and_then(|key| key.get_u32("SystemUsesLightTheme"));
    light.ok().map(|light| light == 0)
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    fn listener(wanted: bool, events: &UnboundedSender<DesktopEvent>) -> Listener {
        let wanted = Wanted { screen_lock: wanted.into(), color_scheme: wanted.into() };
        Listener { wanted: Arc::new(wanted), events: events.downgrade() }
    }

    #[test]
    fn what_windows_tells_becomes_an_event_if_it_is_wanted() {
        let check = |message, detail: u32, wanted, expected: Option<DesktopEvent>| {
            let (events, mut heard) = mpsc::unbounded_channel();
            listener(wanted, &events).answer(message, detail as usize, 0);
            assert_eq!(heard.try_recv().ok(), expected, "{message} {detail}");
        };
        check(WM_POWERBROADCAST, PBT_APMRESUMEAUTOMATIC, false, Some(DesktopEvent::Resumed));
        check(WM_POWERBROADCAST, 4, true, None);
        check(WM_WTSSESSION_CHANGE, WTS_SESSION_LOCK, true, Some(DesktopEvent::ScreenLock(Some(true))));
        check(WM_WTSSESSION_CHANGE, WTS_SESSION_UNLOCK, true, Some(DesktopEvent::ScreenLock(Some(false))));
        check(WM_WTSSESSION_CHANGE, WTS_SESSION_LOCK, false, None);
        check(WM_SETTINGCHANGE, 0, true, None);
    }

    #[test]
    fn other_messages_are_left_to_windows() {
        let (events, _heard) = mpsc::unbounded_channel();
        let listener = listener(true, &events);
        assert_eq!(listener.answer(0, 0, 0), None);
        assert_eq!(listener.answer(WM_QUERYENDSESSION, 0, 0), Some(1));
        assert_eq!(listener.answer(WM_ENDSESSION, 0, 0), None);
    }

    #[tokio::test]
    async fn what_becomes_wanted_is_reported_at_once() {
        let (events, mut heard) = mpsc::unbounded_channel();
        let system_events = SystemEvents::watch(events);
        system_events.screen_lock(true);
        assert!(matches!(heard.recv().await, Some(DesktopEvent::ScreenLock(_))));
        system_events.screen_lock(false);
        system_events.color_scheme(true);
        while !matches!(heard.recv().await, Some(DesktopEvent::ColorScheme(_))) {}
        drop(system_events);
        while heard.recv().await.is_some() {}
    }
}
