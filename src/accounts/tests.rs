use std::{collections::HashSet, fs, thread};

use proptest::prelude::*;

use super::*;
use crate::push::notify::{Device, SoundTweak, Tweaks};

const HEAD: &str = "version = 1\n";
const ALICE: &str =
    "[[account]]\nname = \"alice\"\napp_id = \"app\"\npushkey = \"sesame\"\ncreated_at = \"2026-11-22T09:00:00Z\"\n";

/// An account that was registered by hand.
pub(crate) fn account(name: &str, app_id: &str, pushkey: &str) -> Account {
    Account {
        name: name.into(),
        app_id: app_id.to_owned(),
        pushkey: pushkey.to_owned(),
        counts: CountsScope::Account,
        way: Way::Auto,
        relay: None,
        created_at: Timestamp::UNIX_EPOCH,
        sign_in: None,
    }
}

/// A sign-in with a password at a Synapse.
pub(crate) fn sign_in(user_id: &str) -> SignIn {
    SignIn {
        user_id: user_id.to_owned(),
        device_id: "DEVICE".to_owned(),
        homeserver: "https://b".to_owned(),
        method: SignInMethod::Password,
        event_id_only: false,
        installation: String::new(),
        server: "Synapse".to_owned(),
    }
}

fn accounts(pairs: &[(&str, &str)]) -> Accounts {
    let list =
        pairs.iter().enumerate().map(|(number, (app_id, pushkey))| account(&format!("a{number}"), app_id, pushkey));
    Accounts::of(list.collect())
}

fn parse(text: &str) -> Result<Accounts, format::Damage> {
    format::parse(text).map(|(accounts, _)| accounts)
}

/// Whether the file is as it was written.
fn is_intact(text: &str) -> bool {
    matches!(format::parse(text), Ok((_, format::Integrity::Intact)))
}

fn device(app_id: &str, pushkey: &str) -> Device {
    Device { app_id: app_id.to_owned(), pushkey: pushkey.to_owned(), tweaks: Tweaks::default(), sample: None }
}

/// The names of the accepted accounts and the rejected pushkeys; `None` when undecided.
fn admitted(accounts: &Accounts, devices: &[(&str, &str)]) -> Option<(Vec<String>, Vec<String>)> {
    let devices: Vec<_> = devices.iter().map(|(app_id, pushkey)| device(app_id, pushkey)).collect();
    match accounts.admit(&devices) {
        Admission::Decided { accepted, rejected } => Some((
            accepted.iter().map(|(account, _)| account.name.to_string()).collect(),
            rejected.iter().map(str::to_owned).collect(),
        )),
        Admission::Undecided { .. } => None,
    }
}

fn any_sign_in() -> impl Strategy<Value = SignIn> {
    let methods = [SignInMethod::Password, SignInMethod::Sso, SignInMethod::OAuth, SignInMethod::Token];
    let strings = ("@\\PC{1,20}", "\\PC{0,20}", "https?://\\PC{1,20}", "\\PC{0,20}", "\\PC{0,20}");
    (strings, prop::sample::select(methods.to_vec()), any::<bool>()).prop_map(
        |((user_id, device_id, homeserver, server, installation), method, event_id_only)| SignIn {
            user_id,
            device_id,
            homeserver,
            method,
            event_id_only,
            installation,
            server,
        },
    )
}

fn failure() -> AccountsError {
    AccountsError::Missing { path: "accounts.toml".into() }
}

