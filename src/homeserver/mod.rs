//! The homeserver's client-server API, as far as a pusher needs it. Nothing in here exists until it is used: no
//! connection, no certificate store, no thread.
//!
//! | module | what it is |
//! |---|---|
//! | [`https`] | requests with a deadline and a bounded answer, to any `https:` or `http:` address |
//! | [`client`] | one homeserver's API: paths, access token, Matrix errors |
//! | [`pushers`] | setting, listing and removing http pushers |
//! | [`notifications`] | what the person was or would have been notified of |
//! | [`events`] | single events, and the names of rooms and of those in them |
//! | [`user_id`] | user IDs and server names |
//! | [`tokens`] | what signing in gives and what has to be kept secret |

pub mod client;
pub mod events;
pub mod https;
pub mod notifications;
pub mod pushers;
pub mod tokens;
pub mod user_id;

pub use self::{
    client::{HomeserverClient, HomeserverError, Refusal},
    https::{BaseUrl, HttpsClient, TransportError, TransportFault},
    pushers::{HttpPusher, ListedPusher},
    tokens::{OAuthClient, Session, Tokens},
    user_id::{InvalidUserId, UserId},
};
