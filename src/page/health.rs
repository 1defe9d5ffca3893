//! Health: status and findings with what to do about them, and a report to copy.

use std::{
    fmt::Write as _,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use maud::{Markup, html};

use super::{
    Note, Page, Topic,
    answer::Answer,
    fields::Fields,
    frame::{self, View},
    routes::Outcome,
    server::locked,
    settings, words,
};
use crate::{
    app_info,
    control::{self, Reply, Request, Section, Status},
    doctor::{self, Finding, Remedy, Verdict},
    invocation,
    push::text,
    sample,
};

/// Findings newer than this are shown without checking again.
const FRESH: Duration = Duration::from_secs(60);

/// The last findings.
#[derive(Default)]
pub(super) struct Health(Mutex<Checks>);

#[derive(Default)]
struct Checks {
    is_running: bool,
    found: Option<(Instant, Vec<Finding>)>,
}

impl Health {
    /// Whether the checks are running, and the last findings.
    fn look(&self) -> (bool, Vec<Finding>) {
        let checks = locked(&self.0);
        (checks.is_running, checks.found.as_ref().map(|(_, found)| found.clone()).unwrap_or_default())
    }

    fn is_stale(&self) -> bool {
        locked(&self.0).found.as_ref().is_none_or(|(at, _)| at.elapsed() > FRESH)
    }
}

/// Starts the checks unless they are running.
fn check(page: &Arc<Page>) {
    if std::mem::replace(&mut locked(&page.health.0).is_running, true) {
        return;
    }
    let page = Arc::clone(page);
    tokio::spawn(async move {
        let has_config = page.paths.config.exists() || page.paths.last_good_config.exists();
        let found = doctor::examine(&page.paths, has_config).await;
        *locked(&page.health.0) = Checks { is_running: false, found: Some((Instant::now(), found)) };
        // No tab may be open.
        drop(page.changes.send(Topic::Health));
    });
}

pub(super) async fn show(page: &Arc<Page>, view: &View) -> Answer {
    if page.health.is_stale() {
        check(page);
    }
    let (is_running, findings) = page.health.look();
    let status = match page.ask(Request::Status).await {
        Ok(Reply::Status(status)) => Ok(*status),
        Ok(_) => Err(words::BUSY.to_owned()),
        Err(reason) => Err(reason),
    };
    let body = html! {
        h1 { (words::title(Section::Health)) }
        div id="health" data-live {
            @match &status {
                Ok(status) => (overview(status)),
                Err(reason) => p .note .failed { (reason) },
            }
            section aria-labelledby="parts" {
                h2 id="parts" { "Parts" }
                @if is_running { p .checking role="status" { (words::HEALTH_CHECKING) } }
                @else { p .verdict { (doctor::summary(&findings)) } (view.button("/health/do", "Check again", &[])) }
                (list(view, &sorted(&findings)))
            }
            @if !findings.is_empty() {
                section aria-labelledby="report" {
                    h2 id="report" { "A report to copy" }
                    p .hint { (words::REPORT_HINT) }
                    (frame::to_copy("the-report", &report(status.as_ref().ok(), &findings)))
                }
            }
        }
    };
    view.page(Section::Health, &body)
}

/// Carries out a remedy, then runs the checks again.
pub(super) async fn act(page: &Arc<Page>, form: &Fields) -> Outcome {
    let account = || form.get("account").unwrap_or_default().to_owned();
    let asked = async |request, words: &str| Some(Note::of(page.ask(request).await, words));
    let note = match form.get("do").unwrap_or_default() {
        "edit" => page.ask(Request::EditConfiguration).await.err().map(Note::Failed),
        "resume" => asked(Request::Resume, words::RESUMED).await,
        "reconnect" => asked(Request::Reconnect, words::RECONNECTING).await,
        "autostart" => Some(Note::of(settings::autostart(page, true).await, words::AUTOSTART_ON)),
        "popup" => Some(Note::of(settings::test(page, sample::Kind::Message).await, words::SAMPLE_SENT)),
        "sound" => asked(Request::Play { sound: "default".to_owned() }, words::SOUND_PLAYS).await,
        verify @ ("verify" | "backup") => match page.setup.verify(&page.paths, account(), verify == "backup") {
            Ok(()) => return Outcome { note: None, to: Section::Setup.path().to_owned() },
            Err(reason) => Some(Note::Failed(reason)),
        },
        _ => None,
    };
    check(page);
    Outcome { note, to: Section::Health.path().to_owned() }
}

/// A button that shows a test popup.
pub(super) fn test_popup(view: &View) -> Markup {
    remedy(view, &Remedy::TestPopup)
}

/// The button or link of a remedy.
fn remedy(view: &View, remedy: &Remedy) -> Markup {
    let does = |label: &str, what: &str| view.button("/health/do", label, &[("do", what)]);
    let of_account = |label: &str, what: &str, account: &str| {
        view.button("/health/do", label, &[("do", what), ("account", account)])
    };
    match remedy {
        Remedy::EditConfiguration => does("Open the file", "edit"),
        Remedy::Resume => does("End the pause", "resume"),
        Remedy::Reconnect => does("Set the pusher and connect again", "reconnect"),
        Remedy::Autostart => does("Start with the desktop", "autostart"),
        Remedy::TestPopup => does("Show a test popup", "popup"),
        Remedy::TestSound => does("Play a sound", "sound"),
        Remedy::ChooseSounds => html! { a .button href="/settings#sounds" { "Choose sounds" } },
        Remedy::SignIn { user, homeserver } => {
            view.button("/setup/begin", "Sign in again", &[("user", user), ("homeserver", homeserver)])
        }
        Remedy::Verify(account) => of_account("Verify this session", "verify", account),
        Remedy::ReadBackup(account) => of_account("Read the new key backup", "backup", account),
        Remedy::SetUp => html! { a .button href="/setup" { "Connect a homeserver" } },
    }
}

fn overview(status: &Status) -> Markup {
    let rows = [
        ("Running since", format!("{} (version {})", control::local_time(status.since), status.version)),
        ("Listening at", status.listen.join(", ")),
        ("Popups", control::service_state(&status.popup)),
        ("Tray", control::service_state(&status.tray)),
        ("Sound", control::service_state(&status.sound)),
        ("Inbox", format!("{} messages", status.inbox.notices)),
    ];
    html! {
        section aria-labelledby="now" {
            h2 id="now" { "Now" }
            @for problem in &status.problems { p .note .failed { (frame::with_code(&text::line(problem, 600))) } }
            @for warning in &status.warnings { p .note .warned { (frame::with_code(&text::line(warning, 600))) } }
            @if let Some(until) = status.paused_until { p .note .warned { "Popups and sounds are paused " (control::until(until)) "." } }
            dl .facts { @for (name, value) in &rows { div { dt { (name) } dd { (value) } } } }
        }
        @if !status.accounts.is_empty() {
            section aria-labelledby="accounts" {
                h2 id="accounts" { "Accounts" }
                ul .accounts {
                    @for account in &status.accounts {
                        li {
                            strong { bdi { (text::line(&account.name, 80)) } }
                            @match account.last_push {
                                Some(at) => span { "last push: " (control::local_time(at)) },
                                None => span { "no push yet" }
                            }
                            @if let Some(signed_in) = &account.sign_in.signed_in { span { (text::line(signed_in, 200)) } }
                            @if let Some(way) = &account.sign_in.way_now {
                                span { (account.way.as_str()) ": " (frame::with_code(&text::line(way, 600))) }
                            }
                            @if let Some(encryption) = &account.encryption.encryption {
                                span { (frame::with_code(&text::line(encryption, 600))) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Faults first, then warnings.
fn sorted(findings: &[Finding]) -> Vec<Finding> {
    let mut findings = findings.to_vec();
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.verdict));
    findings
}

/// A list of findings; the set-up page shows those of a sign-in.
pub(super) fn list(view: &View, findings: &[Finding]) -> Markup {
    html! {
        ul .findings {
            @for (number, Finding { part, verdict, says, advice, paste, remedies }) in findings.iter().enumerate() {
                li class=(class(*verdict)) {
                    span .verdict-word { (word(*verdict)) }
                    strong { (part) }
                    span .says { (frame::with_code(&sentence(says))) }
                    @if let Some(advice) = advice { p .advice { (frame::with_code(&sentence(advice))) } }
                    @if let Some(paste) = paste { (frame::to_copy(&format!("paste-{number}"), paste)) }
                    @if !remedies.is_empty() { div .buttons { @for it in remedies { (remedy(view, it)) } } }
                }
            }
        }
    }
}

fn sentence(words: &str) -> String {
    invocation::with_command(&text::spelled_out(words))
}

fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Good => "good",
        Verdict::Warning => "warning",
        Verdict::Fault => "fault",
    }
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Good => "Good",
        Verdict::Warning => "Warning",
        Verdict::Fault => "Fault",
    }
}

fn report(status: Option<&Status>, findings: &[Finding]) -> String {
    let mut report = format!("{} {} on {}\n\n", app_info::APP_NAME, app_info::VERSION, std::env::consts::OS);
    for Finding { part, verdict, says, advice, .. } in findings {
        // Writing into a string cannot fail.
        let _ = writeln!(report, "{:<8}{part:<14}{}", word(*verdict), text::spelled_out(says));
        if let Some(advice) = advice {
            let _ = writeln!(report, "{:22}-> {}", "", text::spelled_out(advice));
        }
    }
    for problem in status.iter().flat_map(|status| &status.problems) {
        let _ = writeln!(report, "problem {}", text::spelled_out(problem));
    }
    report
}
