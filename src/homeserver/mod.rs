//! The part of the homeserver's client-server API that Pushbell needs.
//!
//! | module | contents |
//! |---|---|
//! | `client` | one homeserver's API: paths, access token, limits of answers, Matrix errors |
//! | `discovery` | from a user ID or an address to a homeserver that answers |
//! | `kind` | the software's name, and its differences |
//! | `login` | login, token refresh, logout |
//! | `push_rules` | push rules of single rooms |
//! | `pushers` | setting, listing and removing http pushers |
//! | [`oauth`] | the OAuth 2.0 API: signing in with a browser, refreshing and revoking |
//! | [`sso`] | signing in with a browser where there is no OAuth 2.0 API |
//! | [`redirect`] | the redirect target of a browser |
//! | `events` | the list of notifications, single events, names of rooms and members |
//! | `rooms` | marking as read, joining, leaving and sending |
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
