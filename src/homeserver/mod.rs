//! The homeserver's client-server API, as far as a pusher needs it. Nothing in here exists until it is used: no
//! connection, no certificate store, no thread.
//!
//! | module | what it is |
//! |---|---|
//! | [`https`] | requests with a deadline and a bounded answer, to any `https:` or `http:` address |
//! | [`client`] | one homeserver's API: paths, access token, Matrix errors |
//! | [`pushers`] | setting, listing and removing http pushers |
//! | [`oauth`] | the OAuth 2.0 API: signing in with a browser, refreshing and revoking |
//! | [`sso`] | signing in with a browser where there is no OAuth 2.0 API |
//! | [`redirect`] | the way back from a browser |
//! | [`user_id`] | user IDs and server names |
//! | [`tokens`] | what signing in gives and what has to be kept secret |

pub mod client;
pub mod https;
pub mod oauth;
pub mod pushers;
pub mod redirect;
pub mod sso;
pub mod tokens;
pub mod user_id;

pub use self::{
    client::{HomeserverClient, HomeserverError, Refusal},
    https::{BaseUrl, HttpsClient, TransportError, TransportFault},
    pushers::{HttpPusher, ListedPusher},
    tokens::{OAuthClient, Session, Tokens},
    user_id::{InvalidUserId, UserId},
};
