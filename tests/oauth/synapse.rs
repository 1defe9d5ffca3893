//! A real Synapse that delegates authentication to the test's server, as it does to Matrix Authentication Service.

use pushbell::homeserver::{
    HttpPusher,
    oauth::{self, Authorization},
};

use crate::{
    browser::Browser,
    homeserver, metadata,
    rig::{SOON, Synapse, bus::block_on},
    server::{AccountServer, Plan, SECRET},
};

pub(crate) fn start(plan: Plan) -> (AccountServer, Synapse) {
    let server = AccountServer::start(plan);
    let endpoint = format!("http://127.0.0.1:{}/", server.port);
    let synapse = Synapse::start_with(|usual, _port| {
        usual
            + format!(
                "enable_registration: false
password_config: {{enabled: false}}
matrix_authentication_service: {{enabled: true, endpoint: '{endpoint}', secret: {SECRET}}}
"
            )
            .as_str()
    });
    server.world().plan.synapse = Some(synapse.port);
    (server, synapse)
}

#[test]
fn a_session_is_begun_used_renewed_and_ended() {
    let (server, synapse) = start(Plan::default());
    let homeserver = homeserver(synapse.port);
    block_on(async {
        let browser = Browser::new();
        let authorization = Authorization::begin(&homeserver, &metadata(&homeserver).await).await.unwrap();
        let url = authorization.url();
        let (session, shown) =
            tokio::join!(authorization.finish(&homeserver, "Pushbell on desk", SOON), browser.visit(&url));
        assert_eq!(shown.heading(), "You are signed in", "{shown:?}");
        let session = session.unwrap();
        assert_eq!(session.user_id.as_str(), "@alice:hs.test");

        let signed_in = homeserver.clone().with_token(&session.tokens.access_token);
        let devices: serde_json::Value = signed_in.get("/_matrix/client/v3/devices").await.unwrap();
        assert_eq!(devices["devices"][0]["device_id"].as_str(), session.device_id.as_deref());
        assert_eq!(devices["devices"][0]["display_name"], "Pushbell on desk");

        let renewed = oauth::refresh(homeserver.http(), &session.tokens).await.unwrap();
        let signed_in = homeserver.clone().with_token(&renewed.access_token);
        let pusher = HttpPusher {
            app_id: "org.example.tray".to_owned(),
            pushkey: "key".to_owned(),
            url: "http://127.0.0.1:1/_matrix/push/v1/notify".to_owned(),
            app_display_name: "Pushbell".to_owned(),
            device_display_name: "desk".to_owned(),
            lang: "en".to_owned(),
            event_id_only: false,
            installation: String::new(),
        };
        signed_in.set_pusher(&pusher).await.unwrap();
        assert_eq!(signed_in.pushers().await.unwrap().len(), 1);

        oauth::revoke(homeserver.http(), &renewed).await.unwrap();
        let error = signed_in.whoami().await.unwrap_err();
        assert!(error.is_unknown_token(), "{error}");
        assert!(oauth::refresh(homeserver.http(), &renewed).await.unwrap_err().is_signed_out());
    });
    assert_eq!(server.world().sessions.len(), 1);
}
