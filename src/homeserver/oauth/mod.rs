//! The OAuth 2.0 API (Matrix specification 1.15, client-server API, "OAuth 2.0 API").
//!
//! A person signs in on the homeserver's own pages. [`metadata`] finds the authorization server; [`Authorization`]
//! registers a client there (RFC 7591), sends the browser to it, and makes a [`Session`](super::Session) of what the
//! browser brings back. [`refresh`] renews its tokens, [`revoke`] ends it.

mod authorization;
mod error;
mod grants;
mod metadata;

pub use self::{
    authorization::Authorization,
    error::OAuthError,
    grants::{refresh, revoke},
    metadata::{Metadata, metadata},
};
