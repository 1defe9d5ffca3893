//! A shared connection to a message bus, re-established when the bus has restarted.
//!
//! The connection runs on the tokio runtime of the thread that calls [`Bus::start`]; zbus starts no threads of its own.

use std::{env, future::Future, path::Path, time::Duration};

use futures_util::StreamExt;
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};
use zbus::{
    Connection, MatchRule, Message, MessageStream,
    address::{Address, Transport, transport::UnixSocket},
    connection::Builder,
    message::Type,
    zvariant::OwnedValue,
};

use crate::{backoff::Backoff, platform::watch::FileWatch};

/// Deadline of an answer from a bus or service.
pub const CALL_DEADLINE: Duration = Duration::from_secs(3);

/// The bus itself: name, path, interface.
pub(super) const DAEMON: (&str, &str, &str) = ("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus");

const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(60);

/// A connection that ended sooner than this does not reset the backoff.
const SETTLED: Duration = Duration::from_secs(10);

/// One or more addresses of a bus in D-Bus notation, tried in order.
#[derive(Debug, Clone)]
pub struct BusAddress(Vec<Address>);

impl BusAddress {
    /// The session bus: `DBUS_SESSION_BUS_ADDRESS`, else the socket `bus` in `XDG_RUNTIME_DIR`.
    ///
    /// # Errors
    /// A sentence if the variable contains no address.
    pub fn session() -> Result<Self, String> {
        Self::of_variable("DBUS_SESSION_BUS_ADDRESS", Address::session)
    }

    /// The system bus: `DBUS_SYSTEM_BUS_ADDRESS`, else the usual socket.
    ///
    /// # Errors
    /// A sentence if the variable contains no address.
    pub fn system() -> Result<Self, String> {
        Self::of_variable("DBUS_SYSTEM_BUS_ADDRESS", Address::system)
    }

    /// Parses addresses that are separated by semicolons.
    ///
    /// # Errors
    /// A sentence if one of them is invalid.
    pub fn parse(addresses: &str) -> Result<Self, String> {
        let parse = |address| {
            Address::try_from(address).map_err(|error| format!("\"{address}\" is no address of a D-Bus bus: {error}"))
        };
        addresses.split(';').filter(|address| !address.is_empty()).map(parse).collect::<Result<_, _>>().map(Self)
    }

    fn of_variable(variable: &str, default: fn() -> zbus::Result<Address>) -> Result<Self, String> {
        match env::var(variable) {
            Ok(addresses) if !addresses.is_empty() => {
                Self::parse(&addresses).map_err(|error| format!("environment variable {variable}: {error}"))
            }
            Ok(_) => Err(format!("environment variable {variable} is empty: unset it or give it the bus's address")),
            Err(_) => default().map(|address| Self(vec![address])).map_err(|error| error.to_string()),
        }
    }

    pub(super) async fn connect(&self) -> Result<Connection, String> {
        let mut reason = String::from("it has no address");
        for address in &self.0 {
            match timeout(CALL_DEADLINE, connect(address.clone())).await {
                Ok(Ok(connection)) => return Ok(connection),
                Ok(Err(error)) => reason = format!("{address}: {error}"),
                Err(_) => reason = format!("{address} does not answer"),
            }
        }
        Err(reason)
    }
}

/// The current state of a bus.
#[derive(Debug, Clone)]
pub(super) enum BusState {
    /// The first attempt to connect is under way.
    Connecting,
    /// There is no bus, for this reason.
    Absent(String),
    /// Connected.
    Present(Connection),
}

/// A handle of a bus. Dropping the last one closes the connection.
#[derive(Debug, Clone)]
pub(super) struct Bus(watch::Receiver<BusState>);

impl Bus {
    /// Connects in the background, and reconnects whenever the bus returns.
    #[must_use]
    pub(super) fn start(address: Result<BusAddress, String>) -> Self {
        let (state, receiver) = watch::channel(BusState::Connecting);
        match address {
            Ok(address) => drop(tokio::spawn(keep_connected(address, state))),
            Err(reason) => drop(state.send_replace(BusState::Absent(reason))),
        }
        Self(receiver)
    }

