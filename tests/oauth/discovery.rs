//! Discovery of a homeserver's sign-in methods.

use pushbell::homeserver::oauth::{self, Authorization, OAuthError};

use crate::{
    homeserver, metadata,
    rig::bus::block_on,
    server::{AccountServer, Plan},
};

#[test]
fn the_authorization_server_is_found() {
    let check = |plan: Plan, expected: Option<bool>| {
        let server = AccountServer::start(plan.clone());
        let found = block_on(async { oauth::metadata(&homeserver(server.port)).await.unwrap() });
        let found = found.map(|found| {
            assert_eq!(found.issuer, format!("http://127.0.0.1:{}/", server.port));
            found.registration_endpoint.is_some()
        });
        assert_eq!(found, expected, "{plan:?}");
    };
    check(Plan::default(), Some(true));
    check(Plan { old_path: true, ..Plan::default() }, Some(true));
    check(Plan { registers: false, ..Plan::default() }, Some(false));
    check(Plan { oauth: false, ..Plan::default() }, None);
}

#[test]
fn a_server_that_registers_nobody_is_named() {
    let server = AccountServer::start(Plan { registers: false, ..Plan::default() });
    let homeserver = homeserver(server.port);
    let error = block_on(async { Authorization::begin(&homeserver, &metadata(&homeserver).await).await.unwrap_err() });
    assert!(matches!(error, OAuthError::NoRegistration { .. }), "{error}");
    assert!(error.to_string().contains("--token-file"), "{error}");
}

#[test]
fn a_server_that_compares_ports_is_told_ours() {
    let server = AccountServer::start(Plan { compares_ports: true, ..Plan::default() });
    let homeserver = homeserver(server.port);
    let authorization =
        block_on(async { Authorization::begin(&homeserver, &metadata(&homeserver).await).await.unwrap() });
    let world = server.world();
    let client = world.clients.values().next().unwrap();
    assert_eq!(client["redirect_uris"][0], format!("http://127.0.0.1:{}/callback", authorization.port()));
}
