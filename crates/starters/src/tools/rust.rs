//! What rustup brings.

use std::path::Path;
use std::process::Command;

use super::base::{log, output_of};
use crate::console;

/// The target of programs that need nothing of the system, on a machine like this one, as rustc names it.
#[must_use]
pub fn musl_target() -> String {
    format!("{}-unknown-linux-musl", std::env::consts::ARCH)
}

pub(super) fn has_musl() -> bool {
    let folder = output_of(
        "rustc",
        &["--print", "target-libdir", "--target", &musl_target()],
    );
    folder.is_some_and(|folder| Path::new(folder.trim()).is_dir())
}

pub(super) fn add_musl() -> anyhow::Result<()> {
    let mut add = Command::new("rustup");
    // The toolchain is that of the checkout.
    add.args(["target", "add", &musl_target()])
        .current_dir(crate::process::checkout());
    console::run("rustup target add", &mut add, &log("rustup")?)
}
