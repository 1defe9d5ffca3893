//! The app with a signed-in account.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::rig::{Desktop, DesktopOptions, Notifier, Pushbell, SOON, Synapse, pushbell::Account, wait_until};

/// The homeserver that concurrent tests share; each test registers its own users.
pub(crate) fn synapse() -> Arc<Synapse> {
    static SHARED: Mutex<Weak<Synapse>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    shared.upgrade().unwrap_or_else(|| {
        let synapse = Arc::new(Synapse::start());
        *shared = Arc::downgrade(&synapse);
        synapse
    })
}

/// A session of a homeserver.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) user_id: String,
    /// Base URL.
    pub(crate) homeserver: String,
    pub(crate) tokens: Value,
    pub(crate) event_id_only: bool,
    pub(crate) server: &'static str,
    /// The identifier of the installation that signed in.
    pub(crate) installation: &'static str,
}

impl Session {
    pub(crate) fn new(user_id: &str, port: u16, token: &str) -> Self {
        Self {
            user_id: user_id.to_owned(),
            homeserver: format!("http://127.0.0.1:{port}"),
            tokens: json!({"access_token": token}),
            event_id_only: false,
            server: "Synapse",
            installation: "",
        }
    }

    /// Writes an account and its tokens as `pushbell login` does without a keyring.
    #[track_caller]
    pub(crate) fn keep(&self, pushbell: &Pushbell, account: &Account) {
        let Self { user_id, homeserver, tokens, event_id_only, server, installation } = self;
        let Account { name, app_id, pushkey } = account;
        let directory = pushbell.data_directory();
        fs::create_dir_all(&directory).expect("the home is writable");
        let write = |name: &str, text: String| {
            let path = directory.join(name);
            let new = path.with_extension("new");
            fs::write(&new, text).expect("the home is writable");
            fs::set_permissions(&new, fs::Permissions::from_mode(0o600)).expect("the home is writable");
            fs::rename(new, path).expect("the home is writable");
        };
        let device = "DESKTOP";
        write("secrets.json", json!({format!("{user_id} {device}"): tokens}).to_string());
        write(
            "accounts.toml",
            format!(
                "version = 1\n[[account]]\nname = \"{name}\"\napp_id = \"{app_id}\"\npushkey = \"{pushkey}\"\n\
                 counts = \"account\"\nway = \"push\"\ncreated_at = \"{}\"\n[account.sign_in]\nuser_id = \"{user_id}\"\n\
                 device_id = \"{device}\"\nhomeserver = \"{homeserver}\"\nmethod = \"password\"\n\
                 event_id_only = {event_id_only}\nserver = \"{server}\"\n\
                 installation = \"{installation}\"\n",
                Timestamp::now(),
            ),
        );
    }
}

/// A desktop, and the app with one signed-in account.
pub(crate) struct Stage {
    pub(crate) pushbell: Pushbell,
    pub(crate) account: Account,
    pub(crate) desktop: Desktop,
}

impl Stage {
    pub(crate) const OPTIONS: DesktopOptions =
        DesktopOptions { notifier: Some(Notifier::Dunst), ..DesktopOptions::BARE };

    /// Does not start the app.
    #[track_caller]
    pub(crate) fn prepare(session: &Session) -> Self {
        Self::prepare_on(Self::OPTIONS, session)
    }

    /// The same on another desktop.
    #[track_caller]
    pub(crate) fn prepare_on(options: DesktopOptions, session: &Session) -> Self {
        let desktop = Desktop::start(options);
        let pushbell = Pushbell::prepare(&desktop, "[popup]\ntimeout = \"never\"\n[log]\nlevel = \"debug\"\n");
        // Another user's pusher with the same key would replace this one.
        let account = Account {
            name: "home".into(),
            app_id: "org.example.tray".into(),
            pushkey: format!("key-of-{}", session.user_id),
        };
        let stage = Self { pushbell, account, desktop };
        stage.sign_in(session);
        stage
    }

    #[track_caller]
    pub(crate) fn start(session: &Session) -> Self {
        let mut stage = Self::prepare(session);
        stage.pushbell.run();
        stage.wait_until_caught_up();
        stage
    }

    /// Signs in as `pushbell login` does.
    #[track_caller]
    pub(crate) fn sign_in(&self, session: &Session) {
        session.keep(&self.pushbell, &self.account);
    }

    /// What `status` prints for the account.
    #[track_caller]
    pub(crate) fn account_status(&self) -> Value {
        self.pushbell.status()["accounts"][0].clone()
    }

    /// What `status` prints about catching up.
    #[track_caller]
    pub(crate) fn catching_up(&self) -> String {
        self.account_status()["catching_up"].as_str().unwrap_or_default().to_owned()
    }

    #[track_caller]
    pub(crate) fn wait_until_caught_up(&self) {
        wait_until("it has caught up", SOON, || !self.account_status()["caught_up_at"].is_null());
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
        wait_until("every event is known", SOON, || {
            let known = self.known();
            events.iter().all(|event| known.contains_key(event))
        });
        let known = self.known();
        assert!(events.iter().all(|event| known[event] == 1), "{known:#?}");
    }

    /// The titles of all popups requested so far.
    pub(crate) fn titles(&self) -> Vec<String> {
        self.desktop.notifications().all().into_iter().map(|popup| popup.summary).collect()
    }
}
