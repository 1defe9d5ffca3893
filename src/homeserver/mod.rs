//! The homeserver's client-server API, as far as a pusher needs it. Nothing in here exists until it is used: no
//! connection, no certificate store, no thread.
//!
//! | module | what it is |
//! |---|---|
//! | [`https`] | requests with a deadline and a bounded answer, to any `https:` or `http:` address |
//! | [`client`] | one homeserver's API: paths, access token, Matrix errors |
//! | [`discovery`] | from a user ID or an address to a homeserver that answers |
//! | [`server`] | which software it is, and so what its counts mean |
//! | [`login`] | signing in and out, going on with a session |
//! | [`pushers`] | setting, listing and removing http pushers |
//! | [`oauth`] | the OAuth 2.0 API: signing in with a browser, refreshing and revoking |
//! | [`sso`] | signing in with a browser where there is no OAuth 2.0 API |
//! | [`redirect`] | the way back from a browser |
//! | [`notifications`] | what the person was or would have been notified of |
//! | [`events`] | single events, and the names of rooms and of those in them |
//! | [`user_id`] | user IDs and server names |
//! | [`tokens`] | what signing in gives and what has to be kept secret |

pub mod client;
pub mod discovery;
pub mod events;
pub mod https;
pub mod login;
pub mod notifications;
pub mod oauth;
pub mod pushers;
pub mod redirect;
pub mod server;
pub mod sso;
pub mod tokens;
pub mod user_id;

pub use self::{
    client::{HomeserverClient, HomeserverError, Refusal},
    discovery::{DiscoveryError, Homeserver},
    https::{BaseUrl, HttpsClient, TransportError, TransportFault},
    login::{LoginFlows, PasswordLogin},
    pushers::{HttpPusher, ListedPusher},
    tokens::{OAuthClient, Session, Tokens},
    user_id::{InvalidUserId, UserId},
};
