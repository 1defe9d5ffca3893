//! A scripted notification service that records the calls it receives.

use std::collections::HashMap;

use tokio::sync::{mpsc, watch};
use zbus::{Connection, interface, zvariant::OwnedValue};

use super::harness::TestBus;

const NAME: &str = "org.freedesktop.Notifications";
const PATH: &str = "/org/freedesktop/Notifications";

/// A received call.
#[derive(Debug)]
pub(crate) enum Call {
    Notify(Notify),
    Close(u32),
}

#[derive(Debug)]
pub(crate) struct Notify {
    pub(crate) app_name: String,
    pub(crate) replaces: u32,
    pub(crate) icon: String,
    pub(crate) title: String,
    pub(crate) text: String,
    pub(crate) actions: Vec<String>,
    pub(crate) hints: HashMap<String, OwnedValue>,
    pub(crate) timeout: i32,
}

struct Interface {
    description: (&'static str, &'static str),
    capabilities: &'static [&'static str],
    answering: watch::Receiver<bool>,
    asked: mpsc::UnboundedSender<Call>,
    last_id: u32,
}

#[interface(name = "org.freedesktop.Notifications")]
impl Interface {
    fn get_server_information(&self) -> (&str, &str, &str, &str) {
        (self.description.0, "tests", self.description.1, "1.2")
    }

    fn get_capabilities(&self) -> Vec<&str> {
        self.capabilities.to_vec()
    }

    #[expect(clippy::too_many_arguments, reason = "the specification has them")]
    async fn notify(
        &mut self,
        app_name: String,
        replaces: u32,
        icon: String,
        title: String,
        text: String,
        actions: Vec<String>,
        hints: HashMap<String, OwnedValue>,
        timeout: i32,
    ) -> u32 {
        let notify = Notify { app_name, replaces, icon, title, text, actions, hints, timeout };
        self.asked.send(Call::Notify(notify)).expect("a listener");
        self.answering.wait_for(|answering| *answering).await.expect("a sender");
        if replaces != 0 {
            return replaces;
        }
        self.last_id += 1;
        self.last_id
    }

    fn close_notification(&self, id: u32) {
        self.asked.send(Call::Close(id)).expect("a listener");
    }
}

pub(crate) struct Fake {
    connection: Connection,
    pub(crate) answering: watch::Sender<bool>,
    asked: mpsc::UnboundedReceiver<Call>,
}

impl Fake {
    pub(crate) async fn start(bus: &TestBus, capabilities: &'static [&'static str]) -> Self {
        Self::described(bus, capabilities, ("fake", "1")).await
    }

    /// A service with this name and version.
    pub(crate) async fn described(
        bus: &TestBus,
        capabilities: &'static [&'static str],
        description: (&'static str, &'static str),
    ) -> Self {
        let (sender, asked) = mpsc::unbounded_channel();
        let (answering, answers) = watch::channel(true);
        let interface = Interface { description, capabilities, answering: answers, asked: sender, last_id: 0 };
        let connection = bus.connect_serving(PATH, interface).await;
        connection.request_name(NAME).await.expect("the name");
        Self { connection, answering, asked }
    }

    pub(crate) async fn notify(&mut self) -> Notify {
        let asked = self.asked.recv().await;
        let Some(Call::Notify(notify)) = asked else { panic!("{asked:?}") };
        notify
    }

    pub(crate) async fn close(&mut self) -> u32 {
        let asked = self.asked.recv().await;
        let Some(Call::Close(id)) = asked else { panic!("{asked:?}") };
        id
    }

    pub(crate) async fn click(&self, id: u32, token: &str) {
        signal(&self.connection, "ActivationToken", &(id, token)).await;
        self.action(id, "default").await;
    }

    pub(crate) async fn action(&self, id: u32, action: &str) {
        signal(&self.connection, "ActionInvoked", &(id, action)).await;
    }

    pub(crate) async fn closed(&self, id: u32, reason: u32) {
        signal(&self.connection, "NotificationClosed", &(id, reason)).await;
    }

    /// Drops the connection, as a crash does.
    pub(crate) async fn crash(self) {
        self.connection.close().await.expect("closed");
    }
}

pub(crate) async fn signal(
    connection: &Connection,
    member: &str,
    body: &(impl serde::Serialize + zbus::zvariant::DynamicType),
) {
    connection.emit_signal(None::<&str>, PATH, NAME, member, body).await.expect("sent");
}
