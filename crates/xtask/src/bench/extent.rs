//! What is measured, and how much of it.

use std::path::PathBuf;
use std::time::Duration;

/// What was built to be measured.
#[derive(Debug)]
pub(super) struct Built {
    pub(super) programs: PathBuf,
    pub(super) packages: PathBuf,
}

/// How far a run goes.
#[derive(Debug)]
pub(super) struct Extent {
    pub(super) rounds: usize,
    pub(super) round: Duration,
    /// Reads a second, where all are asked the same.
    pub(super) rate: u32,
    pub(super) redis_reads: u32,
    pub(super) waiting: &'static [usize],
    /// Sign-ins that are finished beside those that wait.
    pub(super) finished: usize,
    /// Kernels at each broker.
    pub(super) storm: usize,
}

/// What is measured for the documents.
pub(super) const WHOLE: Extent = Extent {
    rounds: 7,
    round: Duration::from_secs(4),
    rate: 3_000,
    redis_reads: 100_000,
    waiting: &[100, 1_000, 10_000],
    finished: 200,
    storm: 1_000,
};

/// What is measured for a look.
pub(super) const QUICK: Extent = Extent {
    rounds: 2,
    round: Duration::from_secs(1),
    rate: 1_000,
    redis_reads: 20_000,
    waiting: &[100],
    finished: 20,
    storm: 50,
};
