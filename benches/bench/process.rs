//! What the system says of a process (`/proc`).

use std::{fs, time::Duration};

fn read(pid: u32, name: &str) -> String {
    fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_else(|error| panic!("/proc/{pid}/{name}: {error}"))
}

/// The number after this name, in a file of lines of names and numbers.
fn field(text: &str, name: &str) -> u64 {
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok())
        .unwrap_or_else(|| panic!("no {name} in {text}"))
}

fn tasks(pid: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("the process runs");
    tasks.filter_map(|task| task.ok()?.file_name().to_str()?.parse().ok()).collect()
}

/// CPU time, user and system, of all threads that it has now.
pub(crate) fn cpu(pid: u32) -> Duration {
    let nanoseconds = tasks(pid).into_iter().filter_map(|task| {
        let text = fs::read_to_string(format!("/proc/{pid}/task/{task}/schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanoseconds.sum())
}

/// How often its threads have waited for something: each time something woke one of them.
pub(crate) fn waits(pid: u32) -> Vec<(String, u64)> {
    let waits = tasks(pid).into_iter().filter_map(|task| {
        let text = fs::read_to_string(format!("/proc/{pid}/task/{task}/status")).ok()?;
        let name = text.lines().next()?.strip_prefix("Name:")?.trim().to_owned();
        Some((format!("{name} {task}"), field(&text, "voluntary_ctxt_switches:")))
    });
    waits.collect()
}

pub(crate) fn threads(pid: u32) -> usize {
    tasks(pid).len()
}

/// Proportional set size in bytes: its own memory, and its share of what it has in common with others.
pub(crate) struct Memory {
    pub(crate) pss: u64,
    /// Of that what is no file's: heap, stacks, changed data.
    pub(crate) anonymous: u64,
}

pub(crate) fn memory(pid: u32) -> Memory {
    let text = read(pid, "smaps_rollup");
    Memory { pss: field(&text, "Pss:") * 1024, anonymous: field(&text, "Pss_Anon:") * 1024 }
}

/// The most that was resident at once, in bytes.
pub(crate) fn peak(pid: u32) -> u64 {
    field(&read(pid, "status"), "VmHWM:") * 1024
}
