//! Signing in with a browser: an authorization server written for these tests, which checks what it is sent, and a real
//! Synapse, which leaves signing in to that server.
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

/// A client of whatever serves the client-server API at that port of the loopback interface.
fn homeserver(port: u16) -> HomeserverClient {
    let base = BaseUrl::parse(&format!("http://127.0.0.1:{port}")).unwrap();
    HomeserverClient::new(HttpClient::new().unwrap(), base)
}

/// What that homeserver says of its authorization server.
async fn metadata(homeserver: &HomeserverClient) -> oauth::Metadata {
    oauth::metadata(homeserver).await.unwrap().expect("the homeserver has the OAuth 2.0 API")
}
