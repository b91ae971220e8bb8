//! A step of `cargo xtask test`: what it is, and what it needs.

use crate::kinds::Kind;
use crate::steps::{Outcome, StepContext};

/// The step that compiles tests and programs.
pub(crate) const COMPILE: &str = "compile";

/// One line of the table.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) name: &'static str,
    /// Whether it belongs to `--quick`.
    pub(crate) quick: bool,
    /// Where it runs its stack.
    pub(crate) kind: Kind,
    /// The steps that have to end first, as far as they run at all.
    pub(crate) needs: &'static [&'static str],
    /// How much of the machine it takes.
    pub(crate) weight: Weight,
    /// About how many seconds it takes on two cores: of two steps that could start, the longer way to the end goes first.
    pub(crate) seconds: u32,
    pub(crate) run: fn(&StepContext) -> Outcome,
}

/// How much of the machine a step takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weight {
    /// No lane: what it needs keeps it from running beside tests, or it takes next to nothing.
    Light,
    /// A lane.
    Lane,
}
