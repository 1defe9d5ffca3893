//! No answer before its notice is fsynced. A kill cannot prove this, since a killed process leaves its writes to the
//! kernel; so the order of the process's system calls is checked.

use std::{collections::BTreeMap, fs, path::PathBuf, process::Command, thread};

use rustix::process::Signal;

use super::load::{message, recorded};
use crate::{
    app::App,
    rig::{
        DesktopOptions, Pushbell, SOON, http,
        process::Part,
        pushbell::{Account, PATH, address},
        wait_until,
    },
};

/// A system call: its text from the name on, and its first and last line in the trace.
#[derive(Debug)]
struct Call {
    text: String,
    begun: usize,
    done: usize,
}

/// Parses the output of `strace -f`. Calls interrupted by others span two lines.
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

    /// The file or socket of the call, as strace names it: `12<path>`.
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

/// Runs the app under strace, recording its reads, writes and syncs.
fn run_traced(app: &mut App) -> PathBuf {
    let trace = app.pushbell.home().join("trace");
    let calls = "trace=fsync,fdatasync,pwrite64,write,writev,sendto,sendmsg,read,recvfrom,recvmsg";
    let arguments = ["strace", "-f", "-y", "-s", "6000", "-e", calls, "-o", &trace.display().to_string()];
    app.pushbell.launch_under(&arguments, &["run"]);
    wait_until("the app is there", SOON, || app.pushbell.is_healthy());
    trace
}

#[test]
fn no_push_is_answered_before_its_notice_is_synced() {
    let mut app = App::start(DesktopOptions::BARE, "");
    app.pushbell.terminate();
    let trace = run_traced(&mut app);
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

#[test]
fn a_retry_after_a_kill_is_answered_after_a_sync() {
    const EVENT: &str = "$killed-before-its-sync-";
    let mut app = App::start(DesktopOptions::BARE, "");
    // From now on its sync comes first: that of the new write-ahead log's header is done.
    app.push(message("$first", "room"));
    let mut tracer = Command::new("strace");
    tracer.args(["-f", "-p", &app.pushbell.app().pid().to_string()]);
    tracer.args(["-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:signal=KILL"]);
    let tracer = Part::start("tracer", tracer, app.pushbell.env(), &app.pushbell.home());
    wait_until("the tracer is attached", SOON, || tracer.stderr().contains("attached"));
    let body = address(&app.account, message(EVENT, "room")).to_string();
    http::request(app.pushbell.port, &hyper::Method::POST, PATH, None, body).expect_err("it is killed meanwhile");
    assert_eq!(app.pushbell.app().wait(SOON).code(), None, "it was killed");
    drop(tracer);
    assert_eq!(recorded(&app.pushbell.database()), ["$first", EVENT], "the kernel has it");

    let trace = run_traced(&mut app);
    app.push(message(EVENT, "room"));
    app.pushbell.app().signal(Signal::TERM);
    app.pushbell.app().wait(SOON);
    assert_eq!(recorded(&app.pushbell.database()), ["$first", EVENT]);
    let calls = calls(&fs::read_to_string(trace).expect("strace has written"));
    let is_about_database = |call: &Call| call.file().ends_with("pushbell.db>");
    let written = calls
        .iter()
        .find(|call| call.is(&["pwrite64"]) && is_about_database(call) && call.text.contains(EVENT))
        .expect("it is brought from the log into the database");
    let synced = calls
        .iter()
        .find(|call| {
            call.begun > written.done
                && call.is(&["fsync", "fdatasync"])
                && is_about_database(call)
                && call.text.ends_with("= 0")
        })
        .expect("the database is synced");
    let came = calls
        .iter()
        .find(|call| call.is(&["read", "recvfrom", "recvmsg"]) && call.text.contains(EVENT))
        .expect("the retry came");
    let answered = calls
        .iter()
        .find(|call| {
            call.begun > came.done
                && call.is(&["write", "writev", "sendto", "sendmsg"])
                && call.file() == came.file()
                && call.text.contains("HTTP/1.1 200")
        })
        .expect("the retry is answered");
    assert!(synced.done < answered.begun, "synced in line {}, answered in {}", synced.done, answered.begun);
}
