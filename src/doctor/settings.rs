//! Checks the configuration.

use std::path::Path;

use hyper::Uri;
use jiff::Timestamp;

use super::{Finding, words};
use crate::{
    address::Scope,
    config::{Config, ConfigError},
    http::tls,
};

const PART: &str = "config";

/// `runs`: the program uses the certificate and checks it itself.
pub(super) fn check(path: &Path, has_file: bool, config: &Result<Config, ConfigError>, runs: bool) -> Vec<Finding> {
    let path = path.display();
    match config {
        Err(error @ (ConfigError::Unreadable { .. } | ConfigError::Emptied { .. })) => {
            vec![Finding::fault(PART, words(error)).advise("`pushbell check-config` says when it is good")]
        }
        Err(ConfigError::Faulty { file, faults }) => faults
            .iter()
            .map(|fault| {
                Finding::fault(PART, words(format!("{file}:{fault}")))
                    .advise("Put it right; `pushbell check-config` says when it is good")
            })
            .collect(),
        Ok(config) => {
            let says = if has_file { format!("{path} is good") } else { format!("{path} is not there yet") };
            [Some(Finding::good(PART, says)), plain(config), certificate(config, runs)].into_iter().flatten().collect()
        }
    }
}

/// Host of the public address.
fn host(config: &Config) -> Option<String> {
    let uri: Uri = config.server.base_url().parse().ok()?;
    Some(uri.host()?.trim_matches(['[', ']']).to_owned())
}

/// Warns of unencrypted pushes across a network.
fn plain(config: &Config) -> Option<Finding> {
    let base = config.server.base_url();
    let is_plain = base.starts_with("http:") && Scope::of_host(&host(config)?) != Some(Scope::Loopback);
    (is_plain || !config.server.in_the_clear().is_empty()).then(|| {
        let at = config.server.in_the_clear().first().map_or(base, ToString::to_string);
        Finding::warning(PART, format!("pushes to {at} are not encrypted: others on the way can read them")).advise(
            "Fine inside a VPN; else give Pushbell a certificate (server.tls), or put a proxy with one on this computer",
        )
    })
}

/// Checks the certificate and key of `server.tls`.
fn certificate(config: &Config, runs: bool) -> Option<Finding> {
    const PART: &str = "certificate";
    let files = config.server.tls.as_ref()?;
    let at = files.certificate.display();
    let pair = match tls::inspect(&files.certificate, &files.key) {
        Ok(pair) => pair,
        Err(error) => {
            let advice = "Put the files right, or others into server.tls in pushbell.toml; they are read again at once";
            return Some(Finding::fault(PART, words(error)).advise(advice));
        }
    };
    let now = Timestamp::now();
    if pair.not_after() < now {
        return Some(Finding::fault(PART, format!("{at} is expired")).advise("Renew it; it is read again at once"));
    }
    if let Some(problem) = pair.expiry_problem(now) {
        return Some(
            Finding::warning(PART, words(format!("{at}: {problem}"))).advise("Renew it; it is read again at once"),
        );
    }
    let host = host(config).filter(|host| !runs && !pair.fits(host));
    Some(match host {
        Some(host) => Finding::warning(PART, format!("{at} is not for {}", words(host)))
            .advise("Get one for this name, or set server.public_url in pushbell.toml to a name that it is for"),
        None => Finding::good(PART, format!("{at} is good")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    #[test]
    fn plain_http_is_worth_a_warning_where_it_leaves_this_computer() {
        fn check(text: &str, expected: &[Verdict]) {
            let config = Config::parse(text, "pushbell.toml");
            let found = super::check(Path::new("pushbell.toml"), true, &config, true);
            assert_eq!(found.iter().map(|finding| finding.verdict).collect::<Vec<_>>(), expected, "{text}\n{found:#?}");
        }
        use Verdict::{Fault, Good, Warning};
        check("", &[Good]);
        check("[server]\nlisten = ['[::1]:1']", &[Good]);
        check("[server]\nlisten = ['192.168.1.20:7874']", &[Good, Warning]);
        check("[server]\nlisten = ['0.0.0.0:7874']", &[Good, Warning]);
        check("[server]\nlisten = ['0.0.0.0:7874']\npublic_url = 'https://push.example.org'", &[Good, Warning]);
        check("[server]\nlisten = ['127.0.0.1:7874']\npublic_url = 'https://push.example.org'", &[Good]);
        check("[server]\npublic_url = 'http://push.example.org'", &[Good, Warning]);
        check("[server]\npublic_url = 'http://localhost:7874'", &[Good]);
        check("[popup]\nenable = true\npreview = 'x'", &[Fault, Fault]);
    }
}
