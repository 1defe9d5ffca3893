//! Session services that report screen lock and suspend.

#![allow(
    clippy::unused_self,
    clippy::used_underscore_binding,
    reason = "the interfaces' shapes are their specifications'"
)]

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use zbus::{Connection, fdo, interface, zvariant::ObjectPath};

use super::{Desktop, bus};

const SCREEN_SAVER: (&str, &str) = ("org.freedesktop.ScreenSaver", "/org/freedesktop/ScreenSaver");
const LOGIND: (&str, &str) = ("org.freedesktop.login1", "/org/freedesktop/login1");
const LOGIND_SESSION: &str = "/org/freedesktop/login1/session/_31";

/// A screen saver on the session bus; stops when dropped.
pub(crate) struct FakeScreenSaver {
    connection: Connection,
    locked: Arc<AtomicBool>,
}

impl FakeScreenSaver {
    pub(crate) fn start(desktop: &Desktop, locked: bool) -> Self {
        let locked = Arc::new(AtomicBool::new(locked));
        let connection = bus::block_on(async {
            let saver = ScreenSaver(Arc::clone(&locked));
            let connection = bus::connect_serving(&desktop.bus_address(), SCREEN_SAVER.1, saver).await;
            connection.request_name(SCREEN_SAVER.0).await.expect("no other screen saver runs");
            connection
        });
        Self { connection, locked }
    }

    /// Locks or unlocks the screen, and signals it.
    pub(crate) fn set_locked(&self, locked: bool) {
        self.locked.store(locked, Ordering::SeqCst);
        let (name, path) = SCREEN_SAVER;
        bus::block_on(self.connection.emit_signal(None::<&str>, path, name, "ActiveChanged", &(locked,)))
            .expect("the bus takes signals");
    }
}

struct ScreenSaver(Arc<AtomicBool>);

#[interface(name = "org.freedesktop.ScreenSaver")]
impl ScreenSaver {
    fn get_active(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// logind on the system bus with one session; stops when dropped.
pub(crate) struct FakeLogind {
    connection: Connection,
    locked: Arc<AtomicBool>,
}

impl FakeLogind {
    pub(crate) fn start(desktop: &Desktop, locked: bool) -> Self {
        let locked = Arc::new(AtomicBool::new(locked));
        let connection = bus::block_on(async {
            let connection = bus::connect_serving(&desktop.system_bus_address(), LOGIND.1, Manager).await;
            let session = LoginSession(Arc::clone(&locked));
            connection.object_server().at(LOGIND_SESSION, session).await.expect("a fresh connection");
            connection.request_name(LOGIND.0).await.expect("no other logind runs");
            connection
        });
        Self { connection, locked }
    }

    /// Locks or unlocks the screen, and signals it.
    pub(crate) fn set_locked(&self, locked: bool) {
        self.locked.store(locked, Ordering::SeqCst);
        bus::block_on(async {
            let session = self.connection.object_server().interface::<_, LoginSession>(LOGIND_SESSION).await?;
            session.get().await.locked_hint_changed(session.signal_emitter()).await
        })
        .expect("the bus takes signals");
    }

    /// Signals suspend and resume.
    pub(crate) fn sleep_and_wake(&self) {
        for sleeps in [true, false] {
            let interface = "org.freedesktop.login1.Manager";
            bus::block_on(self.connection.emit_signal(
                None::<&str>,
                LOGIND.1,
                interface,
                "PrepareForSleep",
                &(sleeps,),
            ))
            .expect("the bus takes signals");
        }
    }
}

struct Manager;

#[interface(name = "org.freedesktop.login1.Manager")]
impl Manager {
    fn get_session(&self, id: &str) -> fdo::Result<ObjectPath<'static>> {
        match id {
            "1" | "auto" => Ok(ObjectPath::from_static_str_unchecked(LOGIND_SESSION)),
            _ => Err(fdo::Error::Failed(format!("no session {id}"))),
        }
    }

    #[zbus(name = "GetSessionByPID")]
    fn get_session_by_pid(&self, _pid: u32) -> ObjectPath<'static> {
        ObjectPath::from_static_str_unchecked(LOGIND_SESSION)
    }
}

struct LoginSession(Arc<AtomicBool>);

#[interface(name = "org.freedesktop.login1.Session")]
impl LoginSession {
    #[zbus(property)]
    fn locked_hint(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}
