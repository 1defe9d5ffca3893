//! Queries the services on the session bus once, by their owners' unique names, so that none is started.

use std::{future::Future, time::Duration};

use tokio::time::timeout;
use zbus::{Connection, zvariant::OwnedObjectPath};

use super::{
    bus::{self, BusAddress},
    do_not_disturb, popups, screen_lock, tray_host,
};
use crate::{
    desktop::{ServiceState, popup_services::PopupService},
    platform::probe::{Seen, Surroundings},
};

/// Deadline of all calls to one service.
const SERVICE_TIMEOUT: Duration = Duration::from_millis(2500);

const SECRETS: &str = "org.freedesktop.secrets";
const SECRETS_PATH: &str = "/org/freedesktop/secrets";

/// Queries all parts concurrently, in about six seconds at most.
pub(crate) async fn surroundings() -> Surroundings {
    let (session, system) = tokio::join!(connect(BusAddress::session()), connect(BusAddress::system()));
    let system = system.ok();
    let connection = match session {
        Ok(connection) => connection,
        Err(reason) => {
            return Surroundings {
                session_bus: Seen::Absent(reason),
                popups: Seen::NoSessionBus,
                capabilities: Vec::new(),
                do_not_disturb: false,
                tray: Seen::NoSessionBus,
                screen_lock: in_time(lock(None, system.as_ref())).await,
                keyring: Seen::NoSessionBus,
            };
        }
    };
    let (mut capabilities, mut do_not_disturb) = (Vec::new(), false);
    let (popups, tray, screen_lock, keyring) = tokio::join!(
        in_time(notifications(&connection, &mut capabilities, &mut do_not_disturb)),
        in_time(tray(&connection)),
        in_time(lock(Some(&connection), system.as_ref())),
        in_time(keyring(&connection)),
    );
    let session_bus = Seen::Present(String::new());
    Surroundings { session_bus, popups, capabilities, do_not_disturb, tray, screen_lock, keyring }
}

async fn connect(address: Result<BusAddress, String>) -> Result<Connection, String> {
    address?.connect().await
}

/// The answer of a part within its deadline. An error from the service is an answer as well.
async fn in_time(part: impl Future<Output = zbus::Result<Seen>>) -> Seen {
    match timeout(SERVICE_TIMEOUT, part).await {
        Ok(Ok(seen)) => seen,
        Ok(Err(zbus::Error::MethodError(name, reason, _))) => Seen::Absent(reason.unwrap_or_else(|| name.to_string())),
        Ok(Err(_)) | Err(_) => Seen::Silent,
    }
}

async fn notifications(
    connection: &Connection,
    capabilities: &mut Vec<String>,
    do_not_disturb: &mut bool,
) -> zbus::Result<Seen> {
    let Some(owner) = bus::owner_of(connection, popups::NAME).await? else {
        return without_owner(connection, popups::NAME, "notification service").await;
    };
    let service = (owner.as_str(), popups::PATH, popups::NAME);
    let reply = bus::ask(connection, service, "GetServerInformation", &()).await?;
    let (name, vendor, version, _): (String, String, String, String) = reply.body().deserialize()?;
    *capabilities = bus::ask(connection, service, "GetCapabilities", &()).await?.body().deserialize()?;
    let service = PopupService { name, vendor, version, ..PopupService::default() };
    *do_not_disturb = do_not_disturb::ask(Some(connection), service.needs().do_not_disturb).await;
    Ok(Seen::Present(service.to_string()))
}

async fn tray(connection: &Connection) -> zbus::Result<Seen> {
    let owner = bus::owner_of(connection, tray_host::NAME).await?;
    Ok(match tray_host::state(connection, owner.as_deref()).await {
        ServiceState { available: true, .. } => Seen::Present("a panel shows tray icons".to_owned()),
        ServiceState { available: false, reason } => Seen::Absent(reason.unwrap_or_default()),
    })
}

async fn lock(session: Option<&Connection>, system: Option<&Connection>) -> zbus::Result<Seen> {
    Ok(match screen_lock::ask(session, system).await {
        Some(true) => Seen::Present("the screen is locked".to_owned()),
        Some(false) => Seen::Present("the screen is not locked".to_owned()),
        None => Seen::Absent("nobody can say whether the screen is locked".to_owned()),
    })
}

async fn keyring(connection: &Connection) -> zbus::Result<Seen> {
    let Some(owner) = bus::owner_of(connection, SECRETS).await? else {
        return without_owner(connection, SECRETS, "keyring (Secret Service)").await;
    };
    let service = (owner.as_str(), SECRETS_PATH, "org.freedesktop.Secret.Service");
    let reply = bus::ask(connection, service, "ReadAlias", &"default").await?;
    let collection: OwnedObjectPath = reply.body().deserialize()?;
    if collection.as_str() == "/" {
        return Ok(Seen::Absent("the keyring has no default collection".to_owned()));
    }
    let collection = (owner.as_str(), collection.as_str(), "org.freedesktop.Secret.Collection");
    let locked: bool = bus::property(connection, collection, "Locked").await?;
    Ok(if locked { Seen::Absent("the keyring is locked".to_owned()) } else { Seen::Present("unlocked".to_owned()) })
}

/// The bus may be able to start a service that does not run.
async fn without_owner(connection: &Connection, name: &str, what: &str) -> zbus::Result<Seen> {
    Ok(if bus::is_activatable(connection, name).await? {
        Seen::Present(format!("the {what} starts when it is needed"))
    } else {
        Seen::Absent(format!("there is no {what}"))
    })
}
