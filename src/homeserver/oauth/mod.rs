//! The OAuth 2.0 API (Matrix specification 1.15, client-server API, "OAuth 2.0 API").
//!
//! A person signs in on the homeserver's own pages. Which way depends on where the browser is:
//!
//! | | on this computer | anywhere |
//! |---|---|---|
//! | how | [`Authorization`] | [`DeviceAuthorization`] |
//! | grant | authorization code with PKCE (RFC 6749, RFC 7636) | device authorization (RFC 8628, Matrix 1.18) |
//! | comes back by | a redirect to the loopback interface (RFC 8252) | asking now and then |
//!
//! Both need [`metadata`] and register a client first (RFC 7591). What they give is a [`Session`](super::Session) whose
//! tokens [`refresh`] renews and [`revoke`] ends.

mod authorization;
mod device;
mod error;
mod grants;
mod metadata;

pub use self::{
    authorization::Authorization,
    device::DeviceAuthorization,
    error::OAuthError,
    grants::{refresh, revoke},
    metadata::{Metadata, metadata},
};
