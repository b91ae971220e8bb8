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

/// The images for tests, compiled fast and made once in a run.
pub(super) fn made(context: &StepContext) -> anyhow::Result<()> {
    let making = Making {
        profile: "dev",
        offline: context.stack_options.offline,
    };
    let made = context
        .images
        .get_or_init(|| make(context, making).map_err(|error| format!("{error:#}")));
    made.clone().map_err(anyhow::Error::msg)
}

/// Makes the images.
pub(crate) fn images(context: &StepContext) -> Outcome {
    made(context)?;
    Ok(Count::ONE)
}

/// The tests from outside that run on every kind of stack.
pub(crate) fn everywhere(context: &StepContext) -> Outcome {
    made(context)?;
    rust_tests::everywhere_on_containers(context)
}

/// The tests that need containers.
pub(crate) fn faults(context: &StepContext) -> Outcome {
    made(context)?;
    rust_tests::containers(context)
}
