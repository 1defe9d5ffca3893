//! Events of macOS: waking from sleep, a set clock, the screen lock. Observers are called on the main thread while its
//! loop runs, so without a tray icon there are no events.

use std::{
    cell::RefCell,
    ptr::NonNull,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use block2::RcBlock;
use dispatch2::DispatchQueue;
use objc2::{
    rc::Retained,
    runtime::{NSObjectProtocol, ProtocolObject},
};
use objc2_app_kit::{NSWorkspace, NSWorkspaceDidWakeNotification};
use objc2_core_foundation::{CFBoolean, CFDictionary, CFRetained, CFString, CFType};
use objc2_core_graphics::CGSessionCopyCurrentDictionary;
use objc2_foundation::{
    NSDistributedNotificationCenter, NSNotification, NSNotificationCenter, NSString, NSSystemClockDidChangeNotification,
};
use tokio::sync::mpsc::UnboundedSender;

use crate::{desktop::DesktopEvent, platform::portable::interruptions};

/// Distributed notifications of the login window, and their meaning.
const LOCK: [(&str, bool); 2] = [("com.apple.screenIsLocked", true), ("com.apple.screenIsUnlocked", false)];

type Observer = (Retained<NSNotificationCenter>, Retained<ProtocolObject<dyn NSObjectProtocol>>);

thread_local! {
    /// On the main thread.
    static OBSERVERS: RefCell<Vec<Observer>> = const { RefCell::new(Vec::new()) };
}

/// Reports what happens as [`DesktopEvent`]s, until it is dropped.
#[derive(Debug)]
pub(in crate::platform) struct SystemEvents {
    lock_wanted: Arc<AtomicBool>,
    events: UnboundedSender<DesktopEvent>,
}

impl SystemEvents {
    /// Starts watching, as soon as the main thread's loop runs.
    pub(in crate::platform) fn watch(events: UnboundedSender<DesktopEvent>) -> Self {
        let lock_wanted = Arc::new(AtomicBool::new(false));
        let (wanted, told) = (Arc::clone(&lock_wanted), events.clone());
        DispatchQueue::main().exec_async(move || OBSERVERS.set(observe(&wanted, &told)));
        Self { lock_wanted, events }
    }

    /// Starts or stops reporting [`DesktopEvent::ScreenLock`].
    pub(in crate::platform) fn screen_lock(&self, wanted: bool) {
        self.lock_wanted.store(wanted, Ordering::SeqCst);
        if wanted {
            let _ = self.events.send(DesktopEvent::ScreenLock(is_locked()));
        }
    }

    /// Reports [`DesktopEvent::ColorScheme`] as unknown: the menu bar colours our icon itself.
    pub(in crate::platform) fn color_scheme(&self, wanted: bool) {
        if wanted {
            let _ = self.events.send(DesktopEvent::ColorScheme(None));
        }
    }
}

impl Drop for SystemEvents {
    fn drop(&mut self) {
        DispatchQueue::main().exec_async(|| {
            for (center, observer) in OBSERVERS.take() {
                #[expect(unsafe_code, reason = "a call of the system")]
                // SAFETY: it is an observer that the center has returned.
                unsafe {
                    center.removeObserver((*observer).as_ref());
                }
            }
        });
    }
}

/// On the main thread.
fn observe(lock_wanted: &Arc<AtomicBool>, events: &UnboundedSender<DesktopEvent>) -> Vec<Observer> {
    let woken = events.clone();
    #[expect(unsafe_code, reason = "names that the system has")]
    // SAFETY: they live as long as the frameworks.
    let (wake, clock) = unsafe { (NSWorkspaceDidWakeNotification, NSSystemClockDidChangeNotification) };
    let mut observers = vec![observer(NSWorkspace::sharedWorkspace().notificationCenter(), wake, move || {
        interruptions::clock_jumped();
        let _ = woken.send(DesktopEvent::Resumed);
    })];
    let center = NSNotificationCenter::defaultCenter();
    observers.push(observer(center, clock, interruptions::clock_jumped));
    for (name, locked) in LOCK {
        let (wanted, events) = (Arc::clone(lock_wanted), events.clone());
        let center = Retained::into_super(NSDistributedNotificationCenter::defaultCenter());
        observers.push(observer(center, &NSString::from_str(name), move || {
            if wanted.load(Ordering::SeqCst) {
                let _ = events.send(DesktopEvent::ScreenLock(Some(locked)));
            }
        }));
    }
    observers
}

fn observer(center: Retained<NSNotificationCenter>, name: &NSString, told: impl Fn() + Send + 'static) -> Observer {
    let block = RcBlock::new(move |_: NonNull<NSNotification>| told());
    #[expect(unsafe_code, reason = "a call of the system")]
    // SAFETY: no object and no queue is named, and what the block holds may go to any thread.
    let observer = unsafe { center.addObserverForName_object_queue_usingBlock(Some(name), None, None, &block) };
    (center, observer)
}

/// Whether the screen is locked; `None` where there is no session with a screen.
fn is_locked() -> Option<bool> {
    let session = CGSessionCopyCurrentDictionary()?;
    #[expect(unsafe_code, reason = "the system does not say what is in its dictionary")]
    // SAFETY: the session's dictionary has texts as keys, and any objects.
    let session: CFRetained<CFDictionary<CFString, CFType>> = unsafe { CFRetained::cast_unchecked(session) };
    let locked = session.get(&CFString::from_static_str("CGSSessionScreenIsLocked"));
    // It is there only while it is true.
    Some(locked.is_some_and(|locked| locked.downcast_ref::<CFBoolean>().is_none_or(CFBoolean::as_bool)))
}
