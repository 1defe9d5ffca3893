//! Shared setup: a homeserver with Alice and Bob, and Alice's desktop.

use std::{
    ops::{Deref, DerefMut},
    sync::LazyLock,
    thread,
};

use hyper::Method;
use serde_json::{Value, json};

use crate::rig::{
    Desktop, DesktopOptions, Home, Proxy, ProxyAction, Pushbell, SOON, Stage, Synapse, proxy::answer, pushbell::Output,
    synapse::User, wait_for,
};

/// The shared homeserver, which may push to loopback.
pub(crate) static SYNAPSE: LazyLock<Synapse> = LazyLock::new(Synapse::start);

/// Alice, who has a room with Bob, and her desktop on which nothing runs yet.
pub(crate) struct Scene {
    home: Home,
    pub(crate) bob: User,
    pub(crate) room: String,
}

impl Deref for Scene {
    type Target = Home;

    fn deref(&self) -> &Home {
        &self.home
    }
}

impl DerefMut for Scene {
    fn deref_mut(&mut self) -> &mut Home {
        &mut self.home
    }
}

impl Scene {
    pub(crate) fn new() -> Self {
        Self::on(&SYNAPSE)
    }

    pub(crate) fn on(synapse: &Synapse) -> Self {
        let desktop = Desktop::start(DesktopOptions::BARE);
        let pushbell = Pushbell::prepare(&desktop, "");
        let (home, bob) = Home::on(synapse, desktop, pushbell);
        let room = bob.create_room(&json!({"name": "Kitchen", "invite": [home.alice.id]}));
        home.alice.join(&room);
        Self { home, bob, room }
    }

    /// The same with her homeserver at this address.
    pub(crate) fn at(mut self, homeserver: String) -> Self {
        self.homeserver = homeserver;
        self
    }

    /// `pushbell login` with Alice's password from a file.
    pub(crate) fn login(&self, options: &[&str]) -> Output {
        self.login_of(&self.alice, options)
    }

    /// The same for any user; all have the same password.
    pub(crate) fn login_of(&self, user: &User, options: &[&str]) -> Output {
        self.sign_in(user, &[&["--push"], options].concat())
    }

    /// Runs `pushbell login` with Alice's password while `run` executes; returns both results.
    pub(crate) fn concurrently<T: Send>(&self, run: impl FnOnce(&Self) -> T + Send, meanwhile: impl FnOnce(&Self)) -> T
    where
        Self: Sync,
    {
        thread::scope(|scope| {
            let running = scope.spawn(|| run(self));
            meanwhile(self);
            running.join().unwrap()
        })
    }

    /// Waits until Alice has a pusher, then sends a message as Bob.
    pub(crate) fn bob_writes_once_pusher_is_set(&self) -> String {
        self.wait_for_pushers(1);
        self.bob.send(&self.room, "Dinner is ready.")
    }

    pub(crate) fn wait_for_pushers(&self, number: usize) -> Vec<Value> {
        wait_for("the pusher is set", SOON, || Some(self.alice.pushers()).filter(|pushers| pushers.len() == number))
    }

    /// The names of Alice's devices, except the one that the rig registered.
    pub(crate) fn devices(&self) -> Vec<String> {
        let devices = self.alice.request(&Method::GET, "devices", &Value::Null);
        let devices = devices["devices"].as_array().unwrap().iter();
        devices.filter_map(|device| device["display_name"].as_str().map(ToOwned::to_owned)).collect()
    }
}

/// The URL of a proxy before the homeserver that drops the answers to requests whose head matches.
pub(crate) fn losing_answers(is_lost: impl Fn(&str) -> bool + Send + Sync + 'static) -> String {
    let loses = move |stage, head: &str| {
        if stage == Stage::Answered && is_lost(head) { ProxyAction::Lose } else { ProxyAction::Pass }
    };
    Proxy::before(SYNAPSE.port, loses).url()
}

/// The URL of a proxy before the homeserver that refuses every pusher.
pub(crate) fn refusing_pushers() -> String {
    const REFUSAL: &str = r#"{"errcode":"M_INVALID_PARAM","error":"no pushers here"}"#;
    let refuses = |_, head: &str| {
        let is_pusher = head.starts_with("POST /_matrix/client/v3/pushers/set ");
        if is_pusher { ProxyAction::Answer(answer(400, "", REFUSAL)) } else { ProxyAction::Pass }
    };
    Proxy::before(SYNAPSE.port, refuses).url()
}
