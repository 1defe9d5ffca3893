//! A scripted notification service, for behaviour that no real one can be made to show.

#![allow(clippy::used_underscore_binding, clippy::unused_self, reason = "the interface's shape is the specification's")]

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use zbus::{Connection, fdo, interface, zvariant::OwnedValue};

use super::{bus, notifications::SERVICE};

/// How the service handles a `Notify` call.
#[derive(Debug, Clone, Copy)]
pub(crate) enum OnNotify {
    /// Answers with an ID.
    Answer,
    /// Answers after this delay.
    AnswerAfter(Duration),
    /// Never answers.
    Hang,
    /// Answers with this error message.
    Fail(&'static str),
}

struct State {
    capabilities: Vec<String>,
    on_notify: OnNotify,
    last_id: u32,
}

/// The service; stops when dropped.
pub(crate) struct FakeNotifications {
    connection: Option<Connection>,
    state: Arc<Mutex<State>>,
}

impl FakeNotifications {
    /// Takes the service's name on this bus.
    pub(crate) fn start(bus_address: &str, capabilities: &[&str]) -> Self {
        let capabilities = capabilities.iter().map(ToString::to_string).collect();
        let state = Arc::new(Mutex::new(State { capabilities, on_notify: OnNotify::Answer, last_id: 100 }));
        let service = Service(Arc::clone(&state));
        let connection = bus::block_on(bus::connect_serving(bus_address, SERVICE.1, service));
        let fake = Self { connection: Some(connection), state };
        bus::block_on(async { fake.connection().request_name(SERVICE.0).await }).expect("no other service runs");
        fake
    }

    pub(crate) fn on_notify(&self, on_notify: OnNotify) {
        self.state.lock().expect("no holder panics").on_notify = on_notify;
    }

    /// Sends the signal that the user chose an action.
    pub(crate) fn invoke_action(&self, id: u32, action: &str) {
        self.emit("ActionInvoked", &(id, action));
    }

    /// The same as on Wayland, where an activation token precedes it.
    pub(crate) fn invoke_action_with_token(&self, id: u32, action: &str, token: &str) {
        self.emit("ActivationToken", &(id, token));
        self.invoke_action(id, action);
    }

    /// Sends the signal that the user submitted an inline reply.
    pub(crate) fn reply(&self, id: u32, text: &str) {
        self.emit("NotificationReplied", &(id, text));
    }

    /// Sends the signal that a popup closed: 1 expired, 2 dismissed, 3 withdrawn, 4 other.
    pub(crate) fn close(&self, id: u32, reason: u32) {
        self.emit("NotificationClosed", &(id, reason));
    }

    fn emit<B: serde::Serialize + zbus::zvariant::DynamicType>(&self, signal: &str, body: &B) {
        bus::block_on(async { self.connection().emit_signal(None::<&str>, SERVICE.1, SERVICE.2, signal, body).await })
            .expect("the bus takes signals");
    }

    fn connection(&self) -> &Connection {
        self.connection.as_ref().expect("it is there until drop")
    }
}

impl Drop for FakeNotifications {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            // Pending calls keep the connection open too, so the name is released explicitly.
            let _ = bus::block_on(async {
                connection.release_name(SERVICE.0).await?;
                connection.close().await
            });
        }
    }
}

struct Service(Arc<Mutex<State>>);

#[interface(name = "org.freedesktop.Notifications")]
impl Service {
    fn get_capabilities(&self) -> Vec<String> {
        self.0.lock().expect("no holder panics").capabilities.clone()
    }

    fn get_server_information(&self) -> (&str, &str, &str, &str) {
        ("fake", "Pushbell's tests", "1", "1.2")
    }

    #[expect(clippy::too_many_arguments, reason = "the specification's")]
    async fn notify(
        &self,
        _app_name: &str,
        replaces_id: u32,
        _app_icon: &str,
        _summary: &str,
        _body: &str,
        _actions: Vec<&str>,
        _hints: std::collections::HashMap<&str, OwnedValue>,
        _expire_timeout: i32,
    ) -> fdo::Result<u32> {
        let (on_notify, id) = {
            let mut state = self.0.lock().expect("no holder panics");
            if replaces_id == 0 {
                state.last_id += 1;
            }
            (state.on_notify, if replaces_id == 0 { state.last_id } else { replaces_id })
        };
        match on_notify {
            OnNotify::Answer => Ok(id),
            OnNotify::AnswerAfter(delay) => {
                tokio::time::sleep(delay).await;
                Ok(id)
            }
            OnNotify::Hang => std::future::pending().await,
            OnNotify::Fail(why) => Err(fdo::Error::Failed(why.to_owned())),
        }
    }

    async fn close_notification(&self, id: u32, #[zbus(connection)] connection: &Connection) {
        let _ = connection.emit_signal(None::<&str>, SERVICE.1, SERVICE.2, "NotificationClosed", &(id, 3_u32)).await;
    }
}
