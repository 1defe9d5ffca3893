//! Checks the database, the disk and the list of accounts.

use std::path::Path;

use super::{DEADLINE, Finding, with_deadline, words};
use crate::{
    accounts::{Accounts, AccountsError},
    inbox::{self, InboxError},
    paths::Paths,
    platform::probe,
};

const MIB: u64 = 1024 * 1024;
/// Below this, a flood of notices could fill the disk.
const LITTLE: u64 = 100 * MIB;
/// Below this, not even the database's log fits.
const TOO_LITTLE: u64 = MIB;

pub(super) async fn check(paths: &Paths, accounts: &Result<Accounts, AccountsError>) -> Vec<Finding> {
    let database = paths.database.clone();
    // Leaves time for the call to return.
    let looked = with_deadline(DEADLINE, move || inbox::check_integrity(&database, DEADLINE / 2)).await;
    let mut findings = vec![database_of(paths, looked)];
    findings.extend(disk(paths));
    findings.push(list(paths, accounts));
    findings
}

fn database_of(paths: &Paths, looked: Option<Result<Option<inbox::Integrity>, InboxError>>) -> Finding {
    const PART: &str = "database";
    let path = paths.database.display();
    match looked {
        None => Finding::fault(PART, format!("{path} cannot be read in time")).advise("Check the disk that it is on"),
        Some(Err(error @ InboxError::Damaged { .. })) => Finding::fault(PART, words(error)).advise(
            "Restart Pushbell: it puts the file aside and begins a new one. Accounts are kept elsewhere and stay",
        ),
        Some(Err(error @ (InboxError::Unusable { .. } | InboxError::TooNew { .. } | InboxError::Closed))) => {
            Finding::fault(PART, words(error))
        }
        Some(Ok(None)) => Finding::good(PART, format!("{path} is not there yet")),
        Some(Ok(Some(found))) => match [&paths.data, &paths.database].map(|place| probe::check_writable(place)) {
            [Err(error), _] | [_, Err(error)] => Finding::fault(PART, format!("{path} cannot be written: {error}"))
                .advise("Pushes are put off until it can. Make the directory and its files writable for you"),
            [Ok(()), Ok(())] => {
                let far = if found.complete { "" } else { " as far as there was time to look" };
                Finding::good(PART, format!("is sound{far} ({})", size(found.bytes)))
            }
        },
    }
}

fn disk(paths: &Paths) -> Option<Finding> {
    const PART: &str = "disk";
    let place = nearest(&paths.data)?;
    let at = paths.data.display();
    let disk = match probe::disk(place) {
        Ok(disk) => disk,
        Err(error) => return Some(Finding::fault(PART, format!("{at} cannot be looked at: {error}"))),
    };
    Some(if disk.read_only {
        Finding::fault(PART, format!("{at} is on a disk that is read-only: nothing can be kept"))
            .advise("Mount it to be written; if that happened by itself, see `dmesg` and check the disk")
    } else if disk.free < TOO_LITTLE {
        Finding::fault(PART, format!("{at} is on a full disk: no notice can be kept")).advise("Make room on it")
    } else if disk.free < LITTLE {
        Finding::warning(PART, format!("{} are left for {at}", size(disk.free))).advise("Make room on that disk")
    } else {
        Finding::good(PART, format!("{} free", size(disk.free)))
    })
}

/// The path, or its nearest existing ancestor.
fn nearest(path: &Path) -> Option<&Path> {
    path.ancestors().find(|place| place.exists())
}

fn list(paths: &Paths, accounts: &Result<Accounts, AccountsError>) -> Finding {
    const PART: &str = "accounts";
    let accounts = match accounts {
        Ok(accounts) => accounts,
        Err(AccountsError::Missing { .. }) if paths.is_first_start() => {
            return Finding::good(PART, "there are none yet: the first start makes one");
        }
        Err(AccountsError::Missing { path }) => {
            return Finding::fault(PART, format!("{} is gone, and pushes are put off", path.display())).advise(
                "Bring it back from a backup; without one, `pushbell login` or `pushbell account add` begins anew",
            );
        }
        Err(error) => {
            return Finding::fault(PART, words(error))
                .advise("Put the file right; until then, unknown pushes are put off");
        }
    };
    let all = accounts.iter().len();
    if let Some(reason) = accounts.unreadable() {
        // The reason contains its own advice.
        Finding::fault(PART, words(reason))
    } else if all == 0 {
        Finding::warning(PART, "there are none: nobody can push")
            .advise("`pushbell login @you:example.org`, or `pushbell account add NAME`")
    } else {
        let signed_in = accounts.iter().filter(|account| account.sign_in.is_some()).count();
        Finding::good(PART, format!("{all}, of which {signed_in} signed in"))
    }
}

/// "1.5 MB", with at most one decimal.
fn size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")];
    for (unit, name) in UNITS {
        if bytes >= unit {
            return format!("{}.{} {name}", bytes / unit, bytes % unit * 10 / unit);
        }
    }
    format!("{bytes} bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        let check = |bytes, expected: &str| assert_eq!(size(bytes), expected);
        check(999, "999 bytes");
        check(1_590, "1.5 kB");
        check(12_345_678, "12.3 MB");
        check(u64::from(u32::MAX), "4.2 GB");
    }
}