#[test]
fn known_devices_are_accepted_and_unknown_ones_rejected() {
    let long = "k".repeat(MAX_PUSHKEY_BYTES);
    let too_long = "k".repeat(MAX_PUSHKEY_BYTES + 1);
    let known = accounts(&[("app", "one"), ("app", "two"), ("other", "one"), ("app", &long)]);
    let check = |devices: &[(&str, &str)], accepted: &[&str], rejected: &[&str]| {
        let expected =
            (accepted.iter().map(|&s| s.to_owned()).collect(), rejected.iter().map(|&s| s.to_owned()).collect());
        assert_eq!(admitted(&known, devices), Some(expected), "{devices:?}");
    };
    check(&[("app", "one")], &["a0"], &[]);
    check(&[("other", "one")], &["a2"], &[]);
    check(&[("app", &long)], &["a3"], &[]);
    check(&[("app", &too_long)], &[], &[&too_long]);
    check(&[("app", &long[1..])], &[], &[&long[1..]]);
    check(&[("app", "")], &[], &[""]);
    check(&[("app", "on")], &[], &["on"]);
    check(&[("app", "one\0")], &[], &["one\0"]);
    check(&[("app", "ONE")], &[], &["ONE"]);
    check(&[("App", "one")], &[], &["one"]);
    check(&[("", "one")], &[], &["one"]);
    check(&[("app", "x"), ("app", "two"), ("app", "y"), ("app", "x")], &["a1"], &["x", "y"]);
    check(&[("app", "one"), ("other", "one"), ("app", "one")], &["a0", "a2"], &[]);
    check(&[("stranger", "one"), ("app", "one")], &["a0"], &[]);
    check(&[], &[], &[]);
}

#[test]
fn the_first_of_two_devices_of_one_account_brings_the_tweaks() {
    let ring = Tweaks { sound: SoundTweak::Named("ring".to_owned()), highlight: true };
    let devices = [Device { tweaks: ring.clone(), ..device("app", "one") }, device("app", "one")];

    let Admission::Decided { accepted, .. } = accounts(&[("app", "one")]).admit(&devices) else { panic!() };

    assert_eq!(accepted.into_iter().map(|(_, tweaks)| tweaks).collect::<Vec<_>>(), [ring]);
}

#[test]
fn accounts_that_cannot_be_read_reject_nobody() {
    let kept = accounts(&[("app", "one")]).keeping_known_after(&failure());

    assert_eq!(admitted(&kept, &[("app", "one")]), Some((vec!["a0".to_owned()], vec![])));
    assert_eq!(admitted(&kept, &[("app", "two")]), None);
    assert_eq!(admitted(&kept, &[("app", "one"), ("app", "two")]), None);
    assert_eq!(admitted(&Accounts::unavailable(&failure()), &[("app", "one")]), None);
    assert_eq!(admitted(&Accounts::empty(), &[("app", "one")]), Some((vec![], vec!["one".to_owned()])));
    assert!(kept.unreadable().is_some_and(|reason| reason.contains("accounts.toml")));
}

proptest! {
    #[test]
    fn a_device_is_accepted_exactly_if_an_account_has_both_its_keys(
        known in prop::collection::hash_set(("[ab]{1,2}", "[ab]{1,9}"), 0..6),
        devices in prop::collection::vec(("[ab]{1,2}", "[ab]{0,9}"), 0..12),
    ) {
        let known: Vec<_> = known.into_iter().collect();
        let pairs: Vec<_> = known.iter().map(|(app_id, key)| (app_id.as_str(), key.as_str())).collect();
        let asked: Vec<_> = devices.iter().map(|(app_id, key)| (app_id.as_str(), key.as_str())).collect();

        let (accepted, rejected) = admitted(&accounts(&pairs), &asked).unwrap();

        let ours: HashSet<_> = asked.iter().filter(|pair| pairs.contains(pair)).collect();
        prop_assert_eq!(accepted.len(), ours.len());
        for (app_id, key) in &asked {
            let accepted_elsewhere = ours.iter().any(|(_, accepted)| accepted == key);
            let rejected_here = rejected.iter().any(|rejected| rejected == key);
            prop_assert_eq!(rejected_here, !accepted_elsewhere, "{} {}", app_id, key);
        }
    }

    #[test]
    fn any_text_is_read_or_refused_without_telling_a_pushkey(text in "\\PC{0,20}", key in "[A-Za-z0-9]{12}") {
        let text = format!("{HEAD}{ALICE}pushkey = {text}\"{key}\"");
        if let Err(damage) = parse(&text) {
            prop_assert!(!damage.problem.contains(&key));
        }
    }

    #[test]
    fn what_is_written_is_what_was_meant(
        name in "[a-zß0-9_.@:][a-z0-9ß_.@:-]{0,40}", app_id in "[^\\p{Cc}]{1,64}", pushkey in "[^\\p{Cc}]{1,128}", room: bool,
        sign_in in prop::option::of(any_sign_in()),
    ) {
        let counts = if room { CountsScope::Room } else { CountsScope::Account };
        let way = if room { Way::Listen } else { Way::Auto };
        let written = Account { counts, way, sign_in, ..account(&name, &app_id, &pushkey) };
        let text = format::render(std::slice::from_ref(&written)).unwrap();
        prop_assert!(is_intact(&text));
        let read = parse(&text).unwrap();
        prop_assert_eq!(read.iter().cloned().collect::<Vec<_>>(), vec![written]);
    }
}

