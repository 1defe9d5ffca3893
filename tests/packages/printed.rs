//! The program's output for packagers.

use std::{
    io::Write,
    process::{Command, Output, Stdio},
};

/// Runs the program without a home directory.
fn printed(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_pushbell")).args(arguments).env_clear().output().expect("it runs");
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

/// The output of a program that reads this text.
#[track_caller]
fn reads(program: &str, arguments: &[&str], text: &str) -> Output {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{program}: {error}; `make test` installs it"));
    child.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{program}: {output:?}");
    output
}

#[test]
fn each_shell_takes_its_completions() {
    for (shell, arguments) in [("bash", &["-n"][..]), ("zsh", &["-n"]), ("fish", &["--no-execute"])] {
        let text = printed(&["completions", shell]);
        for word in ["check-config", "autostart", "mention", "log-level"] {
            assert!(text.contains(word), "{shell}: {word}");
        }
        let said = reads(shell, arguments, &text);
        assert!(said.stderr.is_empty(), "{shell}: {said:?}");
    }
}

#[test]
fn bash_completes_commands_and_values() {
    let check = |words: &str, expected: &str| {
        let last = words.split(' ').count() - 1;
        let script = format!(
            "{}\nCOMP_WORDS=({words}); COMP_CWORD={last}; cur=${{COMP_WORDS[{last}]}}\n_pushbell pushbell \"$cur\" \"${{COMP_WORDS[{last}-1]}}\"\n\
             printf '%s ' \"${{COMPREPLY[@]}}\"\n",
            printed(&["completions", "bash"])
        );
        let reply = reads("bash", &["--norc"], &script);
        assert_eq!(String::from_utf8_lossy(&reply.stdout).trim(), expected, "{words}");
    };
    check("pushbell auto", "autostart");
    check("pushbell autostart st", "status");
    check("pushbell test --kind me", "message mention");
}

#[test]
fn the_manual_page_is_one_that_man_reads_and_has_every_command() {
    let page = printed(&["man"]);
    let read = reads("man", &["--warnings", "--encoding=UTF-8", "-l", "-"], &page);
    assert!(read.stderr.is_empty(), "{}", String::from_utf8_lossy(&read.stderr));
    let text = String::from_utf8(read.stdout).expect("text");
    // `man` justifies the text: compare words, whatever the spacing.
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for expected in [
        "pushbell - Notifications from your Matrix homeserver",
        "pushbell account add [--app-id] [--pushkey] [--counts] [--ntfy] [--ntfy-token-file] <NAME>",
        "pushbell autostart status",
        "pushbell test [--kind] [--account]",
        "--kind <KIND> [default: message] The kind of notification",
        "EXIT STATUS 0 done, 1 failed",
        "EXAMPLES pushbell ",
        "FILES ~/.config/pushbell/pushbell.toml",
    ] {
        assert!(words.contains(expected), "{expected}\n{text}");
    }
}
