//! Shared setup: Alice's desktop, her session on a homeserver, and Bob, who sends encrypted messages.

use std::{
    ops::{Deref, DerefMut},
    sync::LazyLock,
    time::{Duration, Instant},
};

use hyper::Method;
use serde_json::{Value, json};

use crate::{
    client::Client,
    rig::{
        Desktop, DesktopOptions, Home, Notifier, Pushbell, SOON, Synapse, Terminal, fake_service::FakeNotifications,
        pushbell::Output, synapse::User,
    },
};

/// The homeserver that the tests share.
pub(crate) static SYNAPSE: LazyLock<Synapse> = LazyLock::new(Synapse::start);

/// The content of the event that enables encryption in a room.
pub(crate) fn encryption() -> Value {
    json!({"type": "m.room.encryption", "state_key": "", "content": {"algorithm": "m.megolm.v1.aes-sha2"}})
}

pub(crate) struct Scene {
    home: Home,
    pub(crate) bob: Client,
    /// An encrypted room with Alice and Bob in it.
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
    /// Alice's desktop with the running app; nobody is signed in yet.
    pub(crate) fn new() -> Self {
        Self::at(&SYNAPSE)
    }

    /// The same with an account on this homeserver.
    pub(crate) fn at(synapse: &'static Synapse) -> Self {
        let desktop = Desktop::start(DesktopOptions { notifier: Some(Notifier::Dunst), ..DesktopOptions::BARE });
        let pushbell = Pushbell::start(&desktop, "[popup]\ntimeout = \"never\"\n");
        Self::on(synapse, desktop, pushbell)
    }

    /// The same on this desktop, on which the app already runs.
    pub(crate) fn on(synapse: &'static Synapse, desktop: Desktop, pushbell: Pushbell) -> Self {
        let (home, bob) = Home::on(synapse, desktop, pushbell);
        let bob = Client::new(synapse, &bob);
        let room = bob.user.create_room(&json!({
            "is_direct": true, "invite": [home.alice.id], "preset": "trusted_private_chat", "initial_state": [encryption()],
        }));
        home.alice.join(&room);
        Self { home, bob, room }
    }

    /// The same with Alice signed in.
    pub(crate) fn signed_in() -> Self {
        Self::signed_in_at(&SYNAPSE)
    }

    /// The same with an account on this homeserver.
    pub(crate) fn signed_in_at(synapse: &'static Synapse) -> Self {
        let scene = Self::at(synapse);
        let login = scene.login(&[]);
        assert!(login.stdout.contains("Encrypted messages are read"), "{login:#?}");
        scene
    }

    /// Another user, unique to this test.
    pub(crate) fn register(&self, name: &str) -> User {
        let (alice, _) = self.alice.id[1..].split_once(':').unwrap();
        SYNAPSE.register(&format!("{name}-{alice}"), name)
    }

    /// Runs a command of Alice's in a terminal.
    pub(crate) fn terminal(&self, arguments: &[&str]) -> Terminal {
        Terminal::run(env!("CARGO_BIN_EXE_pushbell"), arguments, self.pushbell.env())
    }

    /// The device ID of Pushbell's session.
    pub(crate) fn own_device(&self) -> String {
        let devices = self.alice.request(&Method::GET, "devices", &Value::Null);
        let devices = devices["devices"].as_array().unwrap().iter();
        let mut ours =
            devices.filter(|device| device["display_name"].as_str().is_some_and(|name| name.starts_with("Pushbell")));
        ours.next().unwrap()["device_id"].as_str().unwrap().to_owned()
    }

    /// The status of Alice's account, once it says this about encryption.
    #[track_caller]
    pub(crate) fn status_says(&self, text: &str) -> Value {
        let says = |account: &Value| account["encryption"].as_str().is_some_and(|says| says.contains(text));
        self.account(&format!("status says {text:?}"), says)
    }