#[test]
fn a_file_is_read_as_people_may_write_it() {
    let text = "# by hand\n[[account]]\nname = \"@alice:example.org\"\napp_id = 'app'\npushkey = 'se\"same'\ncounts = \"room\"\ncreated_at = 2026-11-22T10:00:00+01:00\n";
    let read = parse(text).unwrap();
    let alice = read.find("@alice:example.org").unwrap();
    assert_eq!((alice.app_id.as_str(), alice.pushkey.as_str(), alice.counts), ("app", "se\"same", CountsScope::Room));
    assert_eq!(alice.created_at, "2026-11-22T09:00:00Z".parse().unwrap());
    assert_eq!(parse(HEAD).unwrap().iter().len(), 0);
    assert_eq!(parse(&format!("{HEAD}{ALICE}")).unwrap().find("alice").unwrap().counts, CountsScope::Account);
}

#[test]
fn a_damaged_file_is_told_by_line_and_by_what_would_be_right() {
    #[track_caller]
    fn check(text: &str, line: usize, wanted: &str) {
        let damage = parse(text).expect_err(text);
        assert!(damage.line == line && damage.problem.contains(wanted), "{text}\n{damage:?}");
        assert!(!damage.problem.contains("sesame"), "{damage:?}");
    }
    check("", 1, "version = 1");
    check("\n# nothing left\n", 1, "version = 1");
    check("version = 2\n", 1, "newer Pushbell");
    check("version = \"1\"\n", 1, "expected");
    check("version = 1\naccounts = []\n", 2, "unknown key, expected `version` or `account`");
    check("account = \"sesame\"\n", 1, "expected a sequence");
    check("version = 1\nsesame = \"a\"\n", 2, "unknown key");
    check("account = [\"sesame\"]\n", 1, "expected struct");
    check("[[account]\nname = \"sesame\"\n", 1, "not TOML");
    check("[[account]]\npushkey = \"sesame\n", 2, "not TOML");
    check("[[account]]\npushkey = sesame\n", 2, "not TOML");
    check("version = 1\n\n[[account]]\nname = \"a\"\n", 3, "app_id");
    check(&ALICE.replace("\"sesame\"", "17"), 4, "expected a string");
    check(&ALICE.replace("pushkey", "push_key"), 4, "unknown key, expected one of `name`");
    check(&ALICE.replace("\"sesame\"", "\"\""), 1, "1 to 512 bytes");
    check(&ALICE.replace("\"sesame\"", "\"sesame\\n\""), 1, "printable");
    check(&ALICE.replace("\"sesame\"", &format!("\"{}\"", "k".repeat(513))), 1, "1 to 512 bytes");
    check(&ALICE.replace("\"app\"", &format!("\"{}\"", "k".repeat(65))), 1, "1 to 64");
    check(&ALICE.replace("\"alice\"", "\"a b\""), 1, "letters, digits");
    check(&ALICE.replace("\"alice\"", "\"\""), 1, "letters, digits");
    check(&ALICE.replace("\"alice\"", "\"-a\""), 1, "letters, digits");
    check(&ALICE.replace("2026-11-22T09:00:00Z", "yesterday"), 5, "2026-11-22T09:30:00Z");
    check(&ALICE.replace("created_at", "counts"), 5, "`account` or `room`");
    check(&format!("{ALICE}{ALICE}"), 6, "unique");
    check(&format!("{ALICE}{}", ALICE.replace("alice", "bob")), 6, "\"alice\" has the same");
}

