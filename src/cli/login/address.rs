//! The address at which the homeserver reaches us: found, or configured with the user's consent.

use std::{
    io::Write,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
};

use super::{Failure, Login};
use crate::{
    app::write_default_config,
    config::{self, Config, ServerLines},
    control::Request,
    homeserver::{BaseUrl, HomeserverKind},
    invocation,
    platform::{files, host},
    reachability::{self, Location, Route},
};

/// Returns the configuration, changed if necessary, and the base address for the homeserver's pushes; `None` if it cannot push
/// to us and none is needed.
///
/// # Errors
/// When it cannot reach us, pushes are needed, and `--anyway` was not given.
pub(super) async fn settle(
    login: &Login<'_>,
    config: Config,
    base: &BaseUrl,
    kind: &HomeserverKind,
    out: &mut dyn Write,
) -> Result<(Config, Option<String>), Failure> {
    let seen = reachability::observe(base).await;
    if seen.location == Location::Here
        && let Some((bridge, lines)) = is_in_container(login, &config.server, out).await?
    {
        let written = write_lines(login, lines, out)?;
        if let Some(allowance) = kind.allowance(&[bridge]) {
            let (name, line) = (kind.name(), allowance.paste);
            writeln!(out, "And this in the configuration of {name}, which then has to be restarted:\n\n  {line}\n")?;
        }
        return Ok(written);
    }
    match (reachability::route(&config.server, seen.location, kind), seen.location) {
        (Route::Open(url), _) => Ok((config, Some(url))),
        (Route::Listen(address), _) => offer_to_listen(login, config, (address, seen.source), out).await,
        (Route::Closed, _) if login.can_listen() && !login.asked.anyway => {
            writeln!(
                out,
                "It cannot reach this computer by itself. So Pushbell keeps a connection to it open, over which it says what \
                 is new. To have it push instead, see {}",
                invocation::documentation("connect.md")
            )?;
            Ok((config, None))
        }
        (Route::Closed, Location::Here) => {
            writeln!(
                out,
                "{} does not push to a loopback address. Set server.listen in {} to an address of your network, \
                 then sign in again.",
                kind.name(),
                login.context.paths.config.display()
            )?;
            anyway(login, config, seen.source)
        }
        (Route::Closed, Location::SameNetwork(_) | Location::Elsewhere | Location::Unknown) => {
            out_of_reach(login, &config, out)?;
            anyway(login, config, seen.source)
        }
    }
}

/// If this computer has a container bridge and no public address is configured, asks whether the homeserver runs in a container.
/// If so, returns the bridge's address and the necessary lines.
async fn is_in_container(
    login: &Login<'_>,
    server: &config::Server,
    out: &mut dyn Write,
) -> Result<Option<(IpAddr, ServerLines)>, Failure> {
    let bridge = host::container_bridge().filter(|_| server.public_url.is_none() && login.person.is_some());
    let Some(address) = bridge.and_then(|bridge| reachability::at_bridge(server, bridge)) else { return Ok(None) };
    let lines = ServerLines::adding(&server.listen, server.scheme(), address);
    write!(
        out,
        "It is on this computer. If it runs in a container (Docker, Podman), 127.0.0.1 is not this computer in there, \
         and it needs these lines in {}:\n\n{}\nFor a name in their place (host.docker.internal) see \"Container\" in {}\n\n",
        login.context.paths.config.display(),
        indented(&lines),
        invocation::documentation("connect.md")
    )?;
    let answer = login.confirm(out, "Does it run in a container? Then they are written.", false).await?;
    Ok((answer == Some(true)).then_some((address.ip(), lines)))
}

async fn offer_to_listen(
    login: &Login<'_>,
    config: Config,
    (address, source): (SocketAddr, Option<Ipv4Addr>),
    out: &mut dyn Write,
) -> Result<(Config, Option<String>), Failure> {
    let lines = ServerLines::adding(&config.server.listen, config.server.scheme(), address);
    let (place, warning) = if address.ip().is_loopback() {
        ("on this computer", "")
    } else {
        ("in your network", "\nWhoever is in that network can then reach Pushbell, and see the pushes on their way.\n")
    };
    write!(
        out,
        "It is {place}, but Pushbell does not listen at {address}. These lines in {} change that:\n\n{}{warning}",
        login.context.paths.config.display(),
        indented(&lines)
    )?;
    match login.confirm(out, "Write them?", true).await? {
        Some(true) => write_lines(login, lines, out),
        Some(false) | None => anyway(login, config, source),
    }
}

/// The lines, indented for display.
fn indented(lines: &ServerLines) -> String {
    format!("  [server]\n  {}\n", lines.to_string().replace('\n', "\n  "))
}

/// Changes the configuration file, and has a running program reload it.
fn write_lines(
    login: &Login<'_>,
    lines: ServerLines,
    out: &mut dyn Write,
) -> Result<(Config, Option<String>), Failure> {
    let path = &login.context.paths.config;
    change(path, &lines)
        .map_err(|reason| Failure::Failed(format!("{}: {reason}; write the lines yourself", path.display())))?;
    login.context.tell(&Request::ReloadConfiguration)?;
    writeln!(out, "Written.")?;
    Ok((Config::load(path)?, Some(lines.public_url)))
}

fn change(path: &Path, lines: &ServerLines) -> Result<(), String> {
    write_default_config(path).map_err(|error| error.to_string())?;
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let changed = config::with_server(&text, lines).map_err(|error| error.to_string())?;
    files::replace_private(path, changed.as_bytes()).map_err(|error| error.to_string())
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
         There are recipes for Tailscale, WireGuard, SSH, Caddy, nginx and containers in\n{}",
        login.context.paths.config.display(),
        invocation::documentation("connect.md")
    )?;
    Ok(())
}

/// With `--anyway`, continues with the configured address if a homeserver can push to it; else without one if the account can
/// listen.
fn anyway(login: &Login<'_>, config: Config, source: Option<Ipv4Addr>) -> Result<(Config, Option<String>), Failure> {
    if !login.asked.anyway && login.can_listen() {
        return Ok((config, None));
    }
    if !login.asked.anyway {
        return Err(Failure::Reported(crate::failure::FAILED));
    }
    match reachability::unproven_base_url(&config.server, source) {
        Some(url) => Ok((config, Some(url))),
        None => Err(Failure::Failed(format!(
            "{} is no address that a homeserver can push to: set server.public_url in {} to one",
            config.server.base_url(),
            login.context.paths.config.display()
        ))),
    }
}
