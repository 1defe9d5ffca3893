//! All checks, side by side.

use std::time::Duration;

use tokio::{task::JoinSet, time::timeout};

use super::{
    DEADLINE, Finding,
    reach::{self, LocalEnd, Pushed},
    running::{self, Running},
    sessions::{self, AccountCheck},
    settings, storage, surroundings, with_deadline,
};
use crate::{
    accounts::{Account, Accounts},
    config::Config,
    control::Status,
    homeserver::HomeserverKind,
    paths::Paths,
    platform::{autostart, probe},
    push::notify,
    secrets::Secrets,
    sound,
};

/// How long the running program may take to say how it is.
const ASK: Duration = Duration::from_secs(3);

/// Looks at all parts, in about ten seconds at most; the findings in the order in which a person would look.
/// `has_config`: there is a configuration file, or one was named.
pub async fn examine(paths: &Paths, has_config: bool) -> Vec<Finding> {
    let loaded = if has_config { Config::load(&paths.config) } else { Ok(Config::default()) };
    let running = running::ask(paths, ASK).await;
    let settings = settings::check(&paths.config, has_config, &loaded, running.status().is_some());
    // What a faulty file leaves in force is not known here: the defaults are the best guess.
    let config = loaded.unwrap_or_default();
    let accounts = Accounts::read(&paths.accounts);
    let signed_in = accounts.iter().flat_map(Accounts::iter).any(|account| account.sign_in.is_some());

    let (settings_of_sound, sounds) = (config.sound.clone(), paths.sounds.clone());
    let (seen, device, faults, starting, storage, ways) = tokio::join!(
        timeout(DEADLINE, probe::surroundings()),
        with_deadline(DEADLINE, sound::find_device),
        with_deadline(DEADLINE, move || sound::faults(&settings_of_sound, &sounds, true)),
        with_deadline(DEADLINE, autostart::status),
        storage::check(paths, &accounts),
        ways(paths, &config, &running, accounts.as_ref().ok()),
    );
    let mut findings = settings;
    findings.extend(running::check(&running, paths, &config));
    findings.extend(surroundings::check(seen.ok().as_ref(), device, running.status(), &config, signed_in));
    findings.extend(faults.into_iter().flatten().map(|fault| surroundings::unplayable(&fault)));
    findings.push(surroundings::starting(starting));
    findings.extend(storage);
    findings.extend(running.status().into_iter().flat_map(running::never_pushed));
    findings.extend(ways);
    findings.extend(running::problems(&running, &findings, paths, &config));
    findings
}

/// The way from each account's homeserver to us. What is the same for several accounts is said once.
async fn ways(paths: &Paths, config: &Config, running: &Running, accounts: Option<&Accounts>) -> Vec<Finding> {
    let base = running.status().map_or_else(|| config.server.base_url(), |status| status.public_url.clone());
    let end = LocalEnd {
        url: format!("{base}{}", notify::PATH),
        listen: running.listen(config),
        tls: config.server.tls.is_some(),
        runs: running.status().is_some(),
    };
    let accounts: Vec<Account> = accounts.iter().flat_map(|accounts| accounts.iter()).cloned().collect();
    let mut checks = JoinSet::new();

    let by_hand: Vec<_> = accounts.iter().filter(|account| account.sign_in.is_none()).collect();
    if accounts.is_empty() || !by_hand.is_empty() {
        let last = by_hand.iter().find_map(|account| running.last_push(&account.name));
        let (end, pushed) = (end.clone(), last.map_or(Pushed::Unasked, Pushed::At));
        checks.spawn(
            async move { (0, reach::examine(&end, None, &HomeserverKind::Unknown(String::new()), pushed).await) },
        );
    }
    for (position, account) in (1..).zip(accounts) {
        let last_push = running.last_push(&account.name);
        let of_account = |status: &Status| status.accounts.iter().find(|other| *other.name == *account.name).cloned();
        let encryption = running.status().and_then(of_account).map(|found| found.encryption).unwrap_or_default();
        let check = AccountCheck {
            account,
            last_push,
            end: end.clone(),
            is_url_chosen: config.server.public_url.is_some(),
            secrets: Secrets::new(paths),
            encryption,
        };
        checks.spawn(async move { (position, sessions::check(&check).await) });
    }

    let mut found = checks.join_all().await;
    found.sort_by_key(|(position, _)| *position);
    let mut findings = Vec::new();
    for finding in found.into_iter().flat_map(|(_, findings)| findings) {
        if !findings.contains(&finding) {
            findings.push(finding);
        }
    }
    if running.status().is_none() {
        findings = running::without_endpoint(findings, &end);
    }
    findings
}
