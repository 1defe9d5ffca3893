//! `pushbell completions`: the shells' completions, for packagers.

use std::io::Write;

use clap::CommandFactory;

use super::{
    Failure,
    arguments::{Arguments, Completions, Shell},
};

pub(super) fn run(asked: Completions, out: &mut dyn Write) -> Result<(), Failure> {
    let shell = match asked.shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
    };
    // Made whole before it is written: the generator panics when it cannot write.
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "pushbell", &mut text);
    Ok(out.write_all(&text)?)
}
