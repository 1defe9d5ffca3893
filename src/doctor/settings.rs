//! The configuration.

use std::path::Path;

use hyper::Uri;

use super::{Finding, words};
use crate::config::{Config, ConfigError};

const PART: &str = "config";

pub(super) fn check(path: &Path, has_file: bool, config: &Result<Config, ConfigError>) -> Vec<Finding> {
    let path = path.display();
    match config {
        Err(ConfigError::Unreadable { .. }) => {
            let says = config.as_ref().err().map(words).unwrap_or_default();
            vec![Finding::fault(PART, says).advise("`pushbell check-config` says when it is good")]
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
            [Some(Finding::good(PART, says)), plain(config)].into_iter().flatten().collect()
        }
    }
}

/// Pushes that cross a network unencrypted.
fn plain(config: &Config) -> Option<Finding> {
    let base = config.server.base_url();
    let uri: Uri = base.parse().ok()?;
    let host = uri.host()?.trim_matches(['[', ']']);
    let stays_here = host == "localhost" || host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback());
    (uri.scheme_str() == Some("http") && !stays_here).then(|| {
        Finding::warning(PART, format!("pushes to {base} are not encrypted: others on the way can read them")).advise(
            "Fine inside a VPN; else give Pushbell a certificate (server.tls), or put a proxy with one in front",
        )
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
            let found = super::check(Path::new("pushbell.toml"), true, &config);
            assert_eq!(found.iter().map(|finding| finding.verdict).collect::<Vec<_>>(), expected, "{text}\n{found:#?}");
        }
        use Verdict::{Fault, Good, Warning};
        check("", &[Good]);
        check("[server]\nlisten = ['[::1]:1']", &[Good]);
        check("[server]\nlisten = ['192.168.1.20:7874']", &[Good, Warning]);
        check("[server]\nlisten = ['0.0.0.0:7874']", &[Good, Warning]);
        check("[server]\nlisten = ['0.0.0.0:7874']\npublic_url = 'https://push.example.org'", &[Good]);
        check("[server]\npublic_url = 'http://push.example.org'", &[Good, Warning]);
        check("[server]\npublic_url = 'http://localhost:7874'", &[Good]);
        check("[popup]\nenable = true\npreview = 'x'", &[Fault, Fault]);
    }
}