    /// The state, marked as seen. A connection that has ended counts as [`BusState::Connecting`].
    pub(super) fn state(&mut self) -> BusState {
        let state = self.0.borrow_and_update().clone();
        let ended = matches!(&state, BusState::Present(connection) if connection.is_closed());
        if ended { BusState::Connecting } else { state }
    }

    /// Waits for a state that was not seen yet; forever if there will be none.
    pub(super) async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// The connection, if there is one now.
    pub(super) fn connected(&mut self) -> Option<Connection> {
        if let BusState::Present(connection) = self.state() { Some(connection) } else { None }
    }

    /// Waits for a connection.
    pub(super) async fn connection(&mut self) -> Connection {
        loop {
            if let Some(connection) = self.connected() {
                return connection;
            }
            self.changed().await;
        }
    }

    /// Runs `part` on each connection until that ends. Never returns.
    pub(super) async fn serve<F, Part>(mut self, name: &'static str, mut part: F)
    where
        F: FnMut(Connection) -> Part,
        Part: Future<Output = zbus::Result<()>>,
    {
        loop {
            let connection = self.connection().await;
            tokio::select! {
                () = connection.closed() => {}
                result = part(connection.clone()) => {
                    if let Err(error) = result {
                        tracing::debug!("{name} on the bus: {error}");
                    }
                    connection.closed().await;
                }
            }
        }
    }
}

async fn keep_connected(address: BusAddress, state: watch::Sender<BusState>) {
    let mut backoff = Backoff::new(FIRST_RETRY, LAST_RETRY);
    // Set while there is no bus.
    let mut absent: Option<Absence> = None;
    loop {
        match address.connect().await {
            Ok(connection) => {
                absent = None;
                let since = Instant::now();
                state.send_replace(BusState::Present(connection.clone()));
                tokio::select! {
                    () = state.closed() => return,
                    () = connection.closed() => {}
                }
                if since.elapsed() > SETTLED {
                    backoff.reset();
                }
                state.send_replace(BusState::Absent("the bus has ended".into()));
            }
            Err(reason) => {
                tracing::debug!("no bus: {reason}");
                state.send_replace(BusState::Absent(reason));
                if absent.is_none() {
                    absent = Some(Absence::of(&address));
                    // The socket may have been created before the watch.
                    continue;
                }
            }
        }
        let is_retried = absent.as_ref().is_none_or(Absence::is_retried);
        tokio::select! {
            () = state.closed() => return,
            () = socket_changed(absent.as_mut()) => backoff.reset(),
            () = sleep(backoff.next()), if is_retried => {}
        }
    }
}

async fn connect(address: Address) -> zbus::Result<Connection> {
    Builder::address(address)?.build().await
}

/// A period without a bus.
struct Absence {
    since: Instant,
    /// Detects the creation of the socket; `None` if that cannot be watched.
    watch: Option<FileWatch>,
}

impl Absence {
    fn of(address: &BusAddress) -> Self {
        // Of several addresses, any one may become available.
        let only = if let [only] = address.0.as_slice() { socket(only) } else { None };
        let watch = only.and_then(|socket| FileWatch::new([socket.to_owned()]).ok());
        Self { since: Instant::now(), watch }
    }

    /// Whether to retry after a delay. After a while only the socket is watched, so that no timer runs without a bus.
    fn is_retried(&self) -> bool {
        self.watch.is_none() || self.since.elapsed() < LAST_RETRY
    }
}

fn socket(address: &Address) -> Option<&Path> {
    let Transport::Unix(unix) = address.transport() else { return None };
    if let UnixSocket::File(path) = unix.path() { Some(path) } else { None }
}

/// Waits until the socket is created or replaced; forever without a watch.
async fn socket_changed(absence: Option<&mut Absence>) {
    if let Some(watch) = absence.and_then(|absence| absence.watch.as_mut())
        && let Ok(_changed) = watch.changed().await
    {
        return;
    }
    std::future::pending::<()>().await;
}

/// A call under [`CALL_DEADLINE`].
pub(super) async fn within_deadline<T>(call: impl Future<Output = zbus::Result<T>>) -> zbus::Result<T> {
    timeout(CALL_DEADLINE, call).await.unwrap_or_else(|_| Err(zbus::Error::Failure("no answer in time".into())))
}

/// Subscribes to matching signals. The stream must be read: a full one blocks the whole connection.
pub(super) async fn signals(connection: &Connection, rule: MatchRule<'static>) -> zbus::Result<MessageStream> {
    within_deadline(MessageStream::for_match_rule(rule, connection, None)).await
}

/// Subscribes to changes of a well-known name's owner.
pub(super) async fn owner_changes(connection: &Connection, name: &'static str) -> zbus::Result<MessageStream> {
    let rule = MatchRule::builder().msg_type(Type::Signal).sender(DAEMON.0)?.interface(DAEMON.2)?;
    signals(connection, rule.member("NameOwnerChanged")?.add_arg(name)?.build()).await
}

/// Watches the owner of a well-known name.
pub(super) struct NameWatch {
    changes: MessageStream,
    /// Unique name of the owner when the watch began.
    pub(super) owner: Option<String>,
}

impl NameWatch {
    /// Watches a name without starting a service for it.
    pub(super) async fn start(connection: &Connection, name: &'static str) -> zbus::Result<Self> {
        let changes = owner_changes(connection, name).await?;
        Ok(Self { changes, owner: owner_of(connection, name).await? })
    }

