//! The steps of `cargo xtask test`. Each is a function in a file of its own; this table says what each needs.

mod budget;
mod chart;
mod circles;
mod cluster;
mod compile;
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
use crate::step::{COMPILE, Step, Weight};

pub(crate) use context::{Outcome, StackOptions, StepContext};

/// A check that reads files.
const CHECK: Step = Step {
    name: "",
    quick: true,
    kind: Kind::Processes,
    needs: &[],
    weight: Weight::Light,
    seconds: 1,
    run: format::run,
};

/// A step that compiles. Those of cargo wait for each other, since cargo lets one compile at a time.
const COMPILER: Step = Step {
    quick: false,
    ..CHECK
};

/// A step that runs programs which wait for each other, with time limits: nothing compiles beside it.
const TEST: Step = Step {
    quick: false,
    needs: &[COMPILE, IMAGES, PYTHON_PACKAGE],
    weight: Weight::Lane,
    ..CHECK
};

const IMAGES: &str = "images";
const UNIT_TESTS: &str = "unit tests";
const DOC_TESTS: &str = "doc tests";
const PYTHON_PACKAGE: &str = "python package";

/// In the order of the table at the end.
pub(crate) const STEPS: &[Step] = &[
    Step {
        name: "format",
        run: format::run,
        ..CHECK
    },
    Step {
        name: "size budget",
        run: budget::run,
        ..CHECK
    },
    Step {
        name: "no allow",
        run: exceptions::run,
        ..CHECK
    },
    Step {
        name: "texts",
        run: texts::run,
        ..CHECK
    },
    Step {
        name: "docs site",
        run: site::run,
        ..CHECK
    },
    Step {
        name: "circles",
        run: circles::run,
        ..CHECK
    },
    Step {
        name: "deny",
        run: deny::run,
        ..CHECK
    },
    Step {
        name: "clippy",
        quick: true,
        seconds: 40,
        run: lint::run,
        ..COMPILER
    },
    Step {
        name: "docs",
        needs: &["clippy"],
        seconds: 25,
        run: docs::run,
        ..COMPILER
    },
    Step {
        name: COMPILE,
        needs: &["clippy", "docs"],
        seconds: 200,
        run: compile::run,
        ..COMPILER
    },
    Step {
        name: IMAGES,
        kind: Kind::Containers,
        seconds: 200,
        run: containers::images,
        ..COMPILER
    },
    Step {
        name: UNIT_TESTS,
        quick: true,
        needs: &[COMPILE, IMAGES],
        seconds: 30,
        run: rust_tests::units,
        ..TEST
    },
    Step {
        name: DOC_TESTS,
        quick: true,
        needs: &[COMPILE, IMAGES, UNIT_TESTS],
        seconds: 20,
        run: rust_tests::documentation,
        ..TEST
    },
    Step {
        name: PYTHON_PACKAGE,
        // Cargo's tests of libraries compile its library in another way, and so would replace it.
        needs: &[COMPILE, UNIT_TESTS, DOC_TESTS],
        seconds: 30,
        run: python::package,
        ..COMPILER
    },
    Step {
        name: "generated docs",
        seconds: 5,
        run: generated::run,
        ..TEST
    },
    Step {
        name: "python lint",
        run: python::lint,
        ..CHECK
    },
    Step {
        name: "python tests",
        seconds: 240,
        run: python::tests,
        ..TEST
    },
    Step {
        name: "chart",
        seconds: 16,
        run: chart::run,
        ..TEST
    },
    Step {
        name: "page tests",
        seconds: 90,
        run: rust_tests::pages,
        ..TEST
    },
    Step {
        name: "broker tests",
        seconds: 500,
        run: rust_tests::broker,
        ..TEST
    },
    Step {
        name: "other integration tests",
        seconds: 8,
        run: rust_tests::others,
        ..TEST
    },
    Step {
        name: "end to end",
        seconds: 1000,
        run: rust_tests::end_to_end,
        ..TEST
    },
    Step {
        name: ON_CONTAINERS,
        kind: Kind::Containers,
        seconds: 300,
        run: containers::everywhere,
        ..TEST
    },
    Step {
        name: FAULTS,
        kind: Kind::Containers,
        // One stack of containers at a time.
        needs: &[COMPILE, IMAGES, PYTHON_PACKAGE, ON_CONTAINERS],
        seconds: 350,
        run: containers::faults,
        ..TEST
    },
    Step {
        name: START_OF_CLUSTER,
        quick: false,
        kind: Kind::Containers,
        needs: &[IMAGES],
        seconds: 15,
        run: cluster::start,
        ..CHECK
    },
    Step {
        name: "on a cluster",
        kind: Kind::Cluster,
        needs: &[COMPILE, IMAGES, PYTHON_PACKAGE, FAULTS, START_OF_CLUSTER],
        seconds: 330,
        run: cluster::run,
        ..TEST
    },
];

const ON_CONTAINERS: &str = "end to end on containers";
const FAULTS: &str = "faults on containers";
/// It runs where [`StackOptions::start_cluster`] says how.
pub(crate) const START_OF_CLUSTER: &str = "start of the cluster";