    /// `pushbell login` with Alice's password, without waiting for a push.
    pub(crate) fn login(&self, options: &[&str]) -> Output {
        self.login_of(&self.alice, options)
    }

    /// The same for any user; all have the same password.
    pub(crate) fn login_of(&self, user: &User, options: &[&str]) -> Output {
        let login = self.sign_in(user, &[&["--push", "--wait", "0"], options].concat());
        assert_eq!(login.code, 3, "{login:#?}");
        login
    }

    /// Replaces the notification service by a fake that supports inline replies and keeps its popups open.
    pub(crate) fn use_reply_service(&mut self) -> FakeNotifications {
        self.desktop.kill_notifier();
        let fake = self.desktop.fake_notifier(&["actions", "body", "inline-reply"]);
        self.pushbell.wait_for_status("the service is known", |status| {
            status["popup"]["reason"].as_str().is_some_and(|reason| reason.starts_with("fake"))
        });
        fake
    }

    /// The history's line for this event, once it satisfies the condition.
    #[track_caller]
    pub(crate) fn line(&self, event_id: &str, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let start = Instant::now();
        loop {
            let lines = self.pushbell.history_of(300);
            if let Some(line) = lines.iter().find(|line| line["event_id"] == event_id && fits(line)) {
                return line.clone();
            }
            assert!(start.elapsed() < 3 * SOON, "waited in vain: {what}: {lines:#?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The history's line for this event, once it contains this text.
    #[track_caller]
    pub(crate) fn says(&self, event_id: &str, text: &str) -> Value {
        self.line(event_id, &format!("history says {text:?}"), |line| line["body"] == text)
    }

    /// The device object of a push to Alice's desktop.
    pub(crate) fn device(&self) -> Value {
        let account = self.pushbell.account_named(&self.alice.id);
        json!({"app_id": account.app_id, "pushkey": account.pushkey})
    }

    /// Pushes this ciphertext, as a homeserver that includes it does.
    pub(crate) fn push_encrypted(&self, event_id: &str, sender: &str, room: &str, ciphertext: &Value) {
        let body = json!({"notification": {
            "event_id": event_id, "room_id": room, "type": "m.room.encrypted", "sender": sender, "content": ciphertext,
            "devices": [self.device()],
        }});
        assert_eq!(self.pushbell.push(&body).0, 200);
    }

    /// Pushes an event that Bob has encrypted.
    pub(crate) fn push_from_bob(&self, event_id: &str, event_type: &str, content: &Value) {
        let (ciphertext, keys) = self.bob.encrypt(&self.room, &self.alice, event_type, content);
        self.bob.deliver(&keys);
        self.push_encrypted(event_id, &self.bob.user.id, &self.room, &ciphertext);
    }

    /// The number of syncs by Alice's session.
    pub(crate) fn syncs(&self) -> usize {
        self.requests("/v3/sync?")
    }

    /// The number of key uploads.
    pub(crate) fn uploads(&self) -> usize {
        self.requests("/v3/keys/upload")
    }

    /// The number of requests with this in their path.
    pub(crate) fn requests(&self, path: &str) -> usize {
        let of_alice = format!("{{{}}}", self.alice.id);
        let is_such =
            |line: &&str| line.contains("Processed request") && line.contains(path) && line.contains(&of_alice);
        SYNAPSE.log().lines().filter(is_such).count()
    }

    /// Whether any file in the data directory contains this text.
    pub(crate) fn on_disk(&self, text: &str) -> bool {
        fn contains(directory: &std::path::Path, text: &[u8]) -> bool {
            std::fs::read_dir(directory).unwrap().flatten().any(|entry| {
                let path = entry.path();
                if path.is_dir() {
                    return contains(&path, text);
                }
                let bytes = std::fs::read(path).unwrap_or_default();
                bytes.windows(text.len()).any(|window| window == text)
            })
        }
        contains(&self.pushbell.data_directory(), text.as_bytes())
    }
}
