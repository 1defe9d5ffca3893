//! Files for packagers: `pushbell completions` and `pushbell man`.

use std::io::{self, Write};

use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::{
    Man,
    roff::{Roff, italic, roman},
};

use super::{
    Failure,
    arguments::{Arguments, EXAMPLES, EXIT_CODES},
};

const FILES: [(&str, &str); 4] = [
    (
        "~/.config/pushbell/pushbell.toml",
        "The configuration, with every key explained in it. A change is taken up at once.",
    ),
    ("~/.local/share/pushbell/accounts.toml", "The accounts: the app_id and pushkey pairs that are served."),
    ("~/.local/share/pushbell/pushbell.db", "The inbox."),
    ("~/.local/share/pushbell/sounds/", "Your own sounds: a push rule's sound \"kitchen\" plays kitchen.ogg."),
];

pub(super) fn completions(shell: Shell, out: &mut dyn Write) -> Result<(), Failure> {
    // Generated in memory first: the generator panics on write errors.
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "pushbell", &mut text);
    Ok(out.write_all(&text)?)
}

/// The manual page, with all commands on one page.
pub(super) fn man(out: &mut dyn Write) -> Result<(), Failure> {
    let mut command = Arguments::command().disable_help_subcommand(true);
    command.build();
    let page = Man::new(command.clone()).section("1").manual("Pushbell").date("");
    page.render_title(out)?;
    page.render_name_section(out)?;
    page.render_synopsis_section(out)?;
    page.render_description_section(out)?;
    page.render_options_section(out)?;
    writeln!(out, ".SH COMMANDS")?;
    commands(&command, out)?;
    let mut roff = Roff::new();
    roff.control("SH", ["EXAMPLES"]).control("nf", []);
    for line in EXAMPLES.lines() {
        roff.text([roman(line.trim_start())]);
    }
    roff.control("fi", []).control("SH", ["EXIT STATUS"]).text([roman(EXIT_CODES)]);
    roff.control("SH", ["FILES"]);
    for (path, what) in FILES {
        roff.control("TP", []).text([italic(path)]).text([roman(what)]);
    }
    Ok(roff.to_writer(out)?)
}

/// Each command with its synopsis, description and options: the sections of a separate page without their headings.
fn commands(parent: &Command, out: &mut dyn Write) -> io::Result<()> {
    for command in parent.get_subcommands() {
        if command.has_subcommands() {
            commands(command, out)?;
            continue;
        }
        let page = Man::new(command.clone().mut_args(|argument| {
            // Global options have a section for all commands.
            let is_hidden = argument.is_global_set() || argument.get_id() == "help";
            argument.hide(is_hidden)
        }));
        let mut sections = Vec::new();
        page.render_synopsis_section(&mut sections)?;
        writeln!(sections, ".PP")?;
        page.render_description_section(&mut sections)?;
        page.render_options_section(&mut sections)?;
        writeln!(out, ".SS {}", command.get_bin_name().unwrap_or_else(|| command.get_name()))?;
        for line in sections.split_inclusive(|byte| *byte == b'\n').filter(|line| !line.starts_with(b".SH")) {
            out.write_all(line)?;
        }
    }
    Ok(())
}