#[test]
fn a_damaged_sign_in_is_told_by_line() {
    const SIGNED_IN: &str = "sign_in = { user_id = \"@a:b\", device_id = \"D\", homeserver = \"https://b\", method = \"sso\", server = \"\" }\n";
    let good = parse(&format!("{HEAD}{ALICE}{SIGNED_IN}")).unwrap();
    let sign_in = good.find("alice").unwrap().sign_in.clone().unwrap();
    assert_eq!((sign_in.method, sign_in.event_id_only, sign_in.server.as_str()), (SignInMethod::Sso, false, ""));
    let check = |from: &str, to: &str, wanted: &str| {
        let damage = parse(&format!("{ALICE}{}", SIGNED_IN.replace(from, to))).expect_err(to);
        assert!(damage.line == 6 && damage.problem.contains(wanted), "{to}: {damage:?}");
    };
    check("\"sso\"", "\"magic\"", "`sso`");
    check("device_id = \"D\"", "device_id = 7", "expected a string");
    check("homeserver", "home_server", "`homeserver`");
    check("user_id = \"@a:b\", ", "", "missing field `user_id`");
    check(SIGNED_IN, "sign_in = true\n", "expected struct");
}

/// The text of a file with two accounts.
fn written() -> String {
    let sign_in = SignIn { event_id_only: true, ..sign_in("@a:b") };
    let list = [Account { sign_in: Some(sign_in), ..account("a", "app", "one") }, account("b", "app", "two")];
    format::render(&list).unwrap()
}

#[test]
fn a_file_is_intact_as_it_was_written_or_by_hand() {
    let text = written();
    let (without_checksum, _) = text.trim_end().rsplit_once('\n').unwrap();
    assert!(text.trim_end().rsplit_once('\n').unwrap().1.starts_with("# sha256: "));
    let unix_and_windows = [text.clone(), text.replace('\n', "\r\n"), text.trim_end().to_owned()];
    for good in unix_and_windows.into_iter().chain([format!("{text}{ALICE}"), without_checksum.to_owned()]) {
        assert!(is_intact(&good) && parse(&good).unwrap().iter().len() >= 2, "{good}");
    }
    assert!(is_intact(&format!("{HEAD}{ALICE}")));
}

#[test]
fn no_flipped_bit_and_no_lost_end_makes_a_known_pushkey_unknown() {
    let text = written();
    let is_served = |text: &str, what: &dyn fmt::Debug| {
        let Ok((accounts, integrity)) = format::parse(text) else { return };
        let all = ["one", "two"].iter().all(|key| accounts.iter().any(|account| account.pushkey == **key));
        assert!(all || integrity == format::Integrity::Mismatch, "{what:?}\n{text}");
    };
    for end in (0..text.len()).filter(|end| text.is_char_boundary(*end)) {
        is_served(&text[..end], &end);
    }
    for bit in 0..8 * text.len() {
        let mut bytes = text.clone().into_bytes();
        bytes[bit / 8] ^= 1 << (bit % 8);
        // What is not UTF-8 cannot be read at all.
        if let Ok(flipped) = String::from_utf8(bytes) {
            is_served(&flipped, &bit);
        }
    }
}

#[test]
fn a_wrong_checksum_is_reported_until_the_file_is_written_again() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("accounts.toml");
    let file = AccountsFile::new(&path);
    let change = || fs::write(&path, fs::read_to_string(&path).unwrap().replace("\"one\"", "\"0ne\"")).unwrap();
    fs::write(&path, written()).unwrap();
    assert!(file.read().unwrap().unreadable().is_none());
    change();
    let changed = file.read().unwrap();
    assert!(changed.unreadable().is_some_and(|reason| reason.contains("--accept")));
    assert_eq!(admitted(&changed, &[("app", "two")]), Some((vec!["b".to_owned()], vec![])));
    assert_eq!(admitted(&changed, &[("app", "one")]), None);
    file.accept().unwrap();
    let accepted = file.read().unwrap();
    assert_eq!(admitted(&accepted, &[("app", "one")]), Some((vec![], vec!["one".to_owned()])));

    fs::write(&path, written()).unwrap();
    change();
    file.add(account("c", "app", "three")).unwrap();
    assert!(file.read().unwrap().unreadable().is_none());
}

#[test]
fn a_killed_command_leaves_no_copy_of_the_pushkeys() {
    let place = tempfile::tempdir().unwrap();
    let file = AccountsFile::new(&place.path().join("accounts.toml"));
    let leftover = place.path().join(".accounts.toml.new");
    let files = || fs::read_dir(place.path()).unwrap().count();
    fs::write(&leftover, written()).unwrap();
    file.remove_leftovers();
    assert!(!leftover.exists());
    fs::write(&leftover, written()).unwrap();
    file.add(account("a", "app", "one")).unwrap();
    assert_eq!(files(), 2, "the accounts and their lock");
}

