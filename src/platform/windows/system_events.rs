//! What Windows tells of itself: waking from sleep, a clock that was set, the screen lock, the colours, the end of the session.
//!
//! It tells windows, and only those at the top level: a hidden one listens, on a thread of its own, for the tray icon's
//! may not be there.

mod window;

use std::{
    io, ptr,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use tokio::sync::mpsc::UnboundedSender;
use windows_registry::CURRENT_USER;
use windows_sys::Win32::{
    Foundation::LPARAM,
    System::RemoteDesktop::{
        WTS_CURRENT_SESSION, WTS_SESSIONSTATE_LOCK, WTS_SESSIONSTATE_UNLOCK, WTSFreeMemory, WTSINFOEXW,
        WTSQuerySessionInformationW, WTSSessionInfoEx,
    },
    UI::WindowsAndMessaging::{
        PBT_APMRESUMEAUTOMATIC, WM_APP, WM_CLOSE, WM_ENDSESSION, WM_POWERBROADCAST, WM_QUERYENDSESSION,
        WM_SETTINGCHANGE, WM_TIMECHANGE, WM_WTSSESSION_CHANGE, WTS_SESSION_LOCK, WTS_SESSION_UNLOCK,
    },
};

use crate::{
    desktop::DesktopEvent,
    platform::{portable::interruptions, termination},
};
use window::{Answer, Remote};

/// Our own message: something else is wanted from now on.
const WANTED: u32 = WM_APP;

/// What a change of colours is called, in a `WM_SETTINGCHANGE`.
const COLORS: &str = "ImmersiveColorSet";

/// How long the end of the session waits for us. Windows itself waits five seconds.
const GOODBYE: Duration = Duration::from_secs(4);

/// Reports what happens as [`DesktopEvent`]s, until it is dropped.
#[derive(Debug)]
pub(in crate::platform) struct SystemEvents(Arc<Watch>);

#[derive(Debug)]
struct Watch {
    remote: OnceLock<Remote>,
    screen_lock: AtomicBool,
    color_scheme: AtomicBool,
    /// Nothing is wanted any more.
    over: AtomicBool,
    events: UnboundedSender<DesktopEvent>,
}

impl SystemEvents {
    /// Starts the thread.
    pub(in crate::platform) fn watch(events: UnboundedSender<DesktopEvent>) -> Self {
        let watch = Arc::new(Watch {
            remote: OnceLock::new(),
            screen_lock: AtomicBool::new(false),
            color_scheme: AtomicBool::new(false),
            over: AtomicBool::new(false),
            events,
        });
        let listener = Arc::clone(&watch);
        let listen = move || {
            if let Err(error) = window::listen(&listener) {
                tracing::warn!("sleep, the screen lock and the end of the session will not be noticed: {error}");
            }
        };
        if let Err(error) = thread::Builder::new().name("system events".to_owned()).spawn(listen) {
            tracing::warn!("sleep, the screen lock and the end of the session will not be noticed: {error}");
        }
        Self(watch)
    }

    /// Reports [`DesktopEvent::ScreenLock`] from now on, or no longer.
    pub(in crate::platform) fn screen_lock(&self, wanted: bool) {
        self.0.screen_lock.store(wanted, Ordering::SeqCst);
        self.0.look();
    }

    /// Reports [`DesktopEvent::ColorScheme`] from now on, or no longer.
    pub(in crate::platform) fn color_scheme(&self, wanted: bool) {
        self.0.color_scheme.store(wanted, Ordering::SeqCst);
        self.0.look();
    }
}

impl Drop for SystemEvents {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::SeqCst);
        self.0.look();
    }
}

impl Watch {
    /// Has the thread look at what is wanted; it does so by itself as soon as it has a window.
    fn look(&self) {
        if let Some(remote) = self.remote.get() {
            remote.post(WANTED);
        }
    }

    /// What is wanted is reported as it is now.
    fn report(&self) {
        self.report_lock(is_locked);
        self.report_colors();
    }

    fn report_lock(&self, locked: impl FnOnce() -> Option<bool>) {
        if self.screen_lock.load(Ordering::SeqCst) {
            self.tell(DesktopEvent::ScreenLock(locked()));
        }
    }

    fn report_colors(&self) {
        if self.color_scheme.load(Ordering::SeqCst) {
            self.tell(DesktopEvent::ColorScheme(is_taskbar_dark()));
        }
    }

    fn tell(&self, event: DesktopEvent) {
        let _ = self.events.send(event);
    }

    /// What a message means to us.
    fn heard(&self, message: u32, detail: usize, extra: LPARAM) -> Answer {
        match (message, u32::try_from(detail)) {
            (WM_POWERBROADCAST, Ok(PBT_APMRESUMEAUTOMATIC)) => {
                interruptions::clock_jumped();
                self.tell(DesktopEvent::Resumed);
            }
            (WM_TIMECHANGE, _) => interruptions::clock_jumped(),
            (WM_WTSSESSION_CHANGE, Ok(WTS_SESSION_LOCK)) => self.report_lock(|| Some(true)),
            (WM_WTSSESSION_CHANGE, Ok(WTS_SESSION_UNLOCK)) => self.report_lock(|| Some(false)),
            (WM_SETTINGCHANGE, _) if window::text(extra) == COLORS => self.report_colors(),
            (WANTED, _) if self.over.load(Ordering::SeqCst) => return Answer::Over,
            (WANTED, _) => self.report(),
            (WM_CLOSE, _) => termination::ask(),
            (WM_QUERYENDSESSION, _) => return Answer::Number(1),
            (WM_ENDSESSION, Ok(1..)) => {
                termination::ask();
                // With the answer the process ends. It ends sooner when it is done.
                thread::sleep(GOODBYE);
            }
            _ => return Answer::None,
        }
        Answer::Number(0)
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

    fn watch(wanted: bool) -> (Watch, mpsc::UnboundedReceiver<DesktopEvent>) {
        let (events, heard) = mpsc::unbounded_channel();
        let (screen_lock, color_scheme) = (wanted.into(), wanted.into());
        let over = AtomicBool::new(false);
        (Watch { remote: OnceLock::new(), screen_lock, color_scheme, over, events }, heard)
    }

    #[test]
    fn what_windows_tells_becomes_an_event_if_it_is_wanted() {
        let check = |message, detail: u32, wanted, expected: Option<DesktopEvent>| {
            let (watch, mut heard) = watch(wanted);
            watch.heard(message, detail as usize, 0);
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
    fn messages_of_others_are_left_to_windows_and_the_session_may_end() {
        let (watch, _heard) = watch(true);
        assert_eq!(watch.heard(0, 0, 0), Answer::None);
        assert_eq!(watch.heard(WM_QUERYENDSESSION, 0, 0), Answer::Number(1));
        assert_eq!(watch.heard(WM_ENDSESSION, 0, 0), Answer::None);
        assert_eq!(watch.heard(WANTED, 0, 0), Answer::Number(0));
        watch.over.store(true, Ordering::SeqCst);
        assert_eq!(watch.heard(WANTED, 0, 0), Answer::Over);
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
