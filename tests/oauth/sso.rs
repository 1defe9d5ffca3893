//! Single sign-on with a real Synapse that authenticates users at the test's CAS server.

use std::time::Duration;

use pushbell::homeserver::{
    HomeserverClient,
    redirect::RedirectError,
    sso::{SsoError, SsoLogin},
};

use crate::{
    browser::Browser,
    homeserver,
    rig::{SOON, Synapse, bus::block_on},
    server::{AccountServer, Plan},
};

const NAME: &str = "Pushbell on desk";

pub(crate) fn synapse(server: &AccountServer) -> Synapse {
    let cas = format!("http://127.0.0.1:{}/cas", server.port);
    Synapse::start_with(|usual, _port| format!("{usual}cas_config: {{enabled: true, server_url: '{cas}'}}\n"))
}

#[test]
fn a_person_signs_in_through_synapse() {
    let server = AccountServer::start(Plan::default());
    let synapse = synapse(&server);
    let homeserver = homeserver(synapse.port);
    block_on(async {
        let (browser, login) = (Browser::new(), SsoLogin::begin(&homeserver).await.unwrap());
        let url = login.url().to_owned();
        let (session, shown) = tokio::join!(login.finish(&homeserver, NAME, SOON), browser.visit(&url));
        assert_eq!(shown.heading(), "You are signed in", "{shown:?}");
        let session = session.unwrap();
        assert_eq!(session.user_id.as_str(), "@alice:hs.test");
        let signed_in = homeserver.clone().with_token(&session.tokens.access_token);
        let devices: serde_json::Value = signed_in.get("/_matrix/client/v3/devices").await.unwrap();
        assert_eq!(devices["devices"][0]["display_name"], NAME);
        assert_eq!(devices["devices"][0]["device_id"].as_str(), session.device_id.as_deref());

        let debug = format!("{session:?}");
        assert!(!debug.contains(&session.tokens.access_token), "{debug}");
        another_callback_brings_nothing(&homeserver, &browser, &shown.address).await;
    });

    server.world().plan.consents = false;
    block_on(async {
        let (browser, login) = (Browser::new(), SsoLogin::begin(&homeserver).await.unwrap());
        let url = login.url().to_owned();
        let patience = Duration::from_secs(3);
        let (session, shown) = tokio::join!(login.finish(&homeserver, NAME, patience), browser.visit(&url));
        assert_eq!(shown.status, 401, "Synapse says no on a page of its own: {shown:?}");
        assert_eq!(session, Err(SsoError::Redirect(RedirectError::TimedOut(patience))));
    });
}

/// A login token is valid once, and a callback without one is rejected.
async fn another_callback_brings_nothing(homeserver: &HomeserverClient, browser: &Browser, used: &str) {
    let (_, used) = used.split_once("loginToken=").expect("the browser came back with a token");
    let used = format!("&loginToken={used}");
    for (parameters, words) in [(&*used, "M_FORBIDDEN"), ("", "without a login token")] {
        let login = SsoLogin::begin(homeserver).await.unwrap();
        let state = login.url().split_once("state%3D").unwrap().1.replace("%2D", "-").replace("%5F", "_");
        let back = format!("http://127.0.0.1:{}/callback?state={state}{parameters}", login.port());
        let (session, shown) = tokio::join!(login.finish(homeserver, NAME, SOON), browser.visit(&back));
        let error = session.unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
        assert_eq!(shown.heading(), "You are not signed in");
    }
}
