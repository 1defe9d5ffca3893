//! Instructions for registering an account's pusher with a homeserver by hand.

use serde_json::Value;
use url::Url;

use crate::{
    accounts::Account,
    address::Scope,
    homeserver::{HttpPusher, pushers},
    invocation::shell_word,
    ntfy::Relay,
    push::text,
    session,
};

/// The values and the request that register this account's pusher. Contains the pushkey, so it must not be logged.
/// `public_url` is the base URL for homeservers, unless the account has a relay.
#[must_use]
pub(crate) fn describe(account: &Account, relay: Option<&Relay>, public_url: &str) -> String {
    let pusher = pusher(account, relay, public_url);
    let HttpPusher { url, app_id, pushkey, .. } = &pusher;
    let mut text = format!(
        "URL      {url}\n\
         app_id   {app_id}\n\
         pushkey  {pushkey}\n\
         \n\
         To register it, set HOMESERVER to your homeserver's address and ACCESS_TOKEN to an access token of yours,\n\
         then run:\n\
         \n\
         {request}\n",
        request = request(&pusher.to_request()),
    );
    if relay.is_none()
        && let Some(hint) = hint(public_url)
    {
        text.push('\n');
        text.push_str(hint);
        text.push('\n');
    }
    text
}

/// The request that removes the pusher of a relay, which accepts pushes whether they are read or not.
#[must_use]
pub(crate) fn removal(account: &Account, relay: &Relay) -> String {
    request(&pushers::removal(&account.app_id, &relay.pushkey()))
}

/// The pusher, named after the account, since the request may be run on another computer.
fn pusher(account: &Account, relay: Option<&Relay>, public_url: &str) -> HttpPusher {
    let pusher = session::pusher(account, relay, public_url, "en", String::new());
    HttpPusher { device_display_name: account.name.to_string(), ..pusher }
}

/// `POST /_matrix/client/v3/pushers/set` as a command for a shell.
fn request(pusher: &Value) -> String {
    format!(
        "curl --fail-with-body -X POST \"$HOMESERVER/_matrix/client/v3/pushers/set\" \\\n  \
         -H \"Authorization: Bearer $ACCESS_TOKEN\" -H 'Content-Type: application/json' \\\n  \
         -d {}",
        shell_word(&text::escape_json(&pusher.to_string())),
    )
}

/// A hint about a URL that not every homeserver can reach.
fn hint(public_url: &str) -> Option<&'static str> {
    let url = Url::parse(public_url).ok()?;
    match Scope::of_host(url.host_str()?)? {
        Scope::Unspecified => Some(
            "Pushbell listens on every address of this computer. Set server.public_url in pushbell.toml to the one\n\
             that your homeserver can reach.",
        ),
        Scope::Loopback => Some(
            "Only a homeserver on this very computer can reach this address. For any other, set server.listen or\n\
             server.public_url in pushbell.toml. Synapse also needs the address in its ip_range_whitelist: without\n\
             that it accepts the pusher, but never delivers.",
        ),
        Scope::Local => Some(
            "This is a private address: Synapse accepts the pusher, but delivers only if its ip_range_whitelist has it.",
        ),
        Scope::Public => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::tests::account;

    #[cfg(unix)]
    #[test]
    fn a_shell_passes_the_pusher_to_curl_unchanged() {
        use crate::app_info;

        let account = account("home", "it's $HOME `x`", "a\"b\\c\u{202e}'");
        let words =
            request(&pusher(&account, None, "https://push.example.org").to_request()).replace("curl", "printf '%s\\n'");
        let printed = std::process::Command::new("sh")
            .args(["-c", &words])
            .env("HOMESERVER", "https://hs.example.org")
            .env("ACCESS_TOKEN", "secret")
            .output()
            .unwrap();
        let printed = String::from_utf8(printed.stdout).unwrap();
        let words: Vec<&str> = printed.lines().collect();
        assert!(words.contains(&"https://hs.example.org/_matrix/client/v3/pushers/set"));
        assert!(words.contains(&"Authorization: Bearer secret"));
        let pusher: serde_json::Value = serde_json::from_str(words.last().unwrap()).unwrap();
        let expected = serde_json::json!({
            "kind": "http", "app_id": "it's $HOME `x`", "pushkey": "a\"b\\c\u{202e}'", "lang": "en", "append": true,
            "app_display_name": app_info::APP_NAME, "device_display_name": "home",
            "data": { "url": "https://push.example.org/_matrix/push/v1/notify" },
        });
        assert_eq!(pusher, expected);
    }

    #[test]
    fn a_url_that_not_everybody_can_reach_comes_with_a_hint() {
        let check = |url: &str, word: &str| assert!(hint(url).unwrap().contains(word), "{url}");
        check("http://127.0.0.1:7874", "this very computer");
        check("http://[::1]:7874", "this very computer");
        check("http://[::ffff:127.0.0.1]:7874", "this very computer");
        check("http://localhost:7874", "this very computer");
        check("http://0.0.0.0:7874", "every address");
        check("http://[::]:7874", "every address");
        check("http://192.168.1.20:7874", "private");
        check("http://100.64.0.1:7874", "private");
        check("http://[fd00::1]:7874", "private");
        assert_eq!(hint("https://push.example.org"), None);
        assert_eq!(hint("http://100.128.0.1:7874"), None);
    }

    #[test]
    fn the_description_has_the_three_values_on_separate_lines() {
        let text = describe(&account("home", "app", "key"), None, "https://push.example.org");
        assert!(
            text.starts_with("URL      https://push.example.org/_matrix/push/v1/notify\napp_id   app\npushkey  key\n")
        );
        assert!(text.contains("$HOMESERVER") && text.contains("$ACCESS_TOKEN"));
    }
}
