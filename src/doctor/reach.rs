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
use crate::homeserver::{BaseUrl, HomeserverKind};

/// Our end of the way.
#[derive(Debug, Clone)]
pub(crate) struct LocalEnd {
    /// The pusher URL.
    pub(crate) url: String,
    /// What we listen on.
    pub(crate) listen: Vec<SocketAddr>,
    /// We speak TLS there.
    pub(crate) tls: bool,
    /// Pushbell runs; else what may answer there is somebody else.
    pub(crate) runs: bool,
}

/// Whether the homeserver has ever come through. Once it has, there is nothing to guess.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// No push has come yet.
    Never,
    /// The same, and the pusher was set a moment ago: the homeserver does not wait to try again.
    Awaited,
    /// The last one came then.
    At(Timestamp),
    /// It is not asked: an account that was registered by hand may not be registered at all.
    Unasked,
}

/// Looks at the way from the homeserver to us, as far as it can be seen from here: what is proven comes first, then the
/// likeliest cause. Takes at most some seconds. `homeserver`: `None` where none is known.
pub(crate) async fn examine(
    end: &LocalEnd,
    homeserver: Option<&BaseUrl>,
    kind: &HomeserverKind,
    pushed: Pushed,
) -> Vec<Finding> {
    // Several connections with TLS are too large for the stack.
    let observations = Box::pin(observations::gather(end, homeserver)).await;
    diagnosis::diagnose(&observations, kind, pushed)
}
