//! Why a homeserver's pushes may not reach us.
//!
//! ```text
//! a pusher URL -> observations (names resolved, addresses tried, a push of our own) -> diagnosis (pure) -> findings
//! ```
//! Requests go only to the pusher URL and to name servers. Synapse answers 200 to a pusher that it will never deliver to, so its
//! block list, a firewall and its back-off look alike from here: those are hypotheses, each with a way to check it. Everything
//! else is proven.

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
use crate::homeserver::{BaseUrl, HomeserverKind};

/// Our endpoint, as homeservers reach it.
#[derive(Debug, Clone)]
pub(crate) struct LocalEnd {
    /// The pusher URL.
    pub(crate) url: String,
    /// What we listen on.
    pub(crate) listen: Vec<SocketAddr>,
    /// We speak TLS there.
    pub(crate) tls: bool,
    /// Pushbell is running; otherwise another program may answer there.
    pub(crate) runs: bool,
}

/// Whether a push of the homeserver has ever arrived. Once one has, there are no hypotheses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// No push has come yet.
    Never,
    /// As `Never`, but the pusher was just set: the homeserver is not backing off.
    Awaited,
    /// Time of the last one.
    At(Timestamp),
    /// Unknown: an account registered by hand may have no pusher at all.
    Unasked,
}

/// Examines the path from the homeserver to us, as far as it can be observed from here: proven faults first, then the
/// likeliest causes. Takes a few seconds at most. `homeserver` is `None` if it is unknown.
pub(crate) async fn examine(
    end: &LocalEnd,
    homeserver: Option<&BaseUrl>,
    kind: &HomeserverKind,
    pushed: Pushed,
) -> Vec<Finding> {
    // The future of several TLS connections is too large for the stack.
    let observations = Box::pin(observations::gather(end, homeserver)).await;
    diagnosis::diagnose(&observations, kind, pushed)
}
