//! Settings: one TOML file, `HUBKEY_*` environment variables over it, and files for secrets.
//!
//! A server describes its settings by reading them:
//!
//! ```
//! use std::collections::BTreeMap;
//! use hubkey_service::settings::{Reader, value_type};
//!
//! let env = BTreeMap::from([("HUBKEY_KERNEL_LISTEN".to_owned(), "127.0.0.1:8081".to_owned())]);
//! let reader = Reader::open(None, env);
//! let kernel = reader.section("kernel");
//! let listen = kernel.required("listen", &value_type::ADDRESS, "Where kernels reach the broker.");
//! let hold = kernel.or("hold", &value_type::DURATION, std::time::Duration::from_secs(25), "How long a poll waits.");
//! reader.finish().expect("no mistakes");
//! assert_eq!(listen.expect("it is set").port(), 8081);
//! assert_eq!(hold.as_secs(), 25);
//! ```
//!
//! - The key `listen` of the section `kernel` is `[kernel] listen = …` in the file and `HUBKEY_KERNEL_LISTEN` in the
//!   environment; the environment wins. An empty variable counts as not set.
//! - Every mistake is kept and reading goes on, so that an operator sees all of them at once ([`Reader::finish`]).
//!   Hence: read every key first, and only then use `?` on what [`Section::required`] returned.
//! - A key of the file that nobody read, and a `HUBKEY_*` variable that nobody read, are mistakes.
//! - A secret is never in the file and never in a message: `x_file = "/path"`, `HUBKEY_…_X_FILE` or `HUBKEY_…_X`.
//! - What was read also makes the reference in the operator's manual ([`reference()`]).

mod common;
mod config_error;
mod environment;
mod reader;
mod reference;
mod section;
mod source;
#[cfg(test)]
mod tests;
mod tree;
pub mod value_type;

use std::path::Path;

pub use common::{LogFormat, LogSettings, OpsSettings, read_log, read_ops};
pub use config_error::{ConfigError, ConfigErrors};
pub(crate) use environment::otel_environment;
pub use environment::{FILE_VARIABLE, process_environment};
pub use reader::Reader;
pub use section::Section;
pub use value_type::ValueType;

/// Reads settings from a file and the process environment.
///
/// `read` returns `None` when something that it needs is missing; the reader then knows why.
pub fn load<T>(
    file: Option<&Path>,
    read: impl FnOnce(&Reader) -> Option<T>,
) -> Result<T, ConfigErrors> {
    let reader = Reader::open(file, process_environment());
    let settings = read(&reader);
    reader.finish()?;
    settings.ok_or_else(ConfigErrors::unexplained)
}

/// Renders the reference of all settings that `read` reads, as Markdown.
#[must_use]
pub fn reference<T>(read: impl FnOnce(&Reader) -> Option<T>) -> String {
    let reader = Reader::describing();
    read(&reader);
    reader.reference()
}
