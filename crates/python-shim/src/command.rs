//! The `hubkey` command, which the wheel carries beside the package.

use std::ffi::OsString;

use pyo3::prelude::*;

/// Does what a command line says, and gives the exit code. It has a runtime of its own, and hears signals itself.
#[pyfunction]
pub(crate) fn run_command(py: Python<'_>, arguments: Vec<OsString>) -> u8 {
    py.detach(|| hubkey_cli::main(arguments))
}
