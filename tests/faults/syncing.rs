//! No answer before its notice is synced: what a kill cannot prove, since a killed process leaves its writes to the
//! kernel. The system calls of the whole process are read in their order.

use std::{collections::BTreeMap, fs, thread};

use super::load::message;
use crate::{
    app::App,
    rig::{DesktopOptions, Pushbell, pushbell::Account, wait_until},
};

/// A system call: its text from the name on, and the lines of the trace between which it ran.
#[derive(Debug)]
struct Call {
    text: String,
    begun: usize,
    done: usize,
}

/// Reads what `strace -f` wrote. Calls that others interrupt come in two lines.
fn calls(trace: &str) -> Vec<Call> {
    let mut unfinished: BTreeMap<&str, (String, usize)> = BTreeMap::new();
    let mut calls = Vec::new();
    for (line, text) in trace.lines().enumerate() {
        let Some((thread, text)) = text.split_once(' ') else { continue };
        let text = text.trim_start();
        if let Some(begin) = text.strip_suffix("<unfinished ...>") {
            unfinished.insert(thread, (begin.to_owned(), line));
        } else if let Some((_, end)) = text.strip_prefix("<... ").and_then(|rest| rest.split_once("resumed>")) {
            if let Some((begin, begun)) = unfinished.remove(thread) {
                calls.push(Call { text: begin + end, begun, done: line });
            }
        } else {
            calls.push(Call { text: text.to_owned(), begun: line, done: line });
        }
    }
    calls
}

impl Call {
    fn is(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.text.strip_prefix(name).is_some_and(|rest| rest.starts_with('(')))
    }

    /// The file or socket that it is about, as strace names it: `12<path>`.
    fn file(&self) -> &str {
        let from = self.text.find('(').map_or(0, |at| at + 1);
        let rest = &self.text[from..];
        &rest[..rest.find('>').map_or(0, |at| at + 1)]
    }
}

fn push_all(pushbell: &Pushbell, account: &Account, events: &[String]) {
    thread::scope(|scope| {
        for event in events {
            scope.spawn(|| pushbell.notify(account, message(event, "room")));
        }
    });
}

#[test]
fn no_push_is_answered_before_its_notice_is_synced() {
    let mut app = App::start(DesktopOptions::BARE, "");
    app.pushbell.terminate();
    let trace = app.pushbell.home().join("trace");
    let calls_of_interest = "trace=fsync,fdatasync,pwrite64,write,writev,sendto,sendmsg,read,recvfrom,recvmsg";
    app.pushbell.launch_under(
        &["strace", "-f", "-y", "-s", "6000", "-e", calls_of_interest, "-o", &trace.display().to_string()],
        &["run"],
    );
    wait_until("the app is there", crate::rig::SOON, || app.pushbell.is_healthy());
    let mut events = Vec::new();
    for round in 0..6 {
        let batch: Vec<_> = (0..=round * 2).map(|number| format!("$synced-{round}-{number}-")).collect();
        push_all(&app.pushbell, &app.account, &batch);
        events.extend(batch);
    }
    app.pushbell.terminate();

    let trace = fs::read_to_string(trace).expect("strace has written");
    let calls = calls(&trace);
    for event in &events {
        let find = |what: &str, from: usize, fits: &dyn Fn(&Call) -> bool| {
            calls
                .iter()
                .find(|call| call.begun >= from && fits(call))
                .unwrap_or_else(|| panic!("the trace has no {what} for {event} after line {from}"))
        };
        let came = find("request", 0, &|call| {
            call.is(&["read", "recvfrom", "recvmsg"]) && call.text.contains("POST ") && call.text.contains(event)
        });
        let written = find("write", came.begun, &|call| {
            call.is(&["pwrite64", "write"]) && call.file().contains("pushbell.db-wal") && call.text.contains(event)
        });
        let synced = find("sync", written.done, &|call| {
            call.is(&["fsync", "fdatasync"]) && call.file().contains("pushbell.db-wal") && call.text.ends_with("= 0")
        });
        let answered = find("answer", came.begun, &|call| {
            call.is(&["write", "writev", "sendto", "sendmsg"])
                && call.file() == came.file()
                && call.text.contains("HTTP/1.1 200")
        });
        assert!(
            synced.done < answered.begun,
            "{event}: came in line {}, written in {}, synced in {}, answered in {}",
            came.begun,
            written.begun,
            synced.done,
            answered.begun
        );
    }
}