#[test]
fn the_number_of_accounts_is_limited() {
    let list = |count| (0..count).map(|n| account(&format!("a{n}"), "app", &format!("k{n}"))).collect::<Vec<_>>();
    assert!(parse(&format::render(&list(MAX_ACCOUNTS)).unwrap()).is_ok());
    assert!(parse(&format::render(&list(MAX_ACCOUNTS + 1)).unwrap()).is_err());
}

#[test]
fn accounts_are_added_and_removed_in_a_private_file() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("data/accounts.toml");
    let file = AccountsFile::new(&path);
    assert!(matches!(file.read(), Err(AccountsError::Missing { .. })));

    file.add(account("a", "app", "one")).unwrap();
    file.add(account("b", "app", "two")).unwrap();
    for clash in [account("a", "app", "three"), account("c", "app", "one")] {
        assert!(matches!(file.add(clash), Err(AccountsError::NotAdded(_))));
    }
    assert!(matches!(file.add(account("", "app", "four")), Err(AccountsError::Invalid(_))));
    file.replace("a", account("a", "app", "new")).unwrap();
    file.replace("z", account("z", "app", "last")).unwrap();
    assert!(matches!(file.replace("a", account("a", "app", "two")), Err(AccountsError::NotAdded(_))));
    let names: Vec<_> = file.read().unwrap().iter().map(|account| account.name.to_string()).collect();
    assert_eq!(names, ["a", "b", "z"]);
    file.remove("z").unwrap();
    assert_eq!(file.remove("a").unwrap().pushkey, "new");
    assert!(matches!(file.remove("a"), Err(AccountsError::NoSuchAccount(_))));

    let left: Vec<_> = file.read().unwrap().iter().map(|account| account.name.to_string()).collect();
    assert_eq!(left, ["b"]);
    file.remove("b").unwrap();
    assert_eq!(file.read().unwrap().iter().len(), 0);
}

#[test]
fn nothing_is_written_that_could_not_be_read_again() {
    let place = tempfile::tempdir().unwrap();
    let file = AccountsFile::new(&place.path().join("accounts.toml"));
    file.add(account("a", "app", "one")).unwrap();
    let sign_in = SignIn { device_id: "D".repeat(300_000), ..sign_in("@b:b") };
    let talkative = Account { sign_in: Some(sign_in), ..account("b", "app", "two") };

    assert!(matches!(file.replace("talkative", talkative), Err(AccountsError::NotAdded(_))));

    assert_eq!(file.read().unwrap().iter().len(), 1);
}

#[test]
fn a_damaged_file_is_never_written_over() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("accounts.toml");
    fs::write(&path, "[[account]]\nname = ").unwrap();
    let file = AccountsFile::new(&path);

    assert!(matches!(file.add(account("a", "app", "one")), Err(AccountsError::Damaged { line: 2, .. })));

    assert_eq!(fs::read_to_string(&path).unwrap(), "[[account]]\nname = ");
    fs::write(&path, vec![b'#'; 1024 * 1024]).unwrap();
    assert!(matches!(file.read(), Err(AccountsError::Io { .. })));
}

#[test]
fn accounts_added_at_the_same_time_are_all_kept() {
    let place = tempfile::tempdir().unwrap();
    let file = AccountsFile::new(&place.path().join("accounts.toml"));
    thread::scope(|scope| {
        for number in 0..8 {
            let file = &file;
            scope.spawn(move || file.add(account(&format!("a{number}"), "app", &format!("k{number}"))).unwrap());
        }
    });
    assert_eq!(file.read().unwrap().iter().len(), 8);
}

#[test]
fn pushkeys_are_32_random_bytes_in_base64() {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let (one, two) = (new_pushkey().unwrap(), new_pushkey().unwrap());
    assert_eq!((STANDARD.decode(&one).unwrap().len(), one == two), (32, false));
}

#[test]
fn debug_output_hides_pushkeys() {
    let accounts = accounts(&[("app", "sesame")]);
    assert!(!format!("{accounts:?} {:?}", accounts.iter().collect::<Vec<_>>()).contains("sesame"));
}
