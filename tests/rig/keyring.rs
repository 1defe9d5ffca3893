//! Keyrings on the desktop's session bus: a real one, and one that never answers.

use std::process::Command;

use zbus::Connection;

use super::{Desktop, SOON, bus, process::Part, wait_until};

const SERVICE: &str = "org.freedesktop.secrets";

/// GNOME Keyring, unlocked, as after signing in to a desktop.
pub(crate) struct Keyring {
    _daemon: Part,
}

impl Keyring {
    #[track_caller]
    pub(crate) fn start(desktop: &Desktop) -> Self {
        let mut command = Command::new("/bin/sh");
        // The password comes without a line feed.
        let run = "printf sesame | exec gnome-keyring-daemon --foreground --unlock --components=secrets";
        command.args(["-c", run]);
        let daemon = Part::start("keyring", command, desktop.env(), &desktop.directory().join("logs"));
        let connection = connect(desktop);
        wait_until("there is a default collection", SOON, || {
            let service = (SERVICE, "/org/freedesktop/secrets", "org.freedesktop.Secret.Service");
            let alias = bus::block_on(bus::call(&connection, service, "ReadAlias", &("default",)));
            alias.is_ok_and(|path| path != "/")
        });
        Self { _daemon: daemon }
    }
}

/// Something that has a keyring's name on the bus and says nothing.
pub(crate) struct SilentKeyring(#[expect(dead_code, reason = "it is there")] Connection);

impl SilentKeyring {
    #[track_caller]
    pub(crate) fn start(desktop: &Desktop) -> Self {
        let connection = connect(desktop);
        bus::block_on(connection.request_name(SERVICE)).expect("nobody else has the name");
        Self(connection)
    }
}

fn connect(desktop: &Desktop) -> Connection {
    let env = desktop.env().iter();
    let address = env.rev().find(|(key, _)| key == "DBUS_SESSION_BUS_ADDRESS").map(|(_, value)| value.clone());
    bus::block_on(bus::connect(&address.expect("the desktop has a bus")))
}
