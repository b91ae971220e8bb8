//! Where the keys are.

use std::path::PathBuf;

use hubkey_service::settings::{Reader, kind};

/// The files of the keys.
#[derive(Debug, Clone)]
pub struct KeyFiles {
    /// The sealing keys; the first one seals, the others only open.
    pub sealing: Vec<PathBuf>,
    /// The index key.
    pub index: PathBuf,
}

/// `None` where none are needed and none are named.
pub(super) fn read(reader: &Reader, needed: bool) -> Option<KeyFiles> {
    let section = reader.section("keys");
    let sealing = section.list(
        "sealing_files",
        &kind::PATH,
        "Files of 32 random bytes each, such as `token-broker generate-key` makes; the first one seals, the others only \
         open.",
    );
    let index = section.optional(
        "index_file",
        &kind::PATH,
        "A further file of 32 random bytes; it hides names and never changes.",
    );
    if needed && sealing.is_empty() {
        section.fail(
            "sealing_files",
            "name at least one key file: what is kept in Redis is sealed.",
        );
    }
    if (needed || !sealing.is_empty()) && index.is_none() {
        section.fail(
            "index_file",
            "name a key file: names in Redis are hidden with it.",
        );
    }
    (!sealing.is_empty()).then_some(())?;
    Some(KeyFiles {
        sealing,
        index: index?,
    })
}
