//! `pushbell autostart`: start with the desktop.

use std::io::Write;

use super::{Context, Failure, arguments::Autostart as Asked};
use crate::{
    control::Request,
    platform::autostart::{self, Autostart},
};

pub(super) fn run(context: &Context, asked: Asked, out: &mut dyn Write) -> Result<(), Failure> {
    let state = match asked {
        Asked::On => autostart::set(true),
        Asked::Off => autostart::set(false),
        Asked::Status => autostart::status(),
    };
    let state = state.map_err(|error| Failure::Failed(format!("starting with the desktop: {error}")))?;
    if asked != Asked::Status {
        // Updates the menu of a running program; a failure of that does not concern this command.
        drop(context.ask(&Request::ReloadAutostart));
    }
    write!(out, "{}", describe(&state))?;
    Ok(())
}

fn describe(Autostart { on, by, problem }: &Autostart) -> String {
    let mut text = match (on, by.as_str()) {
        (false, _) => "Pushbell does not start with the desktop.\n".to_owned(),
        (true, "") => "Pushbell starts with the desktop.\n".to_owned(),
        (true, by) => format!("Pushbell starts with the desktop, by {by}.\n"),
    };
    if let Some(problem) = problem {
        text = format!("{text}But {problem}.\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_in_sentences() {
        let check = |on, by: &str, problem: Option<&str>, expected: &str| {
            let state = Autostart { on, by: by.to_owned(), problem: problem.map(str::to_owned) };
            assert_eq!(describe(&state), expected);
        };
        check(false, "", None, "Pushbell does not start with the desktop.\n");
        check(true, "", None, "Pushbell starts with the desktop.\n");
        check(true, "the unit u", None, "Pushbell starts with the desktop, by the unit u.\n");
        check(true, "x", Some("y is so"), "Pushbell starts with the desktop, by x.\nBut y is so.\n");
    }
}
