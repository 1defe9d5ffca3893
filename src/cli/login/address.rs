//! The address that the homeserver reaches us at: found, or made so with the person's leave.

use std::{
    io::Write,
    net::{IpAddr, SocketAddr, UdpSocket},
};

use super::{
    Failure, Login, failure,
    whereabouts::{OwnAddress, Way, Whereabouts, way, whereabouts},
};
use crate::{
    config::{self, Config},
    control::{AskError, Request, ask},
    homeserver::BaseUrl,
    platform::{files, network},
};

/// The configuration, changed if need be, and the base address that the homeserver is to push to.
///
/// # Errors
/// When it cannot reach us, unless the person has said that this does not matter.
pub(super) async fn settle(
    login: &Login<'_>,
    config: Config,
    base: &BaseUrl,
    software: &str,
    out: &mut dyn Write,
) -> Result<(Config, String), Failure> {
    // tuwunel refuses a pusher on loopback.
    let accepts_loopback = !software.eq_ignore_ascii_case("tuwunel");
    let scheme = if config.server.tls.is_some() { "https" } else { "http" };
    let seen = look(base).await;
    match (way(config.server.public_url.as_deref(), scheme, &config.server.listen, seen, accepts_loopback), seen) {
        (Way::Open(url), _) => Ok((config, url)),
        (Way::Listen(address), _) => offer_to_listen(login, config, address, out).await,
        (Way::Closed, Whereabouts::Here) => {
            writeln!(
                out,
                "{software} does not push to a loopback address. Set server.listen in {} to an address of your network, \
                 then sign in again.",
                login.context.paths.config.display()
            )?;
            anyway(login, config)
        }
        (Way::Closed, Whereabouts::SameNetwork(_) | Whereabouts::Elsewhere) => {
            out_of_reach(login, &config, out)?;
            anyway(login, config)
        }
    }
}

/// Where the homeserver is, seen from here.
async fn look(base: &BaseUrl) -> Whereabouts {
    let (host, port) = base.host_and_port();
    let Ok(found) = tokio::net::lookup_host((host.as_str(), port)).await else { return Whereabouts::Elsewhere };
    let theirs: Vec<SocketAddr> = found.collect();
    let ours: Vec<_> = network::addresses().into_iter().map(|(ip, prefix)| OwnAddress { ip, prefix }).collect();
    let source = theirs.iter().filter(|address| address.is_ipv4()).find_map(|address| source_to(*address));
    whereabouts(&theirs.iter().map(SocketAddr::ip).collect::<Vec<_>>(), &ours, source)
}

/// The address that this computer would speak from. Nothing is sent.
fn source_to(address: SocketAddr) -> Option<IpAddr> {
    let socket = UdpSocket::bind(("0.0.0.0", 0)).ok()?;
    socket.connect(address).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

async fn offer_to_listen(
    login: &Login<'_>,
    config: Config,
    address: SocketAddr,
    out: &mut dyn Write,
) -> Result<(Config, String), Failure> {
    let path = &login.context.paths.config;
    let url = format!("{}://{address}", if config.server.tls.is_some() { "https" } else { "http" });
    let listen: Vec<String> = config.server.listen.iter().chain([&address]).map(ToString::to_string).collect();
    let quoted = listen.iter().map(|address| format!("\"{address}\"")).collect::<Vec<_>>().join(", ");
    let (place, warning) = if address.ip().is_loopback() {
        ("on this computer", "")
    } else {
        ("in your network", "\nWhoever is in that network can then reach Pushbell, and see the pushes on their way.\n")
    };
    write!(
        out,
        "It is {place}, but Pushbell does not listen at {address}. These lines in {} change that:\n\n  \
         [server]\n  listen = [{quoted}]\n  public_url = \"{url}\"\n{warning}",
        path.display()
    )?;
    let write_it = match login.terminal {
        Some(terminal) => terminal.confirm(out, "Write them?", true).await?,
        None => false,
    };
    if !write_it {
        return anyway(login, config);
    }
    let failed = |reason: String| Failure::Failed(format!("{}: {reason}; write the lines yourself", path.display()));
    config::write_default(path).map_err(|error| failed(error.to_string()))?;
    let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    let changed = config::with_server(&text, &listen, &url).map_err(failed)?;
    files::replace_private(path, changed.as_bytes()).map_err(|error| failed(error.to_string()))?;
    match ask(&login.context.paths.control, &Request::ReloadConfiguration) {
        Ok(_) | Err(AskError::NotRunning) => {}
        Err(error @ (AskError::Unreachable { .. } | AskError::NoAnswer(_))) => return Err(error.into()),
    }
    writeln!(out, "Written.")?;
    Ok((Config::load(path)?, url))
}

fn out_of_reach(login: &Login<'_>, config: &Config, out: &mut dyn Write) -> Result<(), Failure> {
    let listen = config.server.listen.first().map(ToString::to_string).unwrap_or_default();
    writeln!(
        out,
        "It is somewhere else, and cannot reach this computer ({listen}) by itself: something has to stand between, a \
         VPN, a tunnel or a proxy. For example, if you have a web server with Caddy:\n\n  \
         push.example.org {{\n    reverse_proxy {listen}\n  }}\n\n\
         Then tell Pushbell its address in {}, and sign in again:\n\n  \
         [server]\n  public_url = \"https://push.example.org\"\n\n\
         docs/connect.md has recipes for Tailscale, WireGuard, SSH, Caddy and nginx.",
        login.context.paths.config.display()
    )?;
    Ok(())
}

/// Goes on with the address that is configured, if the person has said so.
fn anyway(login: &Login<'_>, config: Config) -> Result<(Config, String), Failure> {
    if login.asked.anyway {
        let url = config.server.base_url();
        return Ok((config, url));
    }
    Err(Failure::Told(failure::FAILED))
}
