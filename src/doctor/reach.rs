//! Why a homeserver's pushes may not reach us.
//!
//! ```text
//! a pusher URL -> observations (names resolved, addresses tried, a push of our own) -> diagnosis (pure) -> findings
//! ```
//! Nothing is asked but the pusher URL, and where the homeserver's name leads to. Synapse answers 200 to a pusher that it
//! will never deliver to, so its block list, a firewall and its waiting after failures look alike from here: those are
//! hypotheses, told with how to tell; everything else is proven.

mod diagnosis;
mod hypotheses;
mod observations;
mod probe;
mod pusher_url;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;

use jiff::Timestamp;

use super::Finding;
use crate::{
    config,
    homeserver::{BaseUrl, HomeserverKind},
};

/// Looks at the way from the homeserver to us after a pusher was set and no push has come, as far as it can be seen from here. What is proven
/// comes first, then the likeliest cause. Takes at most some seconds. `server`: the configuration of an endpoint that
/// runs.
pub async fn explain(
    pusher_url: &str,
    server: &config::Server,
    homeserver: &BaseUrl,
    kind: &HomeserverKind,
) -> Vec<Finding> {
    let (url, listen) = (pusher_url.to_owned(), server.listen.clone());
    let end = LocalEnd { url, listen, tls: server.tls.is_some(), runs: true };
    examine(&end, Some(homeserver), kind, Pushed::Awaited).await
}

/// Our end of the way.
#[derive(Debug, Clone)]
pub(super) struct LocalEnd {
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
    /// The same, and the pusher was set a moment ago: the homeserver does not wait to try again.
    Awaited,
    /// The last one came then.
    At(Timestamp),
    /// It is not asked: an account that was registered by hand may not be registered at all.
    Unasked,
}

/// The same as [`explain`] at any time, and also where no homeserver is known.
pub(super) async fn examine(
    end: &LocalEnd,
    homeserver: Option<&BaseUrl>,
    kind: &HomeserverKind,
    pushed: Pushed,
) -> Vec<Finding> {
    // Several connections with TLS are too large for the stack.
    let observations = Box::pin(observations::gather(end, homeserver)).await;
    diagnosis::diagnose(&observations, kind, pushed)
}
