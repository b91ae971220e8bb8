//! The steps of `cargo xtask test`. Each is a function in a file of its own; this table is their order.

mod budget;
mod chart;
mod circles;
mod cluster;
pub(crate) mod containers;
mod context;
mod deny;
mod docs;
mod exceptions;
mod format;
pub(crate) mod generated;
mod lint;
mod python;
mod rust_tests;
mod site;
mod texts;

use crate::kinds::Kind;

pub(crate) use context::{Outcome, StepContext};

/// One line of the table.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) name: &'static str,
    /// Whether it belongs to `--quick`.
    pub(crate) quick: bool,
    /// Where it runs its stack.
    pub(crate) kind: Kind,
    pub(crate) run: fn(&StepContext) -> Outcome,
}

/// In the order in which they run: what fails soonest comes first.
pub(crate) const STEPS: &[Step] = &[
    Step {
        name: "format",
        quick: true,
        kind: Kind::Processes,
        run: format::run,
    },
    Step {
        name: "size budget",
        quick: true,
        kind: Kind::Processes,
        run: budget::run,
    },
    Step {
        name: "no allow",
        quick: true,
        kind: Kind::Processes,
        run: exceptions::run,
    },
    Step {
        name: "texts",
        quick: true,
        kind: Kind::Processes,
        run: texts::run,
    },
    Step {
        name: "docs site",
        quick: true,
        kind: Kind::Processes,
        run: site::run,
    },
    Step {
        name: "circles",
        quick: true,
        kind: Kind::Processes,
        run: circles::run,
    },
    Step {
        name: "deny",
        quick: true,
        kind: Kind::Processes,
        run: deny::run,
    },
    Step {
        name: "clippy",
        quick: true,
        kind: Kind::Processes,
        run: lint::run,
    },
    Step {
        name: "docs",
        quick: false,
        kind: Kind::Processes,
        run: docs::run,
    },
    Step {
        name: "generated docs",
        quick: false,
        kind: Kind::Processes,
        run: generated::run,
    },
    Step {
        name: "unit tests",
        quick: true,
        kind: Kind::Processes,
        run: rust_tests::units,
    },
    Step {
        name: "doc tests",
        quick: true,
        kind: Kind::Processes,
        run: rust_tests::documentation,
    },
    Step {
        name: "python lint",
        quick: true,
        kind: Kind::Processes,
        run: python::lint,
    },
    Step {
        name: "python tests",
        quick: false,
        kind: Kind::Processes,
        run: python::tests,
    },
    Step {
        name: "chart",
        quick: false,
        kind: Kind::Processes,
        run: chart::run,
    },
    Step {
        name: "page tests",
        quick: false,
        kind: Kind::Processes,
        run: rust_tests::pages,
    },
    Step {
        name: "broker tests",
        quick: false,
        kind: Kind::Processes,
        run: rust_tests::broker,
    },
    Step {
        name: "other integration tests",
        quick: false,
        kind: Kind::Processes,
        run: rust_tests::others,
    },
    Step {
        name: "end to end",
        quick: false,
        kind: Kind::Processes,
        run: rust_tests::end_to_end,
    },
    Step {
        name: "end to end on containers",
        quick: false,
        kind: Kind::Containers,
        run: containers::run,
    },
    Step {
        name: "on a cluster",
        quick: false,
        kind: Kind::Cluster,
        run: cluster::run,
    },
];
