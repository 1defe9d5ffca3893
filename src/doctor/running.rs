//! The running program, another one, the addresses that it listens on.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    time::Duration,
};

use jiff::{Timestamp, tz::TimeZone};

use super::{Finding, Verdict, reach::LocalEnd, with_deadline, words};
use crate::{
    app_info,
    config::Config,
    control::{self, AccountStatus, AskError, Reply, Request, Status},
    paths::Paths,
};

const PART: &str = "pushbell";
const LISTENING: &str = "listening";

/// Whether the program runs.
#[derive(Debug)]
pub(super) enum Running {
    /// It does, and said how it is.
    Yes(Box<Status>),
    /// It does not.
    No,
    /// Something is there that does not say how it is: why.
    Silent(String),
}

impl Running {
    pub(super) fn status(&self) -> Option<&Status> {
        match self {
            Self::Yes(status) => Some(status),
            Self::No | Self::Silent(_) => None,
        }
    }

    /// What it listens on, else what it would listen on.
    pub(super) fn listen(&self, config: &Config) -> Vec<SocketAddr> {
        let listening = self.status().map(|status| status.listen.iter().filter_map(|a| a.parse().ok()).collect());
        listening.filter(|addresses: &Vec<_>| !addresses.is_empty()).unwrap_or_else(|| config.server.listen.clone())
    }

    /// When a push last came for this account.
    pub(super) fn last_push(&self, account: &str) -> Option<Timestamp> {
        self.status()?.accounts.iter().find(|known| known.name == account)?.last_push
    }
}

/// Asks the running program.
pub(super) async fn ask(paths: &Paths, patience: Duration) -> Running {
    let own_paths = paths.clone();
    let asked = with_deadline(patience, move || control::ask(&own_paths, &Request::Status)).await;
    match asked {
        None => Running::Silent("it does not answer".to_owned()),
        Some(Ok(Reply::Status(status))) => Running::Yes(status),
        Some(Ok(Reply::Done | Reply::Pushed { .. } | Reply::Sample { .. })) => {
            Running::Silent("it did not say how it is".to_owned())
        }
        Some(Ok(Reply::Failed { reason })) => Running::Silent(words(reason)),
        Some(Err(AskError::NotRunning)) => Running::No,
        Some(Err(error)) => Running::Silent(words(error)),
    }
}

/// Whether it runs, and where it listens.
pub(super) fn check(running: &Running, paths: &Paths, config: &Config) -> Vec<Finding> {
    match running {
        Running::Yes(status) => {
            let Status { version, pid, paused_until, listen, .. } = &**status;
            let says = format!("version {} runs (process {pid})", words(version));
            let mut findings = vec![if version == app_info::VERSION {
                Finding::good(PART, says)
            } else {
                Finding::warning(PART, format!("{says}, and this is {}", app_info::VERSION))
                    .advise("Quit the running one and start it again")
            }];
            if let Some(until) = paused_until {
                let says = format!("popups and sounds are paused until {}", end(*until));
                findings.push(Finding::warning(PART, says).advise("`pushbell resume` ends the pause"));
            }
            findings.push(if listen.is_empty() {
                Finding::fault(LISTENING, "it listens on no address").advise(format!(
                    "Set server.listen in {} to an address that this computer has",
                    paths.config.display()
                ))
            } else {
                Finding::good(LISTENING, listen.join(", "))
            });
            findings
        }
        Running::No => {
            let mut findings = vec![
                Finding::warning(PART, "is not running: no push can come")
                    .advise("Start it with `pushbell`; `pushbell autostart on` starts it with the desktop"),
            ];
            findings.extend(config.server.listen.iter().map(|address| free(*address)));
            findings
        }
        Running::Silent(reason) => vec![
            Finding::fault(PART, format!("another Pushbell runs, but {}", reason.trim_start_matches("Pushbell ")))
                .advise("End that process and start Pushbell again"),
        ],
    }
}

