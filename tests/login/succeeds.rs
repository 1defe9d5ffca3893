//! Logins that end with proof.

use pushbell::identity;

use crate::scene::Scene;

#[test]
fn a_password_login_ends_with_a_real_push() {
    let scene = Scene::new();
    let login = scene.beside(|scene| scene.login(&[]), |scene| drop(scene.bob_writes_when_there_is_a_pusher()));

    assert_eq!(login.code, 0, "{login:#?}");
    assert!(login.stdout.contains("A push arrived at "), "{login:#?}");
    assert_eq!(login.stderr, "");
    let pusher = scene.wait_for_pushers(1).remove(0);
    assert_eq!(pusher["app_id"], identity::APP_ID);
    assert_eq!(pusher["app_display_name"], identity::APP_NAME);
    assert_eq!(pusher["data"]["url"], scene.pushbell.url());
    assert_eq!(pusher["lang"], "en");
    let device = scene.devices();
    assert_eq!(device.len(), 1, "{device:?}");
    assert!(device[0].starts_with(&format!("{} on ", identity::APP_NAME)), "{device:?}");
    // What came is not lost: it waits for the app.
    let history = scene.pushbell.history();
    assert_eq!((history[0]["body"].as_str(), &history[0]["shown"]), (Some("Dinner is ready."), &false.into()));
}
