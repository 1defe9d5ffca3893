//! How far the relay of an account was read.

use jiff::Timestamp;

use super::{
    Inbox, InboxError,
    counts::AccountRow,
    transaction::{self, Write},
};

fn name(account: &str) -> String {
    format!("relay_time:{account}")
}

impl Inbox {
    /// The time, by the relay's clock, up to which the account's pushes are known; in seconds since the epoch.
    pub(crate) async fn relay_time(&self, account: &str) -> Result<Option<u64>, InboxError> {
        let name = name(account);
        let time = self.read(move |db| transaction::setting(db, &name)).await?;
        Ok(time.and_then(|time| time.parse().ok()))
    }

    /// Stores that time, once everything before it is recorded. `is_push`: a push was among it.
    pub(crate) async fn set_relay_time(&self, account: &str, time: u64, is_push: bool) -> Result<(), InboxError> {
        let account = account.to_owned();
        self.write(move |write| {
            transaction::set_setting(write.db, &name(&account), Some(&time.to_string()))?;
            if is_push {
                let mut account = AccountRow::named(write.db, &account)?;
                account.last_push = Some(Timestamp::now().as_millisecond());
                account.save(write.db)?;
                write.changes.is_visible = true;
            }
            Ok(())
        })
        .await
    }
}

/// Deletes the time of an account that is gone.
pub(super) fn forget(write: &Write<'_>, account: &str) -> rusqlite::Result<()> {
    transaction::set_setting(write.db, &name(account), None)
}
