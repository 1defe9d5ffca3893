//! The address that the homeserver reaches us at: found, or made so with the person's leave.

use std::{
    io::Write,
    net::{Ipv4Addr, SocketAddr},
};

use super::{Failure, Login};
use crate::{
    app::write_default_config,
    config::{self, Config},
    control::{AskError, Request, ask},
    homeserver::{BaseUrl, HomeserverKind},
    platform::files,
    reachability::{self, Location, Route},
};

/// The configuration, changed if need be, and the base address that the homeserver is to push to.
///
/// # Errors
/// When it cannot reach us, unless the person has said that this does not matter.
pub(super) async fn settle(
    login: &Login<'_>,
    config: Config,
    base: &BaseUrl,
    kind: &HomeserverKind,
    out: &mut dyn Write,
) -> Result<(Config, String), Failure> {
    let seen = reachability::observe(base).await;
    match (reachability::route(&config.server, seen.location, kind), seen.location) {
        (Route::Open(url), _) => Ok((config, url)),
        (Route::Listen(address), _) => offer_to_listen(login, config, (address, seen.source), out).await,
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

async fn offer_to_listen(
    login: &Login<'_>,
    config: Config,
    (address, source): (SocketAddr, Option<Ipv4Addr>),
    out: &mut dyn Write,
) -> Result<(Config, String), Failure> {
    let path = &login.context.paths.config;
    let url = format!("{}://{address}", config.server.scheme());
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
        return anyway(login, config, source);
    }
    let failed = |reason: String| Failure::Failed(format!("{}: {reason}; write the lines yourself", path.display()));
    write_default_config(path).map_err(|error| failed(error.to_string()))?;
    let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    let changed = config::with_server(&text, &listen, &url).map_err(|error| failed(error.to_string()))?;
    files::replace_private(path, changed.as_bytes()).map_err(|error| failed(error.to_string()))?;
    match ask(&login.context.paths, &Request::ReloadConfiguration) {
        // It watches the file, too.
        Ok(_) | Err(AskError::NotRunning | AskError::Unreachable { .. }) => {}
        Err(error @ AskError::NoAnswer(_)) => return Err(error.into()),
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

/// Goes on with the address that is configured, if the person has said so and it is one.
fn anyway(login: &Login<'_>, config: Config, source: Option<Ipv4Addr>) -> Result<(Config, String), Failure> {
    if !login.asked.anyway {
        return Err(Failure::Told(crate::failure::FAILED));
    }
    match reachability::unproven_base_url(&config.server, source) {
        Some(url) => Ok((config, url)),
        None => Err(Failure::Failed(format!(
            "{} is no address that a homeserver can push to: set server.public_url in {} to one",
            config.server.base_url(),
            login.context.paths.config.display()
        ))),
    }
}
