//! The private session and system buses, and the rig's own connections to them.

use std::{future::Future, path::Path, process::Command, sync::OnceLock};

use zbus::{Connection, connection, names::BusName, object_server::Interface};

use super::{SOON, process::Part, wait_until};

/// Runs a future on the rig's runtime: it serves all D-Bus connections and HTTP of the rig in the background.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    runtime().block_on(future)
}

pub(crate) fn runtime() -> &'static tokio::runtime::Runtime {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime can be made")
    })
}

/// The address of the bus with this socket name in this directory: "bus" or "system-bus".
pub(crate) fn address(run: &Path, name: &str) -> String {
    format!("unix:path={}", run.join(name).display())
}

/// Starts the bus, without service activation: a popup must not start a notification service behind a test's back.
pub(crate) fn start(run: &Path, name: &str, env: &[(String, String)], logs: &Path) -> Part {
    let socket = run.join(name);
    let _ = std::fs::remove_file(&socket);
    let config = run.join(name).with_extension("conf");
    let text = format!(
        r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><keep_umask/><listen>{}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy>
<limit name="max_replies_per_connection">50000</limit></busconfig>"#,
        address(run, name)
    );
    std::fs::write(&config, text).expect("the run directory is writable");
    let mut command = Command::new("dbus-daemon");
    command.arg(format!("--config-file={}", config.display())).args(["--nofork", "--nopidfile", "--nosyslog"]);
    let bus = Part::start(name, command, env, logs);
    wait_until(&format!("the {name} listens"), SOON, || std::os::unix::net::UnixStream::connect(&socket).is_ok());
    bus
}

/// A new connection for the rig.
pub(crate) async fn connect(address: &str) -> Connection {
    builder(address).build().await.expect("the bus answers")
}

/// A new connection that serves an object from the start: calls that arrive before an object is added later may be
/// lost.
pub(crate) async fn connect_serving(address: &str, path: &str, object: impl Interface) -> Connection {
    let builder = builder(address).serve_at(path.to_owned(), object).expect("the path is well-formed");
    builder.build().await.expect("the bus answers")
}

fn builder(address: &str) -> connection::Builder<'_> {
    connection::Builder::address(address).expect("the address is well-formed")
}

/// Whether the name has an owner.
pub(crate) async fn has_owner(connection: &Connection, name: &str) -> bool {
    let name = BusName::try_from(name).expect("a bus name");
    match zbus::fdo::DBusProxy::new(connection).await {
        Ok(bus) => bus.name_has_owner(name).await.unwrap_or(false),
        Err(_) => false,
    }
}

/// Calls a method; returns the reply's values as JSON (an array if there are several).
pub(crate) async fn call<B: serde::Serialize + zbus::zvariant::DynamicType>(
    connection: &Connection,
    (service, path, interface): (&str, &str, &str),
    method: &str,
    arguments: &B,
) -> zbus::Result<serde_json::Value> {
    let reply = connection.call_method(Some(service), path, Some(interface), method, arguments).await?;
    let body = reply.body();
    if body.signature() == "" {
        return Ok(serde_json::Value::Null);
    }
    let mut values = fields(&body.deserialize::<zbus::zvariant::Structure<'_>>()?);
    Ok(if values.len() == 1 { values.remove(0) } else { serde_json::Value::Array(values) })
}

/// A property's value as JSON.
pub(crate) async fn property(
    connection: &Connection,
    (service, path, interface): (&str, &str, &str),
    name: &str,
) -> zbus::Result<serde_json::Value> {
    call(connection, (service, path, "org.freedesktop.DBus.Properties"), "Get", &(interface, name)).await
}

/// The fields of a message as JSON.
pub(crate) fn fields(structure: &zbus::zvariant::Structure<'_>) -> Vec<serde_json::Value> {
    structure.fields().iter().map(json).collect()
}

/// A D-Bus value as JSON: variants are unwrapped, dictionaries become objects, structures become arrays.
pub(crate) fn json(value: &zbus::zvariant::Value<'_>) -> serde_json::Value {
    use zbus::zvariant::Value;
    match value {
        Value::U8(number) => (*number).into(),
        Value::Bool(flag) => (*flag).into(),
        Value::I16(number) => (*number).into(),
        Value::U16(number) => (*number).into(),
        Value::I32(number) => (*number).into(),
        Value::U32(number) => (*number).into(),
        Value::I64(number) => (*number).into(),
        Value::U64(number) => (*number).into(),
        Value::F64(number) => (*number).into(),
        Value::Str(text) => text.as_str().into(),
        Value::Signature(signature) => signature.to_string().into(),
        Value::ObjectPath(path) => path.as_str().into(),
        Value::Value(inner) => json(inner),
        Value::Array(array) => array.iter().map(json).collect::<Vec<_>>().into(),
        Value::Dict(dict) => dict
            .iter()
            .map(|(key, value)| match key {
                Value::Str(key) => (key.to_string(), json(value)),
                other => (json(other).to_string(), json(value)),
            })
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Value::Structure(structure) => fields(structure).into(),
        Value::Fd(_) => serde_json::Value::Null,
    }
}
