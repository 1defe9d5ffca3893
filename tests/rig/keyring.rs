//! Keyrings on the desktop's session bus: a real one, and one that never answers.

use std::{collections::HashMap, process::Command};

use zbus::{
    Connection,
    zvariant::{ObjectPath, Value},
};

use super::{Desktop, SOON, bus, process::Part, wait_until};

const SERVICE: &str = "org.freedesktop.secrets";
const COLLECTION: &str = "/org/freedesktop/secrets/collection/login";

/// GNOME Keyring, unlocked, as after a desktop login.
pub(crate) struct Keyring {
    _daemon: Part,
    connection: Connection,
}

impl Keyring {
    #[track_caller]
    pub(crate) fn start(desktop: &Desktop) -> Self {
        let mut command = Command::new("/bin/sh");
        // The password must not end in a newline.
        let run = "printf sesame | exec gnome-keyring-daemon --foreground --unlock --components=secrets";
        command.args(["-c", run]);
        let daemon = Part::start("keyring", command, desktop.env(), &desktop.directory().join("logs"));
        let connection = connect(desktop);
        wait_until("there is a default collection", SOON, || {
            let service = (SERVICE, "/org/freedesktop/secrets", "org.freedesktop.Secret.Service");
            let alias = bus::block_on(bus::call(&connection, service, "ReadAlias", &("default",)));
            alias.is_ok_and(|path| path != "/")
        });
        Self { _daemon: daemon, connection }
    }

    /// Locks it. Its unlock prompt stays unanswered.
    #[track_caller]
    pub(crate) fn lock(&self) {
        let service = (SERVICE, "/org/freedesktop/secrets", "org.freedesktop.Secret.Service");
        let collection = [ObjectPath::try_from(COLLECTION).expect("a path")];
        bus::block_on(bus::call(&self.connection, service, "Lock", &(&collection[..],))).expect("it locks");
    }

    /// Unlocks it, as with its password.
    #[track_caller]
    pub(crate) fn unlock(&self) {
        let unlocked = bus::block_on(async {
            let service = (SERVICE, "/org/freedesktop/secrets", "org.freedesktop.Secret.Service");
            let session = bus::call(&self.connection, service, "OpenSession", &("plain", Value::from(""))).await?;
            let session = session[1].as_str().and_then(|path| ObjectPath::try_from(path.to_owned()).ok());
            let secret = (session.expect("a session"), Vec::<u8>::new(), b"sesame".to_vec(), "text/plain");
            let service =
                (SERVICE, "/org/freedesktop/secrets", "org.gnome.keyring.InternalUnsupportedGuiltRiddenInterface");
            let collection = ObjectPath::try_from(COLLECTION).expect("a path");
            bus::call(&self.connection, service, "UnlockWithMasterPassword", &(collection, secret)).await
        });
        unlocked.expect("it unlocks");
    }

    /// The secrets whose label contains this, as text.
    #[track_caller]
    pub(crate) fn secrets_of(&self, label: &str) -> Vec<String> {
        bus::block_on(secrets(&self.connection, label)).expect("the keyring answers")
    }
}

/// Owns a keyring's bus name and never answers.
pub(crate) struct SilentKeyring(#[expect(dead_code, reason = "it is there")] Connection);

impl SilentKeyring {
    #[track_caller]
    pub(crate) fn start(desktop: &Desktop) -> Self {
        let connection = connect(desktop);
        bus::block_on(connection.request_name(SERVICE)).expect("nobody else has the name");
        Self(connection)
    }
}

async fn secrets(connection: &Connection, label: &str) -> zbus::Result<Vec<String>> {
    let service = (SERVICE, "/org/freedesktop/secrets", "org.freedesktop.Secret.Service");
    let session = bus::call(connection, service, "OpenSession", &("plain", Value::from(""))).await?;
    let session = session[1].as_str().and_then(|path| ObjectPath::try_from(path.to_owned()).ok());
    let session = session.expect("a session, after what is agreed on for it");
    let found = bus::call(connection, service, "SearchItems", &(HashMap::<&str, &str>::new(),)).await?;
    let mut secrets = Vec::new();
    for item in found[0].as_array().into_iter().flatten().filter_map(|item| item.as_str()) {
        let item = (SERVICE, item, "org.freedesktop.Secret.Item");
        if bus::property(connection, item, "Label").await?.as_str().is_some_and(|text| text.contains(label)) {
            let secret = bus::call(connection, item, "GetSecret", &(&session,)).await?;
            let bytes = secret[2].as_array().into_iter().flatten().filter_map(|byte| u8::try_from(byte.as_u64()?).ok());
            secrets.push(String::from_utf8(bytes.collect()).expect("text"));
        }
    }
    Ok(secrets)
}

fn connect(desktop: &Desktop) -> Connection {
    let env = desktop.env().iter();
    let address = env.rev().find(|(key, _)| key == "DBUS_SESSION_BUS_ADDRESS").map(|(_, value)| value.clone());
    bus::block_on(bus::connect(&address.expect("the desktop has a bus")))
}
