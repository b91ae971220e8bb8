//! The images, and the end-to-end tests on them: the stack of `compose.yaml`.

use std::process::Command;

use hubkey_starters::console;

use super::{Outcome, StepContext, rust_tests};
use crate::report::Count;

/// The targets of `docker/Dockerfile`; each is the image `hubkey-<target>:dev`.
const TARGETS: [&str; 5] = ["token-broker", "callback-server", "api", "hub", "notebook"];

/// How the images are to be made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Making {
    /// Cargo's profile: `dev` compiles in a third of the time of `release`.
    pub(crate) profile: &'static str,
    /// Whether base images that the engine lacks are built here instead of fetched: `docker/offline/build`.
    pub(crate) offline: bool,
}

/// From what the engine has or can fetch, and compiled fast.
pub(crate) const FOR_TESTS: Making = Making {
    profile: "dev",
    offline: false,
};

/// Makes every image from the checkout as it is. What did not change comes from the engine's cache.
pub(crate) fn make(context: &StepContext, making: Making) -> anyhow::Result<()> {
    if making.offline {
        let mut bases = Command::new("docker/offline/build");
        bases.current_dir(context.root());
        console::run("base images", &mut bases, &context.log("base images"))?;
    }
    for target in TARGETS {
        let mut build = Command::new("docker");
        build
            .args(["build", "--progress=plain", "--file=docker/Dockerfile"])
            .arg(format!("--target={target}"))
            .arg(format!("--tag=hubkey-{target}:dev"))
            .arg(format!("--build-arg=PROFILE={}", making.profile))
            .arg(".")
            .current_dir(context.root());
        let label = format!("image {target}");
        console::run(&label, &mut build, &context.log(&label))?;
    }
    Ok(())
}

/// The images, then the tests from outside that run on every kind of stack, then those that need containers.
pub(crate) fn run(context: &StepContext) -> Outcome {
    make(context, FOR_TESTS)?;
    let mut count = Count::ONE;
    count.add(rust_tests::everywhere_on_containers(context)?);
    count.add(rust_tests::containers(context)?);
    Ok(count)
}
