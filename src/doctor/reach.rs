//! Why a homeserver's pushes may not reach us.
//!
//! ```text
//! Asked -> facts (names resolved, addresses tried, a push of our own) -> diagnosis (pure) -> findings
//! ```
//! Nothing is asked but the pusher URL, and where the homeserver's name leads to. Synapse answers 200 to a pusher that it
//! will never deliver to, so its block list, a firewall and its waiting after failures look alike from here: those are
//! likely causes, told with how to tell; everything else is proven.

mod address;
mod diagnosis;
mod facts;
mod likely;
mod probe;
mod server;
#[cfg(test)]
mod tests;
mod url;

use std::net::SocketAddr;

use jiff::Timestamp;

use super::Finding;
use crate::homeserver::BaseUrl;

/// What is known when a push does not come.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The pusher URL that the homeserver was told.
    pub pusher_url: String,
    /// What we listen on.
    pub listen: Vec<SocketAddr>,
    /// Where the homeserver answers.
    pub homeserver: BaseUrl,
    /// What the homeserver calls itself ("Synapse"); empty: unknown.
    pub server: String,
}

/// Looks at the way from the homeserver to us, as far as it can be seen from here. What is proven comes first, then the
/// likeliest cause. Takes at most some seconds.
pub async fn explain(asked: &Asked) -> Vec<Finding> {
    let own_port = |url: &url::PusherUrl| url.https && asked.listen.iter().any(|listen| listen.port() == url.port);
    let tls = url::PusherUrl::parse(&asked.pusher_url).is_some_and(|url| own_port(&url));
    let way = Way { url: asked.pusher_url.clone(), listen: asked.listen.clone(), tls, runs: true };
    examine(&way, Some(&asked.homeserver), &asked.server, Pushed::Never).await
}

/// The end of the way that is ours.
#[derive(Debug, Clone)]
pub(super) struct Way {
    /// The pusher URL.
    pub(super) url: String,
    /// What we listen on.
    pub(super) listen: Vec<SocketAddr>,
    /// We speak TLS there.
    pub(super) tls: bool,
    /// Pushbell runs; else what may answer there is somebody else.
    pub(super) runs: bool,
}

/// Whether the homeserver has ever come through. Once it has, there is nothing to guess.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pushed {
    /// No push has come yet.
    Never,
    /// The last one came then.
    At(Timestamp),
    /// It is not asked: an account that was registered by hand may not be registered at all.
    Unasked,
}

/// The same as [`explain`] at any time, and also where no homeserver is known.
pub(super) async fn examine(way: &Way, homeserver: Option<&BaseUrl>, server: &str, pushed: Pushed) -> Vec<Finding> {
    // Several connections with TLS are too large for the stack.
    let facts = Box::pin(facts::gather(way, homeserver)).await;
    diagnosis::diagnose(&facts, server::Server::named(server), pushed)
}
