use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Result<Config, String> {
    Config::parse(text, "pushbell.toml").map_err(|error| error.to_string())
}

#[track_caller]
fn check(text: &str, expected: &str) {
    assert_eq!(parse(text), Err(expected.to_owned()), "of {text:?}");
}

#[track_caller]
fn good(text: &str) -> Config {
    parse(text).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn the_default_file_says_what_an_empty_one_means() {
    assert_eq!(good(""), Config::default());
    assert_eq!(good(&default_text()), Config::default());
}

#[test]
fn the_default_file_names_every_key() {
    let text = default_text();
    let mut document = Document::parse(&text).ok().unwrap();
    Config::read(&mut document);
    for (section, key) in document.known() {
        let key = if key == "tls" { "# tls" } else { key };
        let of_section = text.split(&format!("\n[{section}]")).nth(1).unwrap();
        let stands = of_section
            .lines()
            .take_while(|line| !line.starts_with('[') || line.starts_with(&format!("[{section}.")))
            .any(|line| line.starts_with(&format!("{key} =")) || line.starts_with(&format!("[{section}.{key}]")));
        assert!(stands, "{section}.{key}");
    }
}

#[test]
fn the_buttons_of_popups_are_at_most_three_and_each_once() {
    let actions = |list: &str| good(&format!("popup.actions = {list}")).popup.actions;
    assert_eq!(actions("[]"), []);
    assert_eq!(actions(r#"["mute", "read", "reply"]"#), [RoomButton::Mute, RoomButton::Read, RoomButton::Reply]);
    check(
        r#"popup.actions = ["reply", "read", "mute", "mute_hour"]"#,
        "pushbell.toml:1: popup.actions = [\"reply\", \"read\", \"mute\", \"mute_hour\"]: expected a list of at most 3 of \"reply\", \"read\", \"mute_hour\", \"mute\"",
    );
    check(
        r#"popup.actions = ["read", "read"]"#,
        "pushbell.toml:1: popup.actions[1] = \"read\": expected each button once",
    );
    check(
        r#"popup.actions = ["open"]"#,
        "pushbell.toml:1: popup.actions[0] = \"open\": expected \"reply\", \"read\", \"mute_hour\" or \"mute\"",
    );
    assert!(good("popup.receipts = \"public\"").popup.public_receipts);
}

#[test]
fn a_fault_says_line_key_reason_and_what_would_be_right() {
    check(
        "[popup]\nenabled = true\npreview = \"sometimes\"",
        "pushbell.toml:3: popup.preview = \"sometimes\": expected \"always\", \"unlocked\" or \"never\"",
    );
    check("popup.enabled = 1", "pushbell.toml:1: popup.enabled = 1: expected true or false");
    check("popup = 1", "pushbell.toml:1: popup = 1: expected a section, [popup] on a line of its own");
    check("\n[sound\n", "pushbell.toml:2: unclosed table, expected `]`");
    check("[sound]\nvolume = 80", "pushbell.toml:2: sound.volume = 80: expected a number from 0 to 1");
    check(
        "[server]\nlisten = [\n  \"127.0.0.1:1\",\n  \"localhost:2\",\n]",
        "pushbell.toml:4: server.listen[1] = \"localhost:2\": \
         expected an IP address and a port, such as \"127.0.0.1:7874\" or \"[::1]:7874\"",
    );
    check(
        &whole_paths("server.tls = { certificate = \"/srv/a\" }"),
        "pushbell.toml:1: server.tls: expected both files, such as \
         { certificate = \"/path/fullchain.pem\", key = \"/path/privkey.pem\" }",
    );
    check(
        &whole_paths("[server.tls]\ncertificate = \"/srv/a\"\nkey = \"b\""),
        "pushbell.toml:3: server.tls.key = \"b\": expected the whole path of a file, beginning with the root or \"~/\"",
    );
    check(
        &whole_paths("server.tls = { cert = \"/srv/a\", key = \"/srv/b\" }"),
        &whole_paths(
            "pushbell.toml:1: server.tls.cert = \"/srv/a\": unknown key, the known ones are server.tls.certificate and server.tls.key",
        ),
    );
    check(
        "popup.open = \"https://client.example/{room}/{sender}\"",
        "pushbell.toml:1: popup.open = \"https://client.example/{room}/{sender}\": \
         unknown placeholder {sender}, expected {room}, {event} or {user}",
    );
}

#[test]
fn an_unknown_key_names_the_nearest_known_one() {
    let row = |text: &str, subject: &str, nearest: &str| {
        check(text, &format!("pushbell.toml:1: {subject}: unknown key, the nearest known one is {nearest}"));
    };
    row("popup.preveiw = 1", "popup.preveiw", "popup.preview");
    row("popup.volume = 1", "popup.volume", "sound.volume");
    row("sounds.volume = 1", "sounds", "[sound]");
    row("listen = []", "listen", "server.listen");
    row("tray.colour = true", "tray.colour", "tray.style");
    row("history.'keep days' = 3", "history.\"keep days\"", "history.keep_days");
    row("log.\"\u{202e}\" = 3", "log.\"\\u{202e}\"", "log.level");
}

#[test]
fn all_faults_are_said_at_once_in_the_order_of_the_file() {
    let text = "[history]\nkeep_days = 0\nkeep_body = true\n[log]\nlevel = \"loud\"\n[server]\nlisten = []\n";
    let lines: Vec<usize> = match Config::parse(text, "x") {
        Err(ConfigError::Faulty { faults, .. }) => faults.iter().map(|fault| fault.line).collect(),
        other => panic!("{other:?}"),
    };
    assert_eq!(lines, [2, 3, 5, 7]);
}

/// The text with its whole paths, which begin with `/srv` or `/home`, as whole paths of this system.
fn whole_paths(text: &str) -> String {
    let root = if cfg!(windows) { "C:" } else { "" };
    let whole = |text: String, directory| text.replace(directory, &format!("{root}{directory}"));
    ["/srv", "/home", "/var", "/etc", "/path"].into_iter().fold(text.to_owned(), whole)
}

#[test]
fn values_are_read_as_they_are_meant() {
    let config = good(&whole_paths(
        r#"
        [server]
        listen = ["0.0.0.0:1", "[::1]:2", "127.0.0.1:0", "127.0.0.1:0"]
        public_url = "https://push.example.org/"
        extra_paths = ["/", "/_matrix/push/r0/notify"]
        [popup]
        timeout = 1.5
        open = ["client", "--room={room}", "{}"]
        [sound]
        volume = 1
        directory = "/srv/sounds"
        tweaks = { "a b" = "/srv/a.ogg" }
        [calls]
        missed = "server"
        "#,
    ));
    assert_eq!(config.server.listen.len(), 4);
    assert_eq!(config.server.public_url.as_deref(), Some("https://push.example.org"));
    assert_eq!(config.popup.timeout, Timeout::Milliseconds(1500));
    assert_eq!(config.popup.open, OpenWith::Command(vec!["client".into(), "--room={room}".into(), "{}".into()]));
    assert_eq!(config.sound.directory, Some(PathBuf::from(whole_paths("/srv/sounds"))));
    assert_eq!(config.sound.tweaks, BTreeMap::from([("a b".into(), whole_paths("/srv/a.ogg"))]));
    assert!(!config.calls.derive_missed);

    let [certificate, key] = ["/srv/fullchain.pem", "/srv/privkey.pem"].map(|path| PathBuf::from(whole_paths(path)));
    let written = "server.tls = { certificate = '/srv/fullchain.pem', key = '/srv/privkey.pem' }";
    assert_eq!(good(&whole_paths(written)).server.tls, Some(TlsFiles { certificate, key }));

    let address = "element://room/{room}?event={event}&user={user}";
    assert_eq!(good(&format!("popup.open = '{address}'")).popup.open, OpenWith::Address(address.to_owned()));
    assert_eq!(good("popup.timeout = 'never'").popup.timeout, Timeout::Never);
    assert_eq!(good("popup.timeout = 7").popup.timeout, Timeout::Milliseconds(7000));
    assert_eq!(
        [good("").popup.lines, good("popup.lines = 1").popup.lines, good("popup.lines = 10").popup.lines],
        [3, 1, 10]
    );
    assert_eq!(good("history.keep_days = 0x10").history.keep_days, 16);
}

#[test]
fn values_that_would_not_work_are_refused() {
    for text in [
        "server.listen = '127.0.0.1:1'",
        "server.listen = []",
        "server.listen = ['::1:80']",
        "server.listen = ['127.0.0.1:1', '127.0.0.1:1']",
        "server.listen = ['127.0.0.1:65536']",
        "server.public_url = 'push.example.org'",
        "server.public_url = 'ftp://push.example.org'",
        "server.public_url = 'https://'",
        "server.public_url = 'https://me:secret@push.example.org'",
        "server.public_url = 'https://push.example.org/?a=b'",
        "server.public_url = 'https://push.example.org/#a'",
        "server.public_url = 'https://push.example.org/_matrix/push/v1/notify'",
        "server.public_url = 'https://example.org/push'",
        "server.public_url = 'https://example.org/push/'",
        "server.tls = '/a'",
        "server.tls = {}",
        "server.tls = { certificate = 1, key = '/b' }",
        "server.tls = { certificate = '', key = '/b' }",
        "server.tls = { certificate = '/a', key = '/b', extra = 1 }",
        "server.extra_paths = ['push']",
        "server.extra_paths = ['/a?b']",
        "server.extra_paths = ['/health']",
        "server.extra_paths = ['/a b']",
        "popup.timeout = 0",
        "popup.timeout = -1",
        "popup.timeout = nan",
        "popup.timeout = inf",
        "popup.timeout = 1e300",
        "popup.timeout = 999999999999999999999",
        "popup.timeout = 'soon'",
        "popup.lines = 0",
        "popup.lines = 11",
        "popup.lines = 2.5",
        "popup.lines = 'all'",
        "popup.open = 'element'",
        "popup.open = ''",
        "popup.open = '{room}:x'",
        "popup.open = []",
        "popup.open = ['']",
        "popup.open = ['{user}']",
        "popup.open = ['a', 1]",
        "popup.open = ['a', '{url}']",
        "sound.volume = 1.01",
        "sound.volume = '1'",
        "sound.directory = 'sounds'",
        "sound.tweaks = { a = 1 }",
        "sound.tweaks = { a = '' }",
        "sound.tweaks = { a = '../b' }",
        "sound.tweaks = ['a']",
        "history.keep_days = 36501",
        "history.keep_days = 1.5",
        "log.level = 'INFO'",
        "a = 1\na = 2",
    ] {
        assert!(parse(text).is_err(), "{text}");
    }
}

#[test]
fn a_path_may_begin_in_the_home_wherever_one_is_written() {
    let home = directories::BaseDirs::new().unwrap().home_dir().join("x");
    let config = good(
        "server.tls = { certificate = '~/x', key = '~/x' }\npopup.open = ['~/x', '~/x']\n\
         sound = { directory = '~/x', tweaks = { a = '~/x' } }",
    );
    let tls = config.server.tls.unwrap();
    assert_eq!([&tls.certificate, &tls.key, &config.sound.directory.unwrap()], [&home; 3]);
    assert_eq!(Path::new(&config.sound.tweaks["a"]), home);
    // What the program makes of its arguments is its own.
    assert_eq!(config.popup.open, OpenWith::Command(vec![home.display().to_string(), "~/x".to_owned()]));
}

#[test]
fn homeservers_are_told_where_and_how_we_listen() {
    let check = |text: &str, url: &str, in_the_clear: &[&str]| {
        let server = good(text).server;
        assert_eq!(server.base_url(), url, "{text}");
        let addresses: Vec<_> = server.in_the_clear().iter().map(ToString::to_string).collect();
        assert_eq!(addresses, in_the_clear, "{text}");
    };
    let tls = whole_paths("\nserver.tls = { certificate = '/srv/a', key = '/srv/b' }");
    let both = "server.listen = ['192.168.1.20:1', '[::1]:2', '[::ffff:127.0.0.1]:3', '0.0.0.0:4']";
    check("server.listen = ['127.0.0.1:1']", "http://127.0.0.1:1", &[]);
    check(both, "http://192.168.1.20:1", &["192.168.1.20:1", "0.0.0.0:4"]);
    check(&format!("{both}{tls}"), "https://192.168.1.20:1", &[]);
    check(&format!("{both}{tls}\nserver.public_url = 'https://a.example'"), "https://a.example", &[]);
}

#[test]
fn a_monstrous_file_is_refused_in_a_few_lines() {
    for text in ["[".repeat(200_000), "a\n".repeat(100_000), format!("a = {}", "[".repeat(200_000))] {
        assert!(parse(&text).unwrap_err().lines().count() <= 20);
    }
    let keys: Vec<String> = (0..20_000).map(|n| format!("k{n} = 1")).collect();
    assert_eq!(parse(&keys.join("\n")).unwrap_err().lines().count(), 20);
}

#[test]
fn a_long_value_is_quoted_in_part() {
    let error = parse(&format!("log.level = \"{}\"", "x".repeat(100_000))).unwrap_err();
    assert!(error.len() < 200, "{error}");
}

#[test]
fn a_file_that_cannot_be_read_says_why() {
    let home = tempfile::tempdir().unwrap();
    let load = |path: &Path| {
        let said = Config::load(path).unwrap_err().to_string();
        said.replace(home.path().to_str().unwrap(), "~").replace('\\', "/")
    };
    let path = home.path().join("pushbell.toml");
    assert_eq!(load(&path), "~/pushbell.toml: there is no such file; `pushbell` writes one when it first starts");
    assert_eq!(load(home.path()), "~: cannot be read: it is not a file");
    std::fs::write(&path, b"[popup]\n# \xff\n").unwrap();
    assert_eq!(load(&path), "~/pushbell.toml: line 2 is not UTF-8 text: save the file as UTF-8");
    std::fs::write(&path, vec![b'#'; 300 * 1024]).unwrap();
    assert_eq!(load(&path), "~/pushbell.toml: cannot be read: it is longer than 256 KiB");
}

/// What the documentation shows as TOML can be copied into `pushbell.toml`.
#[test]
fn every_toml_block_of_the_documentation_is_good() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let documents = std::fs::read_dir(root).unwrap().chain(std::fs::read_dir(root.join("docs")).into_iter().flatten());
    for path in documents.map(|entry| entry.unwrap().path()) {
        if path.extension().is_none_or(|extension| extension != "md") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        for block in text.split("```toml\n").skip(1) {
            let block = whole_paths(block.split("```").next().unwrap());
            Config::parse(&block, &path.display().to_string()).unwrap_or_else(|error| panic!("{error}\n{block}"));
        }
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_with_a_line_of_it(text in any::<String>()) {
        check_refusal(&text)?;
    }

    #[test]
    fn any_value_of_a_known_key_is_read_or_refused(
        key in prop::sample::select(vec!["server.listen", "server.public_url", "popup.timeout", "popup.open",
            "sound.volume", "sound.tweaks", "history.keep_days", "tray", "log.level"]),
        value in r#"[\[\]{}"'a-z0-9:/?#.@_=, \n-]{0,24}"#,
    ) {
        check_refusal(&format!("{key} = {value}"))?;
        check_refusal(&format!("{key} = '{value}'"))?;
    }
}

fn check_refusal(text: &str) -> Result<(), TestCaseError> {
    if let Err(ConfigError::Faulty { faults, .. }) = Config::parse(text, "x") {
        prop_assert!(!faults.is_empty());
        for fault in faults {
            prop_assert!(fault.line >= 1 && fault.line <= 1 + text.matches('\n').count());
            prop_assert!(!fault.reason.is_empty());
        }
    }
    Ok(())
}
