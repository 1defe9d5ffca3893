//! The account that a sign-in creates or updates (pure).

use jiff::Timestamp;

use crate::{
    accounts::{Account, Accounts, CountsScope, MAX_NAME_CHARS, SignIn, Way},
    app_info,
    homeserver::{HomeserverKind, UserId},
};

/// Whether a login has created the account: only those are named after users.
pub(in crate::cli) fn is_made_by_login(account: &Account) -> bool {
    account.name.starts_with('@')
}

/// The account for this sign-in: the existing one with its name and pushkey, or a new one. A copy of another computer's account
/// keeps its name, but gets a new pushkey.
pub(super) fn account_for(
    before: Option<&Account>,
    accounts: &Accounts,
    user: &UserId,
    sign_in: SignIn,
    new_pushkey: String,
) -> Account {
    let per_room = HomeserverKind::named(&sign_in.server).counts_per_room();
    let counts = if per_room { CountsScope::Room } else { CountsScope::Account };
    let old = before.and_then(|known| known.sign_in.as_ref());
    let is_copy = old.is_some_and(|old| old.is_anothers(&sign_in.installation));
    match before {
        Some(known) => Account {
            counts,
            // Catching up begins with the first session.
            created_at: if known.sign_in.is_some() { known.created_at } else { Timestamp::now() },
            pushkey: if is_copy { new_pushkey } else { known.pushkey.clone() },
            sign_in: Some(sign_in),
            ..known.clone()
        },
        None => Account {
            name: name_for(accounts, user).into(),
            app_id: app_info::APP_ID.to_owned(),
            pushkey: new_pushkey,
            counts,
            way: Way::Auto,
            relay: None,
            created_at: Timestamp::now(),
            sign_in: Some(sign_in),
        },
    }
}

/// The user ID with characters replaced that names cannot contain; numbered if another account has that name.
pub(super) fn name_for(accounts: &Accounts, user: &UserId) -> String {
    let fits = |c: char| c.is_alphanumeric() || "-_.@:".contains(c);
    let like: Vec<char> = user.as_str().chars().map(|c| if fits(c) { c } else { '_' }).collect();
    let named = |ending: &str| {
        let room = MAX_NAME_CHARS - ending.len();
        like.iter().take(room).collect::<String>() + ending
    };
    let mut name = named("");
    let mut number = 2;
    while accounts.find(&name).is_some() {
        name = named(&format!("-{number}"));
        number += 1;
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::AccountsFile;

    fn sign_in(user: &str, server: &str) -> SignIn {
        SignIn { server: server.to_owned(), ..crate::accounts::tests::sign_in(user) }
    }

    fn accounts(list: &[(&str, Option<SignIn>)]) -> Accounts {
        let directory = tempfile::tempdir().unwrap();
        let file = AccountsFile::new(&directory.path().join("accounts.toml"));
        for (name, sign_in) in list {
            let account = crate::accounts::tests::account(name, "app", &format!("key of {name}"));
            file.add(Account { sign_in: sign_in.clone(), ..account }).unwrap();
        }
        if list.is_empty() { Accounts::empty() } else { file.read().unwrap() }
    }

    #[test]
    fn an_account_is_named_after_its_user() {
        fn check(user: &str, taken: &[&str], expected: &str) {
            let taken: Vec<_> = taken.iter().map(|name| (*name, None)).collect();
            assert_eq!(name_for(&accounts(&taken), &UserId::parse(user).unwrap()), expected);
        }
        check("@alice:example.org", &["home"], "@alice:example.org");
        check("@alice:example.org", &["@alice:example.org"], "@alice:example.org-2");
        check("@al=/ce+:example.org", &[], "@al__ce_:example.org");
        let long = format!("@{}:b", "a".repeat(100));
        let short = &long[..64];
        check(&long, &[], short);
        check(&long, &[short], &format!("{}-2", &long[..62]));
    }

    #[test]
    fn who_signs_in_again_keeps_name_and_pushkey() {
        let alice = UserId::parse("@alice:b").unwrap();
        let known = accounts(&[("@alice:b", None), ("mine", Some(sign_in("@alice:b", "Synapse")))]);
        let before = known.of_user("@alice:b");
        let again = account_for(before, &known, &alice, sign_in("@alice:b", "Conduit"), "new".to_owned());
        assert_eq!((&*again.name, again.pushkey.as_str()), ("mine", "key of mine"));
        assert_eq!((again.counts, again.created_at), (CountsScope::Room, Timestamp::UNIX_EPOCH));
        assert_eq!(again.sign_in.unwrap().server, "Conduit");
        let bob = UserId::parse("@bob:b").unwrap();
        let other = account_for(known.of_user("@bob:b"), &known, &bob, sign_in("@bob:b", "Synapse"), "new".to_owned());
        assert_eq!((&*other.name, other.pushkey.as_str(), other.counts), ("@bob:b", "new", CountsScope::Account));
    }

    #[test]
    fn a_copy_of_another_computers_account_gets_its_own_pushkey() {
        let alice = UserId::parse("@alice:b").unwrap();
        let by = |mark: &str| SignIn { installation: mark.to_owned(), ..sign_in("@alice:b", "Synapse") };
        let check = |before: &str, now: &str, expected: &str| {
            let known = accounts(&[("home", Some(by(before)))]);
            let account = account_for(known.find("home"), &known, &alice, by(now), "new".to_owned());
            assert_eq!((&*account.name, account.pushkey.as_str()), ("home", expected), "{before} {now}");
        };
        check("one", "one", "key of home");
        check("one", "another", "new");
        check("", "one", "key of home");
        check("one", "", "key of home");
    }

    #[test]
    fn an_account_that_is_taken_over_begins_with_the_sign_in() {
        let alice = UserId::parse("@alice:b").unwrap();
        let known = accounts(&[("home", None)]);
        let account = account_for(known.find("home"), &known, &alice, sign_in("@alice:b", "Synapse"), "new".to_owned());
        assert_eq!((&*account.name, account.pushkey.as_str()), ("home", "key of home"));
        assert!(account.created_at > Timestamp::UNIX_EPOCH && account.sign_in.is_some());
        assert!(!is_made_by_login(&account));
        let made = account_for(None, &known, &alice, sign_in("@alice:b", "Synapse"), "new".to_owned());
        assert!(is_made_by_login(&made));
    }
}
