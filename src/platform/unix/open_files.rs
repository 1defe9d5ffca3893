//! How many files and sockets this process may have open at once.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the number to this, or as far as the system lets it; it is not lowered. Returns what holds now.
///
/// Programs that are started from here have the same: numbers far beyond the usual 1024 trouble some of them.
pub fn allow(wanted: usize) -> usize {
    let wanted = u64::try_from(wanted).unwrap_or(u64::MAX);
    let now = getrlimit(Resource::Nofile);
    let enough = now.current.is_none_or(|current| current >= wanted);
    let possible = now.maximum.map_or(wanted, |most| most.min(wanted));
    if !enough && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: Some(possible), ..now }) {
        tracing::debug!("the number of open files cannot be raised: {error}");
    }
    getrlimit(Resource::Nofile).current.map_or(usize::MAX, |current| usize::try_from(current).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_rises_as_far_as_it_may_and_never_falls() {
        let before = allow(0);
        assert_eq!(allow(before - 1), before);
        let maximum = getrlimit(Resource::Nofile).maximum.map_or(usize::MAX, |most| usize::try_from(most).unwrap());
        let raised = allow(before + 1);
        assert_eq!(raised, (before + 1).min(maximum));
        assert_eq!(allow(0), raised);
    }
}
