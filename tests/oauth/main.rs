//! Signing in with a browser: a mock authorization server that validates every request, and a real Synapse that
//! delegates authentication to it.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../rig/mod.rs"]
mod rig;
#[allow(dead_code, reason = "the page's own tests use all of it")]
#[path = "../page/visit.rs"]
mod visit;

mod authorization;
mod browser;
mod discovery;
mod page;
mod processes;
mod program;
mod redirect;
mod server;
mod sso;
mod synapse;
mod tokens;

use pushbell::{
    homeserver::{BaseUrl, HomeserverClient, oauth},
    http_client::HttpClient,
};

/// A client for the client-server API at this port of the loopback interface.
fn homeserver(port: u16) -> HomeserverClient {
    let base = BaseUrl::parse(&format!("http://127.0.0.1:{port}")).unwrap();
    HomeserverClient::new(HttpClient::new().unwrap(), base)
}

/// The homeserver's authorization server metadata.
async fn metadata(homeserver: &HomeserverClient) -> oauth::Metadata {
    oauth::metadata(homeserver).await.unwrap().expect("the homeserver has the OAuth 2.0 API")
}