    /// The next owner, or `None` when the name is released. Waits forever once the connection has ended.
    pub(super) async fn next(&mut self) -> Option<String> {
        while let Some(Ok(message)) = self.changes.next().await {
            if let Ok((_, _, new)) = message.body().deserialize::<(&str, &str, &str)>() {
                return Some(new.to_owned()).filter(|owner| !owner.is_empty());
            }
        }
        std::future::pending().await
    }
}

/// The unique name of a name's owner.
pub(super) async fn owner_of(connection: &Connection, name: &str) -> zbus::Result<Option<String>> {
    match ask(connection, DAEMON, "GetNameOwner", &name).await {
        Ok(reply) => Ok(Some(reply.body().deserialize()?)),
        Err(zbus::Error::MethodError(..)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether the bus can start a service by this name.
pub(super) async fn is_activatable(connection: &Connection, name: &str) -> zbus::Result<bool> {
    let reply = ask(connection, DAEMON, "ListActivatableNames", &()).await?;
    Ok(reply.body().deserialize::<Vec<String>>()?.iter().any(|other| other == name))
}

/// Calls a method under the deadline. A call to an owner's unique name never starts a service.
pub(super) async fn ask<B>(
    connection: &Connection,
    (destination, path, interface): (&str, &str, &str),
    method: &str,
    arguments: &B,
) -> zbus::Result<Message>
where
    B: serde::Serialize + zbus::zvariant::DynamicType,
{
    within_deadline(connection.call_method(Some(destination), path, Some(interface), method, arguments)).await
}

/// Reads a property under the deadline.
pub(super) async fn property<T>(
    connection: &Connection,
    (destination, path, interface): (&str, &str, &str),
    name: &str,
) -> zbus::Result<T>
where
    T: TryFrom<OwnedValue>,
    T::Error: Into<zbus::Error>,
{
    let properties = (destination, path, "org.freedesktop.DBus.Properties");
    let reply = ask(connection, properties, "Get", &(interface, name)).await?;
    T::try_from(reply.body().deserialize::<OwnedValue>()?).map_err(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_from_a_list() {
        let check = |text: &str, expected: Option<usize>| {
            assert_eq!(BusAddress::parse(text).ok().map(|address| address.0.len()), expected, "{text}");
        };
        check("unix:path=/run/user/1/bus", Some(1));
        check("unix:abstract=/tmp/dbus-x,guid=0123456789abcdef0123456789abcdef;unix:path=/y", Some(2));
        check("nonsense", None);
    }

    #[tokio::test]
    async fn a_bus_in_the_abstract_namespace_is_connected_to() {
        use std::os::{linux::net::SocketAddrExt, unix::net};
        let name = format!("pushbell-test-{}", std::process::id());
        let address = net::SocketAddr::from_abstract_name(&name).expect("a name");
        let listener = net::UnixListener::bind_addr(&address).expect("bound");
        listener.set_nonblocking(true).expect("set");
        let listener = tokio::net::UnixListener::from_std(listener).expect("listening");
        let _bus = Bus::start(BusAddress::parse(&format!("unix:abstract={name}")));
        listener.accept().await.expect("a connection");
    }
}
