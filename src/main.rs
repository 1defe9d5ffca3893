//! The thin binary.

// A double click on Windows opens no console; elsewhere this means nothing.
#![windows_subsystem = "windows"]

use std::process::ExitCode;

fn main() -> ExitCode {
    pushbell::cli::main()
}