/// Whether the address could be listened on now.
fn free(address: SocketAddr) -> Finding {
    let Err(error) = TcpListener::bind(address) else {
        return Finding::good(LISTENING, format!("{address} is free"));
    };
    let other = "set another server.listen in pushbell.toml";
    let kind = error.kind();
    if kind == io::ErrorKind::AddrInUse {
        Finding::fault(LISTENING, format!("another program listens at {address}"))
            .advise(format!("End that program, or {other}"))
    } else if kind == io::ErrorKind::AddrNotAvailable {
        Finding::warning(LISTENING, format!("this computer does not have the address of {address} now"))
            .advise(format!("Connect the network or VPN that it belongs to, or {other}"))
    } else if kind == io::ErrorKind::PermissionDenied {
        Finding::fault(LISTENING, format!("you may not listen at {address}"))
            .advise("Set a port above 1023 in server.listen in pushbell.toml")
    } else {
        Finding::fault(LISTENING, format!("{address} cannot be listened on: {error}"))
            .advise(format!("To go around it, {other}"))
    }
}

/// What the running program says is wrong, and nobody else has said: not about a file that has a line of its own.
pub(super) fn problems(running: &Running, findings: &[Finding], paths: &Paths, config: &Config) -> Vec<Finding> {
    let Some(status) = running.status() else { return Vec::new() };
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
    })
}

/// While the program does not run, no push can come back: that is no fault of the way.
pub(super) fn without_endpoint(mut findings: Vec<Finding>, end: &LocalEnd) -> Vec<Finding> {
    findings.retain(|finding| finding.part != "endpoint");
    let base = end.url.split("/_matrix").next().unwrap_or(&end.url);
    let says = format!("{} can only be tried while Pushbell runs", words(base));
    findings.push(Finding::warning("pusher URL", says));
    findings
}

/// A pause's end in words. The far future stands for a pause without end.
fn end(until: Timestamp) -> String {
    const YEAR: i64 = 366 * 24 * 3600;
    if until.as_second() > Timestamp::now().as_second().saturating_add(YEAR) {
        return "`pushbell resume`".to_owned();
    }
    until.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M").to_string()
}

#[cfg(test)]
mod tests {
    use Verdict::{Fault, Good, Warning};

    use std::path::Path;

    use super::*;
    use crate::{control::InboxStatus, desktop::ServiceState};

    fn status() -> Status {
        let works = ServiceState { available: true, reason: None };
        Status {
            running: true,
            version: app_info::VERSION.to_owned(),
            pid: 1,
            since: Timestamp::UNIX_EPOCH,
            listen: vec!["127.0.0.1:7".to_owned()],
            public_url: "http://127.0.0.1:7".to_owned(),
            tls: None,
            unread: 0,
            missed_calls: 0,
            paused_until: None,
            muted: false,
            inbox: InboxStatus { notices: 0, unshown: 0 },
            accounts: Vec::new(),
            popup: works.clone(),
            tray: works.clone(),
            sound: works,
            problems: Vec::new(),
            warnings: Vec::new(),
        }
    }

    fn paths() -> Paths {
        Paths::within(Path::new("/home"))
    }

    #[test]
    fn a_running_program_is_judged_by_what_it_says() {
        fn found(status: Status) -> Vec<(Verdict, String)> {
            let found = check(&Running::Yes(Box::new(status)), &paths(), &Config::default());
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
        assert_eq!(free(taken.local_addr().unwrap()).verdict, Fault);
        assert_eq!(free("127.0.0.1:0".parse().unwrap()).verdict, Good);
        // RFC 5737: nobody's.
        let foreign = free("192.0.2.1:7874".parse().unwrap());
        assert!(foreign.verdict == Warning && foreign.says.contains("does not have the address"), "{foreign:?}");
    }

    #[test]
    fn a_problem_is_told_unless_a_fault_has_told_it() {
        let paths = paths();
        let problem = format!("The configuration has a fault: {}:1: x", paths.config.display());
        let running = Running::Yes(Box::new(Status { problems: vec![problem, "other".to_owned()], ..status() }));
        let told = |findings: &[Finding]| problems(&running, findings, &paths, &Config::default()).len();
        assert_eq!(told(&[]), 2);
        assert_eq!(told(&[Finding::good("config", "it is good by now")]), 2);
        assert_eq!(told(&[Finding::fault("accounts", "x")]), 2);
        assert_eq!(told(&[Finding::fault("config", "x")]), 1);
    }
}
