//! Checks the running program and its listening addresses.

use std::{io, net::SocketAddr, path::Path, time::Duration};

use tokio::time::timeout;

use super::{Finding, Remedy, Verdict, reach::LocalEnd, words};
use crate::{
    app, app_info,
    config::Config,
    control::{self, AccountStatus, AskError, Request, Status},
    paths::Paths,
    platform::sockets,
};

const PART: &str = "pushbell";
const LISTENING: &str = "listening";

/// Status of the running program.
pub(super) type Running = Result<Status, AskError>;

/// Asks the running program.
pub(super) async fn ask(paths: &Paths, deadline: Duration) -> Running {
    let reply = timeout(deadline, control::ask(paths, &Request::Status)).await;
    reply.unwrap_or_else(|late| Err(AskError::NoAnswer(late.into())))?.into_status()
}

/// The program's status of this account, if it is running.
pub(super) fn account<'a>(running: &'a Running, name: &str) -> Option<&'a AccountStatus> {
    running.as_ref().ok()?.accounts.iter().find(|known| known.name == name)
}

/// Checks whether it is running, and where it listens.
pub(super) fn check(running: &Running, paths: &Paths, config: &Config) -> Vec<Finding> {
    match running {
        Ok(Status { version, pid, paused_until, listen, .. }) => {
            let says = format!("version {} runs (process {pid})", words(version));
            let mut findings = vec![if version == app_info::VERSION {
                Finding::good(PART, says)
            } else {
                Finding::warning(PART, format!("{says}, and this is {}", app_info::VERSION))
                    .advise("Quit the running one and start it again")
            }];
            if let Some(until) = paused_until {
                let says = format!("popups and sounds are paused {}", control::until(*until));
                findings.push(
                    Finding::warning(PART, says).advise("`pushbell resume` ends the pause").remedy(Remedy::Resume),
                );
            }
            findings.push(if listen.is_empty() {
                let advice =
                    format!("Set server.listen in {} to an address that this computer has", paths.config.display());
                Finding::fault(LISTENING, "it listens on no address").advise(advice).remedy(Remedy::EditConfiguration)
            } else {
                Finding::good(LISTENING, listen.join(", "))
            });
            findings
        }
        Err(AskError::NotRunning) => {
            let mut findings = vec![
                Finding::warning(PART, "is not running: no push can come")
                    .advise("Start it with `pushbell`; `pushbell autostart on` starts it with the desktop"),
            ];
            findings.extend(config.server.listen.iter().map(|address| free(*address, &paths.config)));
            findings
        }
        Err(error) => {
            let says = words(error).trim_end_matches('.').to_owned();
            vec![Finding::fault(PART, says).advise("End that process and start Pushbell again")]
        }
    }
}

/// Checks whether the address can be bound.
fn free(address: SocketAddr, config: &Path) -> Finding {
    match sockets::listen(address) {
        Ok(_) => Finding::good(LISTENING, format!("{address} is free")),
        Err(error) => {
            let says = app::explain_listening(address, &error, config);
            let is_absent = error.kind() == io::ErrorKind::AddrNotAvailable;
            if is_absent { Finding::warning(LISTENING, says) } else { Finding::fault(LISTENING, says) }
        }
    }
}

/// Problems that the running program reports, unless a check of the same file has reported a fault.
pub(super) fn problems(status: &Status, findings: &[Finding], paths: &Paths, config: &Config) -> Vec<Finding> {
    let is_at_fault = |part: &str| findings.iter().any(|f| f.part == part && f.verdict == Verdict::Fault);
    let said = |problem: &str| {
        let own = [("config", &paths.config), ("accounts", &paths.accounts), ("database", &paths.database)];
        let tls =
            config.server.tls.iter().flat_map(|tls| [("certificate", &tls.certificate), ("certificate", &tls.key)]);
        own.into_iter()
            .chain(tls)
            .any(|(part, path)| is_at_fault(part) && problem.contains(&path.display().to_string()))
    };
    let problems = status.problems.iter().filter(|problem| !said(problem));
    problems.map(|problem| Finding::fault(PART, words(problem))).collect()
}

