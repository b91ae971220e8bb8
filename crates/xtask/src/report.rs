//! The table at the end of `cargo xtask test`.

use std::time::Duration;

use hubkey_starters::console::say;

use crate::kinds::Missing;

/// How many checks or tests of a step passed and failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) passed: u32,
    pub(crate) failed: u32,
}

impl Count {
    /// One check that passed.
    pub(crate) const ONE: Self = Self {
        passed: 1,
        failed: 0,
    };

    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

/// What became of a step.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    seconds: f64,
    count: Count,
    pub(crate) trouble: Option<String>,
    /// Why it did not run.
    left_out: Option<Missing>,
}

/// A step that did not pass: what was counted before, and what is wrong.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) count: Count,
    pub(crate) trouble: String,
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self {
            count: Count::default(),
            trouble: format!("{error:#}"),
        }
    }
}

impl Row {
    pub(crate) fn new(name: &'static str, time: Duration, result: Result<Count, Failure>) -> Self {
        let (mut count, trouble) = match result {
            Ok(count) => (count, None),
            Err(failure) => (failure.count, Some(failure.trouble)),
        };
        if trouble.is_some() {
            // A step can fail without a failed test, for example when it does not compile.
            count.failed = count.failed.max(1);
        }
        Self {
            name,
            seconds: time.as_secs_f64(),
            count,
            trouble,
            left_out: None,
        }
    }

    /// A step that this machine cannot run. It counts nothing as passed; where it had to run, it has failed.
    pub(crate) fn left_out(name: &'static str, missing: Missing, failed: bool) -> Self {
        Self {
            name,
            seconds: 0.0,
            count: Count {
                passed: 0,
                failed: u32::from(failed),
            },
            trouble: failed.then(|| missing.0.clone()),
            left_out: Some(missing),
        }
    }

    fn result(&self) -> &'static str {
        match (&self.trouble, &self.left_out) {
            (Some(_), _) => "FAILED",
            (None, Some(_)) => "not run",
            (None, None) => "ok",
        }
    }
}

/// Prints the table and the closing line; says whether every step passed. `wall` is the time from the first step's start
/// to the last one's end; the sum in the table is longer where steps ran side by side.
pub(crate) fn print(rows: &[Row], wall: Duration) -> bool {
    let mut total = Count::default();
    say(format!(
        "\n{:<28} {:<7} {:>7} {:>7} {:>9}",
        "step", "result", "passed", "failed", "seconds"
    ));
    for row in rows {
        let result = row.result();
        let Count { passed, failed } = row.count;
        say(format!(
            "{:<28} {result:<7} {passed:>7} {failed:>7} {:>9.1}",
            row.name, row.seconds
        ));
        total.add(row.count);
    }
    let seconds: f64 = rows.iter().map(|row| row.seconds).sum();
    say(format!(
        "{:<28} {:<7} {:>7} {:>7} {seconds:>9.1}\n",
        "all", "", total.passed, total.failed
    ));
    for row in rows {
        if let Some(Missing(why)) = &row.left_out {
            say(format!("did not run: {}: {why}", row.name));
        }
    }
    let Count { passed, failed } = total;
    let wall = wall.as_secs_f64();
    say(format!("{passed} passed, {failed} failed, in {wall:.0} s"));
    rows.iter().all(|row| row.trouble.is_none())
}
