//! Alice's desktop with the app, and her account on a homeserver.

use serde_json::Value;
use std::sync::atomic::{AtomicU32, Ordering};

use super::{
    Desktop, Notify, Pushbell, Synapse,
    pushbell::Output,
    synapse::{PASSWORD, User},
};

pub(crate) struct Home {
    pub(crate) alice: User,
    pub(crate) pushbell: Pushbell,
    pub(crate) desktop: Desktop,
    /// The homeserver URL that she is given.
    pub(crate) homeserver: String,
}

impl Home {
    /// A new Alice on this homeserver, not signed in yet, and a new Bob.
    pub(crate) fn on(synapse: &Synapse, desktop: Desktop, pushbell: Pushbell) -> (Self, User) {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let alice = synapse.register(&format!("alice{number}"), "Alice");
        let bob = synapse.register(&format!("bob{number}"), "Bob");
        std::fs::write(pushbell.home().join("password"), format!("{PASSWORD}\n")).expect("the home is writable");
        let homeserver = format!("http://127.0.0.1:{}", synapse.port);
        (Self { alice, pushbell, desktop, homeserver }, bob)
    }

    /// The path of a file in her home directory.
    pub(crate) fn file(&self, name: &str) -> String {
        self.pushbell.home().join(name).display().to_string()
    }

    /// `pushbell login` for this user, with the password from a file.
    pub(crate) fn sign_in(&self, user: &User, options: &[&str]) -> Output {
        let password = self.file("password");
        let fixed = ["login", &user.id, "--homeserver", &self.homeserver, "--password-file", &password];
        self.pushbell.command(&[&fixed, options].concat())
    }

    /// The status of Alice's account, once it satisfies the condition.
    #[track_caller]
    pub(crate) fn account(&self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let of_alice = |status: &Value| {
            let accounts = status["accounts"].as_array().expect("status lists accounts");
            accounts.iter().find(|account| account["name"] == self.alice.id.as_str()).cloned().unwrap_or_default()
        };
        of_alice(&self.pushbell.wait_for_status(what, |status| fits(&of_alice(status))))
    }

    /// The current position in the notification traffic.
    pub(crate) fn mark(&self) -> usize {
        self.desktop.notifications().len()
    }

    /// The first popup since the mark that contains this text.
    #[track_caller]
    pub(crate) fn popup(&self, mark: usize, text: &str) -> Notify {
        let what = format!("a popup that says {text:?}");
        self.desktop
            .notifications()
            .wait_for_notify_since(mark, &what, |notify| format!("{} {}", notify.summary, notify.body).contains(text))
    }
}
