//! The device authorization grant, with a browser on another device.

use std::time::{Duration, Instant};

use pushbell::homeserver::{
    Session,
    oauth::{DeviceAuthorization, OAuthError},
};

use crate::{
    homeserver, metadata,
    rig::bus::block_on,
    server::{AccountServer, Plan},
};

fn sign_in(server: &AccountServer) -> Result<Session, OAuthError> {
    let homeserver = homeserver(server.port);
    block_on(async {
        let device = DeviceAuthorization::begin(&homeserver, &metadata(&homeserver).await).await?;
        let device = device.expect("the server has the device grant");
        assert_eq!(device.user_code(), "WDJB-MJHT");
        assert_eq!(device.url(), format!("http://127.0.0.1:{}/link", server.port));
        assert_eq!(device.url_with_code(), Some(&*format!("{}?code=WDJB-MJHT", device.url())));
        let debug = format!("{device:?}");
        assert!(!debug.contains("device-") && !debug.contains("WDJB"), "{debug}");
        device.finish(&homeserver, "Pushbell on desk").await
    })
}

#[test]
fn a_person_signs_in_somewhere_else() {
    let server = AccountServer::start(Plan { device_answers: vec!["authorization_pending"], ..Plan::default() });
    let session = sign_in(&server).unwrap();
    assert_eq!(session.user_id.as_str(), "@alice:hs.test");
    let world = server.world();
    assert_eq!(session.device_id.as_deref(), Some(world.sessions[0].device_id()));
    assert_eq!(world.sessions[0].name.as_deref(), Some("Pushbell on desk"));
    assert!(session.tokens.refresh_token.is_some());
    let client = &world.clients[&world.sessions[0].client_id];
    assert!(client["redirect_uris"].is_null(), "nothing comes back here: {client}");
}

#[test]
fn a_server_that_wants_it_slower_is_asked_slower() {
    let answers = vec!["authorization_pending", "slow_down"];
    let server = AccountServer::start(Plan { device_answers: answers, ..Plan::default() });
    sign_in(&server).unwrap();
    let world = server.world();
    let gaps: Vec<_> = world.polls.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let [before, after] = gaps.as_slice() else { panic!("{gaps:?}") };
    assert!(*before >= Duration::from_secs(1) && *after >= Duration::from_secs(6), "{gaps:?}");
}

#[test]
fn a_no_ends_it() {
    let check = |plan: Plan, expected: &OAuthError| {
        let server = AccountServer::start(plan.clone());
        let start = Instant::now();
        assert_eq!(sign_in(&server).as_ref(), Err(expected), "{plan:?}");
        assert!(start.elapsed() < Duration::from_secs(10), "{plan:?}");
        assert!(server.world().sessions.is_empty());
    };
    check(Plan { consents: false, ..Plan::default() }, &OAuthError::Denied);
    check(Plan { device_answers: vec!["expired_token"], ..Plan::default() }, &OAuthError::Expired);
    check(
        Plan { device_life: 2, device_answers: vec!["authorization_pending"; 9], ..Plan::default() },
        &OAuthError::Expired,
    );
}

#[test]
fn there_may_be_no_such_grant() {
    let server = AccountServer::start(Plan { device_grant: false, ..Plan::default() });
    let homeserver = homeserver(server.port);
    let device = block_on(async { DeviceAuthorization::begin(&homeserver, &metadata(&homeserver).await).await });
    assert!(device.unwrap().is_none());
    assert!(server.world().clients.is_empty(), "nobody is registered for nothing");
}
