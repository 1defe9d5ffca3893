//! The homeserver's client-server API, as far as a pusher needs it. Nothing in here exists until it is used: no
//! connection, no certificate store, no thread.
//!
//! | module | what it is |
//! |---|---|
//! | `client` | one homeserver's API: paths, access token, limits of answers, Matrix errors |
//! | `discovery` | from a user ID or an address to a homeserver that answers |
//! | `kind` | which software it is, and what follows from that |
//! | `login` | signing in and out, going on with a session |
//! | `push_rules` | what single rooms notify of |
//! | `pushers` | setting, listing and removing http pushers |
//! | [`oauth`] | the OAuth 2.0 API: signing in with a browser, refreshing and revoking |
//! | [`sso`] | signing in with a browser where there is no OAuth 2.0 API |
//! | [`redirect`] | the way back from a browser |
//! | `events` | what the person was notified of, single events, names of rooms and of those in them |
//! | `rooms` | reading, joining and leaving a room, and writing into it |
//! | `user_id` | user IDs and server names |

pub(crate) mod client;
pub(crate) mod discovery;
mod events;
pub(crate) mod kind;
mod login;
pub mod oauth;
pub(crate) mod push_rules;
pub(crate) mod pushers;
pub mod redirect;
mod rooms;
pub mod sso;
mod user_id;

pub(crate) use self::rooms::{OutgoingEvent, new_transaction};
pub use self::{
    client::{BaseUrl, HomeserverClient, HomeserverError, Refusal},
    discovery::{DiscoveryError, Homeserver},
    kind::HomeserverKind,
    login::{LoginFlows, OAuthClient, PasswordLogin, Session, Tokens},
    pushers::{HttpPusher, ListedPusher, PusherData},
    user_id::{InvalidUserId, UserId},
};
