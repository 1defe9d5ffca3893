//! `pushbell doctor`: a line for each part, and what to do about what is not as it should be.

use std::{
    env,
    io::{self, IsTerminal, Write},
};

use serde::Serialize;

use super::{Context, Failure, output};
use crate::{
    doctor::{self, Finding, Verdict},
    platform::sound_server,
    push::text,
};

/// Columns that lines are broken for where the output is no terminal; more are hard to read.
const COLUMNS: usize = 80;
const MAX_COLUMNS: usize = 100;
/// Where what is said begins: after the verdict and the part.
const INDENT: usize = 22;

/// `doctor --json`: one object.
#[derive(Serialize)]
struct Report<'a> {
    /// The worst of all.
    verdict: Verdict,
    checks: &'a [Finding],
}

/// How it is written.
#[derive(Debug, Clone, Copy)]
struct Style {
    color: bool,
    columns: usize,
}

pub(super) fn run(context: &Context, json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    // As the program would when it starts; but where it never has, nothing is made.
    if context.paths.data.is_dir() {
        // Without it, sound may be missing: then that is what is found.
        drop(sound_server::prepare(&context.paths.data));
    }
    let runtime = super::runtime()?;
    let findings = runtime.block_on(doctor::examine(&context.paths, context.has_config_file()));
    // A name server may hold a thread for longer than anybody waits.
    runtime.shutdown_background();

    let verdict = findings.iter().map(|finding| finding.verdict).max().unwrap_or(Verdict::Good);
    if json {
        writeln!(out, "{}", output::json(&Report { verdict, checks: &findings })?)?;
    } else {
        write(&findings, style(), out)?;
    }
    match verdict {
        Verdict::Good | Verdict::Warning => Ok(()),
        Verdict::Fault => Err(Failure::Reported(crate::failure::FAILED)),
    }
}

fn style() -> Style {
    let set = |variable: &str| env::var_os(variable).is_some_and(|value| !value.is_empty());
    let is_dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
    Style {
        color: io::stdout().is_terminal() && !set("NO_COLOR") && !is_dumb,
        columns: output::terminal_columns().map_or(COLUMNS, |columns| columns.clamp(2 * INDENT, MAX_COLUMNS)),
    }
}

fn write(findings: &[Finding], style: Style, out: &mut dyn Write) -> io::Result<()> {
    for finding in findings {
        line(finding, style, out)?;
    }
    writeln!(out)?;
    let of = |verdict| findings.iter().filter(move |finding| finding.verdict == verdict);
    let count = |verdict, one, more| output::counted(of(verdict).count() as u64, one, more);
    let warnings = count(Verdict::Warning, "warning", "warnings");
    match (of(Verdict::Fault).next(), of(Verdict::Warning).next()) {
        (Some(first), _) => {
            let faults = count(Verdict::Fault, "fault", "faults");
            let (bold, end) = if style.color { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
            writeln!(out, "{faults}, {warnings}. {bold}Begin with: {}.{end}", first.part)
        }
        (None, Some(_)) => writeln!(out, "No faults, {warnings}."),
        (None, None) => writeln!(out, "All is well."),
    }
}

fn line(finding: &Finding, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let Finding { part, verdict, says, advice, paste } = finding;
    let (word, color) = match verdict {
        Verdict::Good => ("good", "\x1b[32m"),
        Verdict::Warning => ("warning", "\x1b[33m"),
        Verdict::Fault => ("FAULT", "\x1b[1;31m"),
    };
    let (color, bold, end) = match verdict {
        _ if !style.color => ("", "", ""),
        Verdict::Fault => (color, "\x1b[1m", "\x1b[0m"),
        Verdict::Good | Verdict::Warning => (color, "", "\x1b[0m"),
    };
    let plain = if bold.is_empty() { "" } else { end };
    let width = style.columns - INDENT;
    // The paste is for a person to see as it is, and may have lines of its own.
    let harmless = |text: &str| text::spelled_out(text);
    let mut lines = wrapped(&harmless(says), width).into_iter();
    let first = lines.next().unwrap_or_default();
    writeln!(out, "{color}{word:<8}{end}{part:<13} {bold}{first}{plain}")?;
    for more in lines {
        writeln!(out, "{:INDENT$}{bold}{more}{plain}", "")?;
    }
    if let Some(advice) = advice {
        for (number, more) in wrapped(&harmless(advice), width - 3).iter().enumerate() {
            writeln!(out, "{:INDENT$}{} {more}", "", if number == 0 { "->" } else { "  " })?;
        }
    }
    // Never broken: it is to be pasted.
    for more in paste.iter().flat_map(|paste| paste.lines()) {
        writeln!(out, "{:INDENT$}   {bold}{}{plain}", "", harmless(more))?;
    }
    Ok(())
}

/// Lines of at most that many characters, broken between words; a longer word has a line of its own.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            Some(_) | None => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings() -> Vec<Finding> {
        vec![
            Finding::good("database", "is sound (12.3 kB)"),
            Finding::warning("tray", "nothing shows the icon with its badge").advise(
                "GNOME shows no tray icons by itself: install and enable its AppIndicator extension (package \
                 gnome-shell-extension-appindicator)",
            ),
            Finding::fault("endpoint", "nothing listens at 192.168.1.20:7874; Pushbell listens at 127.0.0.1:7874")
                .advise("In [server] of pushbell.toml, set this; it is taken up at once")
                .paste("listen = [\"127.0.0.1:7874\", \"192.168.1.20:7874\"]\nx = \"\u{1b}\""),
        ]
    }

    const PLAIN: Style = Style { color: false, columns: COLUMNS };

    fn written(findings: &[Finding], style: Style) -> String {
        let mut out = Vec::new();
        write(findings, style, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_terminal_of_eighty_columns_shows_each_part_aligned() {
        assert_eq!(
            written(&findings(), PLAIN),
            "good    database      is sound (12.3 kB)\n\
             warning tray          nothing shows the icon with its badge\n\
             \x20                     -> GNOME shows no tray icons by itself: install and enable\n\
             \x20                        its AppIndicator extension (package\n\
             \x20                        gnome-shell-extension-appindicator)\n\
             FAULT   endpoint      nothing listens at 192.168.1.20:7874; Pushbell listens at\n\
             \x20                     127.0.0.1:7874\n\
             \x20                     -> In [server] of pushbell.toml, set this; it is taken up\n\
             \x20                        at once\n\
             \x20                        listen = [\"127.0.0.1:7874\", \"192.168.1.20:7874\"]\n\
             \x20                        x = \"\\u{1b}\"\n\
             \n\
             1 fault, 1 warning. Begin with: endpoint.\n"
        );
    }

    #[test]
    fn only_a_terminal_gets_colour() {
        assert!(!written(&findings(), PLAIN).contains('\u{1b}'));
        let terminal = Style { color: true, columns: 100 };
        assert_eq!(written(&findings(), terminal).matches("\u{1b}[1;31m").count(), 1);
    }

    #[test]
    fn the_end_says_how_it_is() {
        let last = |findings: &[Finding]| written(findings, PLAIN).lines().last().unwrap_or_default().to_owned();
        assert_eq!(last(&findings()[..1]), "All is well.");
        assert_eq!(last(&findings()[..2]), "No faults, 1 warning.");
    }
}
