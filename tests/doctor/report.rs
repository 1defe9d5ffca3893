//! The doctor's report.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::rig::Pushbell;

/// Time limit of a run, on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(20);

/// `pushbell doctor --json`, and its exit code.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) code: i32,
    pub(crate) checks: Vec<Value>,
    stderr: String,
}

impl Report {
    #[track_caller]
    pub(crate) fn of(pushbell: &Pushbell) -> Self {
        Self::under(&[], pushbell)
    }

    /// Runs it through another program.
    #[track_caller]
    pub(crate) fn under(wrapper: &[&str], pushbell: &Pushbell) -> Self {
        let started = Instant::now();
        let output = pushbell.command_under(wrapper, &["doctor", "--json"]);
        assert!(started.elapsed() < PATIENCE, "it took {:?}", started.elapsed());
        let report: Value = serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
        let checks = report["checks"].as_array().expect("there is a list of checks").clone();
        let is_faulty = checks.iter().any(|check| check["verdict"] == "fault");
        assert_eq!(output.code, i32::from(is_faulty), "{checks:#?}");
        assert_eq!(report["verdict"] == "fault", is_faulty);
        for check in &checks {
            assert!(!check["part"].as_str().unwrap().is_empty() && !check["says"].as_str().unwrap().is_empty());
            assert!(
                check["verdict"] != "fault" || !check["advice"].is_null() || check["says"].as_str().unwrap().len() > 30
            );
        }
        Self { code: output.code, checks, stderr: output.stderr }
    }

    /// Some finding has this verdict and part, and its message, advice or command contains each of these words.
    #[track_caller]
    pub(crate) fn has(&self, verdict: &str, part: &str, words: &[&str]) {
        let fits = |check: &&Value| {
            let text = ["says", "advice", "paste"].map(|key| check[key].as_str().unwrap_or_default()).join("\n");
            check["verdict"] == verdict && check["part"] == part && words.iter().all(|word| text.contains(word))
        };
        assert!(self.checks.iter().any(|check| fits(&check)), "no {verdict} of {part} with {words:?} in {self:#?}");
    }

    /// The faulty parts are exactly these.
    #[track_caller]
    pub(crate) fn faults(&self, parts: &[&str]) {
        let faults = self.checks.iter().filter(|check| check["verdict"] == "fault");
        let faults: Vec<_> = faults.map(|check| check["part"].as_str().unwrap()).collect();
        assert_eq!(faults, parts, "{self:#?}");
    }

    #[track_caller]
    pub(crate) fn lacks(&self, part: &str) {
        assert!(!self.checks.iter().any(|check| check["part"] == part), "{part} is in {self:#?}");
    }

    /// Only the report was printed.
    #[track_caller]
    pub(crate) fn is_quiet(&self) {
        assert_eq!(self.stderr, "");
    }
}