/// Accounts registered by hand that no homeserver has ever pushed to.
pub(super) fn never_pushed(status: &Status) -> impl Iterator<Item = Finding> {
    let is_silent = |account: &&AccountStatus| account.last_push.is_none() && account.sign_in.signed_in.is_none();
    status.accounts.iter().filter(is_silent).map(|account| {
        let name = words(&account.name);
        Finding::warning("account", format!("{name}: no push has ever come")).advise(format!(
            "`pushbell account show {name}` says how to register it; `pushbell account remove {name}` removes one that is \
             not used"
        ))
        .remedy(Remedy::SetUp)
    })
}

/// While the program is not running, an unanswered push is no fault of the path.
pub(super) fn without_endpoint(mut findings: Vec<Finding>, end: &LocalEnd) -> Vec<Finding> {
    findings.retain(|finding| finding.part != "endpoint");
    let base = end.url.split("/_matrix").next().unwrap_or(&end.url);
    let says = format!("{} can only be tried while Pushbell runs", words(base));
    findings.push(Finding::warning("pusher URL", says));
    findings
}

#[cfg(test)]
mod tests {
    use Verdict::{Fault, Good, Warning};

    use std::net::TcpListener;

    use jiff::Timestamp;

    use super::*;
    use crate::control::tests::status;

    fn paths() -> Paths {
        Paths::within(Path::new("/home"))
    }

    #[test]
    fn a_running_program_is_judged_by_what_it_says() {
        fn found(status: Status) -> Vec<(Verdict, String)> {
            let found = check(&Ok(status), &paths(), &Config::default());
            found.into_iter().map(|finding| (finding.verdict, finding.says)).collect()
        }
        let [(Good, says), (Good, listen)] = &found(status())[..] else { panic!("all is well") };
        assert_eq!((says.contains("(process 1)"), listen.as_str()), (true, "127.0.0.1:7"));
        let other = found(Status { version: "0.0.1".to_owned(), ..status() });
        assert!(other[0].0 == Warning && other[0].1.contains("version 0.0.1 runs"), "{other:?}");
        let endless = found(Status { paused_until: Some(Timestamp::MAX), ..status() });
        assert_eq!(endless[1], (Warning, "popups and sounds are paused until `pushbell resume`".to_owned()));
        let until = Timestamp::now() + Duration::from_secs(3600);
        let paused = found(Status { paused_until: Some(until), ..status() });
        assert!(paused[1].1.contains("paused until 2"), "{paused:?}");
        let nowhere = found(Status { listen: Vec::new(), ..status() });
        assert_eq!(nowhere[1], (Fault, "it listens on no address".to_owned()));
    }

    #[test]
    fn an_address_is_free_taken_or_not_of_this_computer() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let free = |address| free(address, Path::new("pushbell.toml"));
        assert_eq!(free(taken.local_addr().unwrap()).verdict, Fault);
        assert_eq!(free("127.0.0.1:0".parse().unwrap()).verdict, Good);
        // RFC 5737: an address for documentation.
        let foreign = free("192.0.2.1:7874".parse().unwrap());
        assert!(foreign.verdict == Warning && foreign.says.contains("does not have the address"), "{foreign:?}");
    }

    #[test]
    fn a_problem_is_told_unless_a_fault_has_told_it() {
        let paths = paths();
        let problem = format!("The configuration has a fault: {}:1: x", paths.config.display());
        let status = Status { problems: vec![problem, "other".to_owned()], ..status() };
        let told = |findings: &[Finding]| problems(&status, findings, &paths, &Config::default()).len();
        assert_eq!(told(&[]), 2);
        assert_eq!(told(&[Finding::good("config", "it is good by now")]), 2);
        assert_eq!(told(&[Finding::fault("accounts", "x")]), 2);
        assert_eq!(told(&[Finding::fault("config", "x")]), 1);
    }
}
