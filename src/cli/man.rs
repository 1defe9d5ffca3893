//! `pushbell man`: the manual page, for packagers. One page has all commands.

use std::io::{self, Write};

use clap::{Arg, Command, CommandFactory};
use clap_mangen::{
    Man,
    roff::{Inline, Roff, bold, italic, roman},
};

use super::{Failure, arguments::Arguments};

const FILES: [(&str, &str); 4] = [
    (
        "~/.config/pushbell/pushbell.toml",
        "The configuration, with every key explained in it. A change is taken up at once.",
    ),
    ("~/.local/share/pushbell/accounts.toml", "The accounts: the app_id and pushkey pairs that are served."),
    ("~/.local/share/pushbell/pushbell.db", "The inbox."),
    ("~/.local/share/pushbell/sounds/", "Your own sounds: a push rule's sound \"kitchen\" plays kitchen.ogg."),
];

pub(super) fn run(out: &mut dyn Write) -> Result<(), Failure> {
    let mut command = Arguments::command().disable_help_subcommand(true);
    command.build();
    let page = Man::new(command.clone()).section("1").manual("Pushbell").date("");
    page.render_title(out)?;
    page.render_name_section(out)?;
    page.render_synopsis_section(out)?;
    page.render_description_section(out)?;
    page.render_options_section(out)?;
    let mut roff = Roff::new();
    roff.control("SH", ["COMMANDS"]);
    commands(&mut roff, &command, "pushbell");
    if let Some(examples) = command.get_after_help() {
        after_help(&mut roff, &examples.to_string());
    }
    roff.control("SH", ["FILES"]);
    for (path, what) in FILES {
        roff.control("TP", []).text([italic(path)]).text([roman(what)]);
    }
    Ok(rest(&roff, out)?)
}

/// Without the preamble, which the page has already.
fn rest(roff: &Roff, out: &mut dyn Write) -> io::Result<()> {
    out.write_all(roff.to_roff().as_bytes())
}

/// Each command with its synopsis, what it does and its own options.
fn commands(roff: &mut Roff, within: &Command, prefix: &str) {
    for command in within.get_subcommands().filter(|command| !command.is_hide_set()) {
        let name = format!("{prefix} {}", command.get_name());
        if command.has_subcommands() {
            commands(roff, command, &name);
            continue;
        }
        let own: Vec<&Arg> = command.get_arguments().filter(|argument| is_own(argument)).collect();
        roff.control("SS", [format!("{name}{}", synopsis(&own)).as_str()]);
        if let Some(about) = command.get_about() {
            roff.text([roman(format!("{}.", about.to_string().trim_end_matches('.')))]);
        }
        for argument in own {
            roff.control("TP", []).text(heading(argument));
            roff.text([roman(explanation(argument))]);
        }
    }
}

fn is_own(argument: &Arg) -> bool {
    !argument.is_global_set() && !argument.is_hide_set() && !matches!(argument.get_id().as_str(), "help" | "version")
}

fn synopsis(arguments: &[&Arg]) -> String {
    let (positional, options): (Vec<&Arg>, Vec<&Arg>) = arguments.iter().partition(|argument| argument.is_positional());
    let word = |argument: &Arg| {
        let text = heading(argument).into_iter().map(|inline| match inline {
            Inline::Roman(text) | Inline::Bold(text) | Inline::Italic(text) => text,
            Inline::LineBreak => String::new(),
        });
        let text: String = text.collect();
        if argument.is_required_set() { format!(" {text}") } else { format!(" [{text}]") }
    };
    positional.into_iter().chain(options).map(word).collect()
}

/// `--limit N`, or the name of what is said without a name.
fn heading(argument: &Arg) -> Vec<Inline> {
    let takes_value = argument.get_action().takes_values();
    let names = argument.get_value_names().unwrap_or_default();
    let value = names.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    match argument.get_long() {
        None => vec![italic(value)],
        Some(long) if takes_value => vec![bold(format!("--{long}")), roman(" "), italic(value)],
        Some(long) => vec![bold(format!("--{long}"))],
    }
}

/// What it is for, what it may be, and what it is where nothing is said.
fn explanation(argument: &Arg) -> String {
    let mut text = argument.get_help().map(ToString::to_string).unwrap_or_default();
    if !text.ends_with(['.', ']']) {
        text.push('.');
    }
    let values = argument.get_possible_values();
    if argument.get_action().takes_values() && !values.is_empty() {
        let names: Vec<_> = values.iter().map(clap::builder::PossibleValue::get_name).collect();
        text = format!("{text} One of: {}.", names.join(", "));
    }
    let defaults: Vec<_> = argument.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    if argument.get_action().takes_values() && !defaults.is_empty() {
        text = format!("{text} The default is {}.", defaults.join(" "));
    }
    text
}

/// The examples as they are, then the exit codes.
fn after_help(roff: &mut Roff, text: &str) {
    for part in text.split("\n\n") {
        if let Some(examples) = part.strip_prefix("Examples:\n") {
            roff.control("SH", ["EXAMPLES"]).control("nf", []);
            for line in examples.lines() {
                roff.text([roman(line.trim_start())]);
            }
            roff.control("fi", []);
        } else if let Some(codes) = part.strip_prefix("Exit codes: ") {
            roff.control("SH", ["EXIT STATUS"]).text([roman(codes)]);
        }
    }
}
