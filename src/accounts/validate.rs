//! What a valid account is (pure).

use super::{Account, AccountsError};

/// How long a name may be, in characters.
pub const MAX_NAME_CHARS: usize = 64;
/// How long an `app_id` may be, in characters (the specification's limit).
pub const MAX_APP_ID_CHARS: usize = 64;
/// How long a `pushkey` may be, in bytes (the specification's limit).
pub const MAX_PUSHKEY_BYTES: usize = 512;
/// How many accounts there may be. More than anybody has, few enough for a menu line and a row in `status` each.
pub const MAX_ACCOUNTS: usize = 64;

/// Whether the account is valid, and may stand beside the others.
pub(super) fn fits_beside(account: &Account, others: &[Account]) -> Result<(), AccountsError> {
    let Account { name, app_id, pushkey, counts: _, created_at: _, sign_in: _ } = account;
    let invalid = |problem| Err(AccountsError::Invalid(problem));
    if !is_name(name) {
        return invalid(format!("a name is 1 to {MAX_NAME_CHARS} letters, digits or any of - _ . @ :, as in \"work\""));
    }
    if app_id.is_empty() || app_id.chars().count() > MAX_APP_ID_CHARS || app_id.chars().any(char::is_control) {
        return invalid(format!("an app_id is 1 to {MAX_APP_ID_CHARS} printable characters"));
    }
    if pushkey.is_empty() || pushkey.len() > MAX_PUSHKEY_BYTES || pushkey.chars().any(char::is_control) {
        return invalid(format!("a pushkey is 1 to {MAX_PUSHKEY_BYTES} bytes of printable characters"));
    }
    let clash = |problem| Err(AccountsError::NotAdded(problem));
    if others.len() >= MAX_ACCOUNTS {
        return clash(format!("there are more than {MAX_ACCOUNTS} accounts: remove some"));
    }
    if others.iter().any(|other| other.name == *name) {
        return clash(format!("there is an account \"{name}\" already: names are unique"));
    }
    if let Some(other) = others.iter().find(|other| other.app_id == *app_id && other.pushkey == *pushkey) {
        return clash(format!(
            "the account \"{}\" has the same app_id and pushkey: each pair is one account's",
            other.name
        ));
    }
    Ok(())
}

/// Names are typed on command lines, and may be user IDs.
fn is_name(name: &str) -> bool {
    let allowed = |c: char| c.is_alphanumeric() || "-_.@:".contains(c);
    (1..=MAX_NAME_CHARS).contains(&name.chars().count()) && name.chars().all(allowed) && !name.starts_with('-')
}
