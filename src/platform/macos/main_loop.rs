//! The main thread on macOS: the application's event loop, which the tray icon needs.

use std::{
    cell::{Cell, RefCell},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use dispatch2::DispatchQueue;
use objc2::{DefinedClass, MainThreadOnly, define_class, msg_send, rc::Retained, runtime::ProtocolObject};
use objc2_app_kit::{
    NSApplication, NSApplicationActivationPolicy, NSApplicationDelegate, NSApplicationTerminateReply, NSEvent,
    NSEventModifierFlags, NSEventType,
};
use objc2_foundation::{MainThreadMarker, NSObject, NSObjectProtocol, NSPoint};
use tokio::sync::mpsc::UnboundedSender;

use crate::{
    desktop::{DesktopEvent, tray_view::TrayAction},
    platform::tray::{self, CommandQueue, Tray},
};

pub(crate) use crate::platform::tray::TrayRemote;

/// Width and height of the image in pixels. It is shown 22 points high, with two pixels each on most displays.
pub(in crate::platform) const ICON_SIZE: u32 = 44;

/// The count is a title beside the icon, and the image is a template that the menu bar colours like its own icons.
pub(in crate::platform) const COUNT_IS_TITLE: bool = true;

/// Whether there is a tray host is known only by creating the icon.
pub(in crate::platform) const HOST_IS_WATCHED: bool = false;

/// The receiving end of a [`TrayRemote`], for [`run`].
pub(crate) struct TrayCommands(Arc<CommandQueue>);

thread_local! {
    /// On the main thread, while [`run`] runs.
    static TRAY: RefCell<Option<(Tray, Arc<CommandQueue>)>> = const { RefCell::new(None) };

    /// Whether macOS waits for the application to terminate.
    static ENDING: Cell<bool> = const { Cell::new(false) };
}

/// A remote and its receiving end.
#[must_use]
pub(crate) fn channel() -> (TrayRemote, TrayCommands) {
    let waiting = Arc::new(AtomicBool::new(false));
    let wake = move || {
        // One call handles all queued commands.
        if !waiting.swap(true, Ordering::AcqRel) {
            let waiting = Arc::clone(&waiting);
            DispatchQueue::main().exec_async(move || {
                waiting.store(false, Ordering::Release);
                apply();
            });
        }
    };
    let (remote, queue) = tray::channel(wake);
    (remote, TrayCommands(queue))
}

/// Shows the tray icon until the last [`TrayRemote`] is dropped. Call it on the main thread. If the icon cannot be
/// created it logs why, and retries with the next view.
pub(crate) fn run(commands: TrayCommands, events: UnboundedSender<DesktopEvent>) {
    let Some(main) = MainThreadMarker::new() else {
        return tracing::error!("no tray icon: the event loop was not started on the main thread");
    };
    let application = NSApplication::sharedApplication(main);
    // Without an icon in the dock and a menu bar.
    application.setActivationPolicy(NSApplicationActivationPolicy::Accessory);
    let TrayCommands(queue) = commands;
    // The application holds a weak reference to it.
    let delegate = Delegate::new(main, events.clone());
    application.setDelegate(Some(ProtocolObject::from_ref(&*delegate)));
    TRAY.set(Some((Tray::new(events), queue)));
    // Earlier commands are handled as soon as the loop runs.
    application.run();
    TRAY.set(None);
}

/// Applies queued commands. Called on the main thread, within its loop.
fn apply() {
    TRAY.with_borrow_mut(|tray| {
        if let Some((tray, queue)) = tray
            && !tray.apply(queue)
            && let Some(main) = MainThreadMarker::new()
        {
            let application = NSApplication::sharedApplication(main);
            stop(&application);
            if ENDING.get() {
                application.replyToApplicationShouldTerminate(true);
            }
        }
    });
}

/// Receives requests of macOS to terminate: the user logs out, or quits the application.
struct Ending(UnboundedSender<DesktopEvent>);

define_class!(
    // SAFETY: `NSObject` asks nothing of its subclasses, and this one has no `Drop`.
    #[unsafe(super(NSObject))]
    #[thread_kind = MainThreadOnly]
    #[ivars = Ending]
    struct Delegate;

    unsafe impl NSObjectProtocol for Delegate {}

    unsafe impl NSApplicationDelegate for Delegate {
        #[unsafe(method(applicationShouldTerminate:))]
        fn should_terminate(&self, _application: &NSApplication) -> NSApplicationTerminateReply {
            ENDING.set(true);
            let Ending(events) = self.ivars();
            match events.send(DesktopEvent::Tray(TrayAction::Quit)) {
                Ok(()) => NSApplicationTerminateReply::TerminateLater,
                // The program has ended already.
                Err(_) => NSApplicationTerminateReply::TerminateNow,
            }
        }
    }
);

impl Delegate {
    fn new(main: MainThreadMarker, events: UnboundedSender<DesktopEvent>) -> Retained<Self> {
        let delegate = Self::alloc(main).set_ivars(Ending(events));
        #[expect(unsafe_code, reason = "a call of the system")]
        // SAFETY: this is how an `NSObject` is made.
        unsafe {
            msg_send![super(delegate), init]
        }
    }
}

fn stop(application: &NSApplication) {
    application.stop(None);
    // The loop stops only after an event.
    let nudge = NSEvent::otherEventWithType_location_modifierFlags_timestamp_windowNumber_context_subtype_data1_data2(
        NSEventType::ApplicationDefined,
        NSPoint::new(0.0, 0.0),
        NSEventModifierFlags::empty(),
        0.0,
        0,
        None,
        0,
        0,
        0,
    );
    if let Some(nudge) = nudge {
        application.postEvent_atStart(&nudge, true);
    }
}
