//! Shared setup: a homeserver that cannot push to Alice's desktop, on which she is signed in.

use std::{
    collections::BTreeMap,
    ops::{Deref, DerefMut},
    sync::LazyLock,
};

use serde_json::json;

use crate::rig::{
    Cable, Desktop, DesktopOptions, Home, Notifier, Pushbell, SOON, Synapse, pushbell::Output, synapse::User,
    wait_until,
};

/// A homeserver that may not push to this computer, which is Synapse's default.
pub(crate) static BLOCKED: LazyLock<Synapse> = LazyLock::new(|| Synapse::start_with(|usual, _| without_pushes(&usual)));

/// Created before any app runs and kept for the whole run: plugging in a new one would tell all apps of a network
/// change.
pub(crate) static CABLE: LazyLock<Option<Cable>> = LazyLock::new(Cable::plug_in);

pub(crate) const CONFIG: &str = "[popup]\ntimeout = \"never\"\n[log]\nlevel = \"debug\"\n";

/// Part of the log line of every sync.
pub(crate) const SYNC: &str = "/v3/sync?";

/// Synapse's configuration with its default block list for pushes.
pub(crate) fn without_pushes(usual: &str) -> String {
    format!("{usual}\nip_range_whitelist: []\n")
}

pub(crate) struct Scene {
    home: Home,
    pub(crate) bob: User,
    /// A room with both in it.
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
    pub(crate) fn at(synapse: &Synapse) -> Self {
        let mut scene = Self::prepare(synapse);
        scene.pushbell.run();
        scene
    }

    /// The same before the app runs.
    pub(crate) fn prepare(synapse: &Synapse) -> Self {
        LazyLock::force(&CABLE);
        let desktop = Desktop::start(DesktopOptions { notifier: Some(Notifier::Dunst), ..DesktopOptions::BARE });
        let pushbell = Pushbell::prepare(&desktop, CONFIG);
        let (home, bob) = Home::on(synapse, desktop, pushbell);
        let room = bob.create_room(&json!({"name": "Kitchen", "invite": [home.alice.id]}));
        home.alice.join(&room);
        Self { home, bob, room }
    }

    /// The same with Alice signed in and listening.
    pub(crate) fn listening() -> Self {
        Self::listening_at(&BLOCKED)
    }

    /// The same with this homeserver.
    pub(crate) fn listening_at(synapse: &Synapse) -> Self {
        let scene = Self::at(synapse);
        let login = scene.login(&["--listen"]);
        assert_eq!(login.code, 0, "{login:#?}");
        assert!(login.stdout.contains("connected; the first message will be shown"), "{login:#?}");
        scene.wait_until_it_listens();
        scene
    }

    /// `pushbell login` with Alice's password.
    pub(crate) fn login(&self, options: &[&str]) -> Output {
        self.sign_in(&self.alice, options)
    }

    /// The same through the proxy at this port before her homeserver.
    pub(crate) fn listening_behind(synapse: &Synapse, port: u16) -> Self {
        let mut scene = Self::at(synapse);
        scene.homeserver = format!("http://127.0.0.1:{port}");
        let login = scene.login(&["--listen"]);
        assert_eq!(login.code, 0, "{login:#?}");
        scene.wait_until_it_listens();
        scene
    }

    /// An encrypted room with both in it.
    pub(crate) fn encrypted_room(&self) -> String {
        let encryption =
            json!({"type": "m.room.encryption", "state_key": "", "content": {"algorithm": "m.megolm.v1.aes-sha2"}});
        let room = self.bob.create_room(&json!({
            "name": "Cellar", "invite": [self.alice.id], "preset": "trusted_private_chat", "initial_state": [encryption],
        }));
        self.alice.join(&room);
        room
    }

    #[track_caller]
    pub(crate) fn wait_until_it_listens(&self) {
        self.account("it listens", |account| account["way_now"] == "listening");
    }

    /// The known events, each with its number of occurrences.
    #[track_caller]
    pub(crate) fn known(&self) -> BTreeMap<String, usize> {
        let mut known = BTreeMap::new();
        for notice in self.pushbell.history_of(10_000) {
            *known.entry(notice["event_id"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
        }
        known
    }

    /// Waits until these events are known, each once.
    #[track_caller]
    pub(crate) fn knows_once(&self, events: &[String]) {
        wait_until("every event is known", 2 * SOON, || {
            let known = self.known();
            events.iter().all(|event| known.contains_key(event))
        });
        let known = self.known();
        assert!(events.iter().all(|event| known[event] == 1), "{known:#?}");
    }
}
