//! Refreshing tokens and ending a session.

use pushbell::{
    homeserver::{
        Tokens,
        oauth::{self, Authorization, OAuthError},
    },
    http_client::HttpClient,
};

use crate::{
    browser::Browser,
    homeserver, metadata,
    rig::{SOON, bus::block_on},
    server::{AccountServer, Plan},
};

fn signed_in(server: &AccountServer) -> Tokens {
    let homeserver = homeserver(server.port);
    block_on(async {
        let browser = Browser::new();
        let authorization = Authorization::begin(&homeserver, &metadata(&homeserver).await).await.unwrap();
        let url = authorization.url();
        let (session, _) = tokio::join!(authorization.finish(&homeserver, "desk", SOON), browser.visit(&url));
        session.unwrap().tokens
    })
}

fn refresh(tokens: &Tokens) -> Result<Tokens, OAuthError> {
    block_on(async { oauth::refresh(&HttpClient::new().unwrap(), tokens).await })
}

fn revoke(tokens: &Tokens) -> Result<(), OAuthError> {
    block_on(async { oauth::revoke(&HttpClient::new().unwrap(), tokens).await })
}

#[test]
fn tokens_are_renewed_and_the_old_ones_are_no_good() {
    let server = AccountServer::start(Plan::default());
    let first = signed_in(&server);
    let second = refresh(&first).unwrap();
    let third = refresh(&second).unwrap();
    assert!(first.access_token != second.access_token && first.refresh_token != second.refresh_token);
    assert!(second.refresh_token != third.refresh_token && third.oauth == first.oauth);
    assert_eq!(server.world().sessions[0].access_token, third.access_token);
    let stolen = refresh(&first).unwrap_err();
    assert!(stolen.is_signed_out() && !stolen.is_temporary(), "{stolen}");
}

#[test]
fn a_refresh_token_stays_where_there_is_no_new_one() {
    let server = AccountServer::start(Plan { rotates: false, ..Plan::default() });
    let first = signed_in(&server);
    let second = refresh(&first).unwrap();
    assert!(first.access_token != second.access_token);
    assert_eq!(first.refresh_token, second.refresh_token);
    refresh(&second).unwrap();
}

#[test]
fn a_session_that_was_ended_cannot_be_renewed() {
    let server = AccountServer::start(Plan::default());
    let tokens = signed_in(&server);
    revoke(&tokens).unwrap();
    assert!(server.world().sessions[0].over);
    let error = refresh(&tokens).unwrap_err();
    assert!(error.is_signed_out() && !error.is_temporary(), "{error}");
    revoke(&tokens).expect("ending what is over is no error");
}

#[test]
fn a_server_that_is_away_has_signed_nobody_out() {
    let server = AccountServer::start(Plan::default());
    let tokens = signed_in(&server);
    server.world().plan.away = true;
    let error = refresh(&tokens).unwrap_err();
    assert!(error.is_temporary() && !error.is_signed_out(), "{error}");
    server.world().plan.away = false;
    let tokens = refresh(&tokens).unwrap();
    drop(server);
    let error = refresh(&tokens).unwrap_err();
    assert!(error.is_temporary() && !error.is_signed_out(), "{error}");
    assert!(!error.to_string().contains(tokens.refresh_token.as_deref().unwrap()), "{error}");
}

#[test]
fn a_client_that_is_not_known_any_more_is_signed_out() {
    let server = AccountServer::start(Plan::default());
    let tokens = signed_in(&server);
    server.world().clients.clear();
    assert!(refresh(&tokens).unwrap_err().is_signed_out());
}

#[test]
fn what_is_no_oauth_session_is_not_renewed_so() {
    let tokens =
        Tokens { access_token: "a".to_owned(), refresh_token: Some("r".to_owned()), expires_at: None, oauth: None };
    assert_eq!(refresh(&tokens), Err(OAuthError::NoRefreshToken));
    assert_eq!(revoke(&tokens), Err(OAuthError::NoRevocation));
}
