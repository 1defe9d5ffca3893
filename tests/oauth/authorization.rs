//! The authorization code grant, with a browser on this computer.

use std::{collections::BTreeSet, time::Duration};

use pushbell::homeserver::{
    HomeserverClient, Session,
    oauth::{Authorization, OAuthError},
};

use crate::{
    browser::{Browser, FinalPage},
    homeserver, metadata,
    rig::{SOON, bus::block_on},
    server::{AccountServer, Plan},
};

const NAME: &str = "Pushbell on desk";

async fn begin(homeserver: &HomeserverClient) -> Authorization {
    Authorization::begin(homeserver, &metadata(homeserver).await).await.unwrap()
}

/// Signs in with a browser; returns the result and the page that the browser shows last.
async fn sign_in(homeserver: &HomeserverClient) -> (Result<Session, OAuthError>, FinalPage) {
    let (browser, authorization) = (Browser::new(), begin(homeserver).await);
    let url = authorization.url();
    tokio::join!(authorization.finish(homeserver, NAME, SOON), browser.visit(&url))
}

#[test]
fn a_person_signs_in() {
    let server = AccountServer::start(Plan::default());
    let homeserver = homeserver(server.port);
    let (session, shown) = block_on(sign_in(&homeserver));
    let session = session.unwrap();
    assert_eq!(session.user_id.as_str(), "@alice:hs.test");
    assert_eq!((shown.status, shown.heading()), (200, "You are signed in"));
    assert_eq!(shown.headers["cache-control"], "no-store");

    let world = server.world();
    let [granted] = world.sessions.as_slice() else { panic!("{:?}", world.sessions) };
    assert_eq!(granted.name.as_deref(), Some(NAME));
    assert_eq!(session.device_id.as_deref(), Some(granted.device_id()));
    assert_eq!(session.tokens.access_token, granted.access_token);
    assert_eq!(session.tokens.refresh_token.as_ref(), Some(&granted.refresh_token));
    let client = session.tokens.oauth.as_ref().unwrap();
    assert_eq!(client.client_id, granted.client_id);
    assert_eq!(client.token_endpoint, format!("http://127.0.0.1:{}/token", server.port));
    assert_eq!(world.clients[&client.client_id]["redirect_uris"][0], "http://127.0.0.1/callback");
    let life = session.tokens.expires_at.unwrap() - jiff::Timestamp::now();
    assert!((270.0..=300.0).contains(&life.total(jiff::Unit::Second).unwrap()), "{life}");
    let debug = format!("{session:?}");
    assert!(!debug.contains(&granted.access_token) && !debug.contains(&granted.refresh_token), "{debug}");
}

#[test]
fn the_browser_is_told_no_more_than_it_has_to() {
    let server = AccountServer::start(Plan::default());
    let homeserver = homeserver(server.port);
    let (one, other) = block_on(async { (begin(&homeserver).await.url(), begin(&homeserver).await.url()) });
    let fields = |url: &str| -> Vec<(String, String)> {
        let (_, query) = url.split_once('?').unwrap();
        query.split('&').map(|field| field.split_once('=').unwrap()).map(|(k, v)| (k.into(), v.into())).collect()
    };
    let keys: BTreeSet<_> = fields(&one).into_iter().map(|(key, _)| key).collect();
    let expected =
        "client_id code_challenge code_challenge_method redirect_uri response_mode response_type scope state";
    assert_eq!(keys.into_iter().collect::<Vec<_>>().join(" "), expected);
    for (one, other) in fields(&one).into_iter().zip(fields(&other)) {
        let fresh = ["client_id", "code_challenge", "redirect_uri", "scope", "state"].contains(&&*one.0);
        assert_eq!(one.1 != other.1, fresh, "{}", one.0);
    }
}

