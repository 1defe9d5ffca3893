//! Finds the homeserver, and refuses to send secrets to it unencrypted.

use std::{net::IpAddr, time::Duration};

use super::{Failure, Login};
use crate::{
    address::Scope,
    homeserver::{BaseUrl, DiscoveryError, Homeserver, discovery},
    http_client::{DEADLINE, HttpClient, TransportFault},
    reachability,
};

/// Time limit for finding the homeserver.
const PATIENCE: Duration = Duration::from_secs(10);
/// Time limit for TLS where the address may be unencrypted: a plain HTTP server may wait for more input instead of refusing.
const TLS_PATIENCE: Duration = Duration::from_secs(3);

/// The homeserver given by `--homeserver`, else found from the user ID.
pub(super) async fn find(login: &Login<'_>) -> Result<Homeserver, Failure> {
    let http = HttpClient::new()?.allow_downgrade(login.asked.anyway).with_deadline(PATIENCE);
    let found = match &login.asked.homeserver {
        Some(address) => at(&http, address).await?,
        None => discovery::find(&http, &login.user).await,
    };
    let mut homeserver = found.map_err(|error| Failure::Failed(format!("{error}.\n{}", error.advice())))?;
    homeserver.client = homeserver.client.with_deadline(DEADLINE);
    Ok(homeserver)
}

/// The homeserver at this address. An address without a scheme is https; on this computer and in private networks it may be
/// http.
async fn at(http: &HttpClient, address: &str) -> Result<Result<Homeserver, DiscoveryError>, Failure> {
    let encrypted = BaseUrl::parse(address).map_err(Failure::Usage)?;
    if address.contains("://") || !leads_to_private(&encrypted).await {
        return Ok(discovery::check(http, encrypted).await);
    }
    let plain = BaseUrl::parse(&format!("http://{}", address.trim())).map_err(Failure::Usage)?;
    let tls = http.clone().with_deadline(TLS_PATIENCE);
    Ok(match tokio::join!(discovery::check(&tls, encrypted), discovery::check(http, plain)) {
        (Ok(found), _) | (Err(_), Ok(found)) => Ok(found),
        (Err(encrypted), Err(plain)) => Err(if speaks_tls(&encrypted) { encrypted } else { plain }),
    })
}

/// Whether the failure shows that the server speaks TLS.
fn speaks_tls(error: &DiscoveryError) -> bool {
    match error {
        DiscoveryError::Unreachable { error, .. } => matches!(error.fault, TransportFault::Certificate(_)),
        DiscoveryError::NoHomeserver { .. } => true,
        DiscoveryError::WellKnown { .. } | DiscoveryError::Unencrypted { .. } => false,
    }
}

/// Refuses plain http without `--anyway`, except on this computer and in private networks.
pub(super) async fn refuse_unencrypted(login: &Login<'_>, base: &BaseUrl) -> Result<(), Failure> {
    if base.is_https() || login.asked.anyway || leads_to_private(base).await {
        return Ok(());
    }
    Err(Failure::Failed(format!(
        "{base} is not encrypted: whoever is on the way could read the password and every message. Name an https:// \
         address with --homeserver, or take this one with --anyway"
    )))
}

async fn leads_to_private(base: &BaseUrl) -> bool {
    let (host, port) = base.host_and_port();
    are_private(&reachability::resolve(&host, port).await.unwrap_or_default())
}

/// Whether all of these addresses are of this computer or of private networks.
fn are_private(addresses: &[IpAddr]) -> bool {
    let is_private = |address: &IpAddr| matches!(Scope::of(*address), Scope::Loopback | Scope::Local);
    !addresses.is_empty() && addresses.iter().all(is_private)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unencrypted_address_is_taken_in_private_networks_alone() {
        let check = |addresses: &str, expected: bool| {
            let parsed: Vec<IpAddr> = addresses.split_whitespace().map(|address| address.parse().unwrap()).collect();
            assert_eq!(are_private(&parsed), expected, "{addresses}");
        };
        check("127.0.0.1 ::1", true);
        check("192.168.1.5", true);
        check("100.64.0.9 fd00::1", true);
        check("203.0.113.7", false);
        check("192.168.1.5 2001:db8::5", false);
        check("", false);
    }
}
