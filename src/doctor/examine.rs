//! Runs all checks concurrently.

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
    homeserver::HomeserverKind,
    paths::Paths,
    platform::{autostart, probe},
    push::notify,
    secrets::Secrets,
    sound,
};

/// Time limit for the running program's status.
const ASK: Duration = Duration::from_secs(3);

/// Runs all checks, in about ten seconds at most. The findings are in the order in which a user would look.
/// `has_config`: a configuration file exists or was named.
pub(crate) async fn examine(paths: &Paths, has_config: bool) -> Vec<Finding> {
    let loaded = if has_config { Config::load(&paths.config) } else { Ok(Config::default()) };
    let running = running::ask(paths, ASK).await;
    let status = running.as_ref().ok();
    let settings = settings::check(&paths.config, has_config, &loaded, status.is_some());
    // Beside a faulty file the configuration in force is unknown here; the defaults are the best guess.
    let config = loaded.unwrap_or_default();
    let accounts = Accounts::read(&paths.accounts);
    let signed_in = accounts.iter().flat_map(Accounts::iter).any(|it| it.sign_in.is_some() || it.relay.is_some());

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
    findings.extend(surroundings::check(seen.ok(), device, status, &config, signed_in));
    findings.extend(faults.into_iter().flatten().map(|fault| surroundings::unplayable(&fault)));
    findings.push(surroundings::starting(starting));
    findings.extend(storage);
    findings.extend(status.into_iter().flat_map(running::never_pushed));
    findings.extend(ways);
    if let Some(status) = status {
        findings.extend(running::problems(status, &findings, paths, &config));
    }
    findings
}

/// Checks the path from each account's homeserver to us. Equal findings of several accounts are listed once.
async fn ways(paths: &Paths, config: &Config, running: &Running, accounts: Option<&Accounts>) -> Vec<Finding> {
    let (base, listen): (String, Vec<_>) = match running {
        Ok(status) => (status.public_url.clone(), status.listen.iter().filter_map(|at| at.parse().ok()).collect()),
        Err(_) => (config.server.base_url(), Vec::new()),
    };
    let end = LocalEnd {
        url: format!("{base}{}", notify::PATH),
        listen: if listen.is_empty() { config.server.listen.clone() } else { listen },
        tls: config.server.tls.is_some(),
        runs: running.is_ok(),
    };
    let accounts: Vec<Account> = accounts.iter().flat_map(|accounts| accounts.iter()).cloned().collect();
    let mut checks = JoinSet::new();

    let is_by_hand = |account: &&Account| account.sign_in.is_none() && account.relay_address().is_none();
    let by_hand: Vec<_> = accounts.iter().filter(is_by_hand).collect();
    if accounts.is_empty() || !by_hand.is_empty() {
        let last = by_hand.iter().find_map(|by_hand| running::account(running, &by_hand.name)?.last_push);
        let (end, pushed) = (end.clone(), last.map_or(Pushed::Unasked, Pushed::At));
        checks.spawn(
            async move { (0, reach::examine(&end, None, &HomeserverKind::Unknown(String::new()), pushed).await) },
        );
    }
    for (position, account) in (1..).zip(accounts) {
        let known = running::account(running, &account.name);
        let last_push = known.and_then(|known| known.last_push);
        let encryption = known.map(|known| known.encryption.clone()).unwrap_or_default();
        let listening = known.and_then(|known| known.sign_in.listening);
        let check = AccountCheck {
            is_url_chosen: config.server.public_url.is_some() && account.relay_address().is_none(),
            account,
            last_push,
            end: end.clone(),
            secrets: Secrets::new(paths),
            encryption,
            listening,
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
    if running.is_err() {
        findings = running::without_endpoint(findings, &end);
    }
    findings
}
