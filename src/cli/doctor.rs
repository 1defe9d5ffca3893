//! `pushbell doctor`: a line for each part, and what to do about what is not as it should be.

use std::io::{self, Write};

use anstream::{AutoStream, ColorChoice, adapter::strip_str};
use clap::builder::styling::{AnsiColor, Style};
use serde_json::json;
use textwrap::{Options, WordSplitter};

use super::{Context, Failure, block_on, output};
use crate::{
    doctor::{self, Finding, Verdict},
    failure, invocation,
    platform::sound_server,
    push::text,
};

/// Line width where stdout is not a terminal, and the widest that is easy to read.
const COLUMNS: usize = 80;
const MAX_COLUMNS: usize = 100;
/// Where a finding's text begins: after the verdict and the part.
const INDENT: &str = "                      ";
const NO_BREAK_SPACE: &str = "\u{a0}";

pub(super) fn run(context: &Context, json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    // As the program does when it starts; but before its first start no files are created.
    if context.paths.cache.is_dir() {
        // If it fails, the sound check reports that.
        drop(sound_server::prepare(&context.paths.cache));
    }
    let findings = block_on(async { Ok(doctor::examine(&context.paths, context.has_config_file()).await) })?;
    let verdict = findings.iter().map(|finding| finding.verdict).max().unwrap_or(Verdict::Good);
    if json {
        writeln!(out, "{}", output::json(&json!({ "verdict": verdict, "checks": findings }))?)?;
    } else {
        write_findings(&findings, out)?;
        writeln!(out, "\n{}", doctor::summary(&findings))?;
    }
    if verdict == Verdict::Fault { Err(Failure::Reported(failure::FAILED)) } else { Ok(()) }
}

/// Writes the findings as wide as the terminal, and in colour, where the output is one.
pub(super) fn write_findings(findings: &[Finding], out: &mut dyn Write) -> io::Result<()> {
    let columns = output::terminal_columns().map_or(COLUMNS, |columns| columns.clamp(2 * INDENT.len(), MAX_COLUMNS));
    let is_plain = AutoStream::choice(&io::stdout()) == ColorChoice::Never;
    let text: String = findings.iter().map(|finding| describe(finding, columns)).collect();
    if is_plain { write!(out, "{}", strip_str(&text)) } else { out.write_all(text.as_bytes()) }
}

/// The lines of a finding, with the escape sequences of colours.
fn describe(Finding { part, verdict, says, advice, paste, remedies: _ }: &Finding, columns: usize) -> String {
    let (word, color) = match verdict {
        Verdict::Good => ("good", AnsiColor::Green.on_default()),
        Verdict::Warning => ("warning", AnsiColor::Yellow.on_default()),
        Verdict::Fault => ("FAULT", AnsiColor::Red.on_default().bold()),
    };
    let bold = if *verdict == Verdict::Fault { Style::new().bold() } else { Style::new() };
    let options = Options::new(columns).break_words(false).word_splitter(WordSplitter::NoHyphenation);
    let fill = |text: String, first: &str, rest: &str| {
        let text = with_whole_commands(&text);
        let filled = textwrap::fill(&text, options.clone().initial_indent(first).subsequent_indent(rest));
        filled.replace(NO_BREAK_SPACE, " ") + "\n"
    };
    let heading = format!("{color}{word:<8}{color:#}{part:<13} ");
    let sentence = |text: &str| invocation::with_command(&text::spelled_out(text));
    let mut lines = fill(format!("{bold}{}{bold:#}", sentence(says)), &heading, INDENT);
    if let Some(advice) = advice {
        let (first, rest) = (format!("{INDENT}-> "), format!("{INDENT}   "));
        lines.push_str(&fill(sentence(advice), &first, &rest));
    }
    // Never wrapped: it is to be pasted.
    let pasted = paste.iter().flat_map(|paste| paste.lines());
    lines.extend(pasted.map(|line| format!("{INDENT}   {bold}{}{bold:#}\n", text::spelled_out(line))));
    lines
}

/// `text` with no-break spaces between backticks, so that no command is wrapped: it is to be copied.
fn with_whole_commands(text: &str) -> String {
    let parts = text.split('`').enumerate();
    let parts = parts.map(|(n, part)| if n % 2 == 1 { part.replace(' ', NO_BREAK_SPACE) } else { part.to_owned() });
    parts.collect::<Vec<_>>().join("`")
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

    #[test]
    fn a_command_is_not_wrapped() {
        let command = "`/a/long/path/to/where/it/was/built/pushbell account list --accept`";
        let advice = format!("If the list is right: {command}; else bring it back from a backup");
        let text = describe(&Finding::fault("accounts", "changed").advise(&advice), COLUMNS);
        assert!(text.lines().any(|line| line.trim().starts_with(command)), "{text}");
        assert!(!text.contains(NO_BREAK_SPACE));
    }

    #[test]
    fn a_terminal_of_eighty_columns_shows_each_part_aligned() {
        let text: String = findings().iter().map(|finding| describe(finding, COLUMNS)).collect();
        assert!(text.contains("\u{1b}[1m\u{1b}[31mFAULT "), "{text:?}");
        assert_eq!(
            strip_str(&text).to_string(),
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
             \x20                        x = \"\\u{1b}\"\n"
        );
    }

    #[test]
    fn the_summary_says_where_to_begin() {
        assert_eq!(doctor::summary(&findings()), "1 fault, 1 warning. Begin with: endpoint.");
        assert_eq!(doctor::summary(&findings()[..1]), "All is well.");
        assert_eq!(doctor::summary(&findings()[..2]), "No faults, 1 warning.");
    }
}