#[test]
fn what_goes_wrong_is_said_on_both_sides() {
    let check = |plan: Plan, heading: &str, words: &str| {
        let server = AccountServer::start(plan);
        let (session, shown) = block_on(sign_in(&homeserver(server.port)));
        let error = session.unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
        assert_eq!(shown.heading(), heading, "{error}");
        assert!(server.world().sessions.iter().all(|session| session.over), "{error}");
    };
    let no = "You are not signed in";
    check(Plan { consents: false, ..Plan::default() }, no, "access was denied");
    check(Plan { codes_expire: true, ..Plan::default() }, no, "invalid_grant (the test's server says so)");
    check(Plan { away: true, ..Plan::default() }, no, "502");
    // The sign-in succeeds, but the homeserver rejects the token: the token is revoked.
    check(Plan { nobody: true, ..Plan::default() }, no, "M_UNKNOWN_TOKEN");
}

#[test]
fn a_callback_of_a_stranger_changes_nothing() {
    let server = AccountServer::start(Plan::default());
    let homeserver = homeserver(server.port);
    block_on(async {
        let (browser, authorization) = (Browser::new(), begin(&homeserver).await);
        let (url, port) = (authorization.url(), authorization.port());
        let visits = async {
            let strange = |path: &str| format!("http://127.0.0.1:{port}{path}");
            for (path, status, heading) in [
                ("/callback?code=mine", 400, "Not the right sign-in"),
                ("/callback?code=mine&state=", 400, "Not the right sign-in"),
                ("/callback?code=mine&state=0000000000000000000000000000000000000000000", 400, "Not the right sign-in"),
                ("/callback?error=access_denied", 400, "Not the right sign-in"),
                ("/favicon.ico", 404, "Nothing here"),
                ("/", 404, "Nothing here"),
            ] {
                let shown = browser.visit(&strange(path)).await;
                assert_eq!((shown.status, shown.heading()), (status, heading), "{path}");
            }
            let shown = browser.visit(&url).await;
            assert_eq!(shown.heading(), "You are signed in");
            // The redirect server has stopped after the first callback.
            let again = browser.visit(&shown.address).await;
            assert_eq!((again.status, shown.address.contains("code=")), (0, true));
        };
        let (session, ()) = tokio::join!(authorization.finish(&homeserver, NAME, SOON), visits);
        session.unwrap();
    });
    assert_eq!(server.world().sessions.len(), 1);
}

#[test]
fn the_code_of_another_sign_in_is_worth_nothing() {
    let server = AccountServer::start(Plan::default());
    let homeserver = homeserver(server.port);
    block_on(async {
        let (browser, theirs, ours) = (Browser::new(), begin(&homeserver).await, begin(&homeserver).await);
        let query = |url: &str, key: &str| {
            let found = url.split(['?', '&']).find_map(|field| field.strip_prefix(&format!("{key}=")));
            found.unwrap_or_else(|| panic!("{key} is not in {url}")).to_owned()
        };
        let (their_url, state) = (theirs.url(), query(&ours.url(), "state"));
        // The other sign-in's browser is redirected to its own callback, which no longer answers.
        drop(theirs);
        let code = query(&browser.visit(&their_url).await.address, "code");
        let injected = format!("http://127.0.0.1:{}/callback?state={state}&code={code}", ours.port());
        let (session, shown) = tokio::join!(ours.finish(&homeserver, NAME, SOON), browser.visit(&injected));
        assert!(session.unwrap_err().to_string().contains("invalid_grant"));
        assert_eq!(shown.heading(), "You are not signed in");
    });
    assert!(server.world().sessions.is_empty());
}

#[test]
fn nobody_is_waited_for_forever() {
    let server = AccountServer::start(Plan::default());
    let homeserver = homeserver(server.port);
    let error = block_on(async {
        begin(&homeserver).await.finish(&homeserver, NAME, Duration::from_millis(300)).await.unwrap_err()
    });
    assert!(error.to_string().contains("nobody signed in"), "{error}");
}
