//! Logins that end otherwise, and what they say then.

use crate::scene::Scene;

#[test]
fn a_wrong_password_is_said_in_plain_words_and_leaves_nothing_behind() {
    let scene = Scene::new();
    std::fs::write(scene.file("password"), "wrong").unwrap();
    let login = scene.login(&[]);

    assert_eq!(login.code, 1, "{login:#?}");
    let expected = format!("pushbell: the homeserver does not accept this password for {}\n", scene.alice.id);
    assert_eq!(login.stderr, expected);
    assert_eq!(scene.alice.pushers().len(), 0);
    assert!(!scene.pushbell.data_directory().join("accounts.toml").exists());
}
