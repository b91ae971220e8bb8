//! Where the keys are.

use std::path::PathBuf;

use hubkey_service::settings::{Reader, value_type};

/// The files of the keys.
#[derive(Debug, Clone)]
pub struct KeyFiles {
    /// The encryption keys; the first one seals, the others only open.
    pub encryption: Vec<PathBuf>,
    /// The lookup MAC key.
    pub lookup_mac: PathBuf,
}

/// `None` where none are needed and none are named.
pub(super) fn read(reader: &Reader, needed: bool) -> Option<KeyFiles> {
    let section = reader.section("keys");
    let encryption = section.list(
        "encryption_key_files",
        &value_type::PATH,
        "Files of 32 random bytes each, such as `token-broker generate-key` makes; the first one seals, the others only \
         open.",
    );
    let lookup_mac = section.optional(
        "lookup_mac_key_file",
        &value_type::PATH,
        "A further file of 32 random bytes; it hides names and never changes.",
    );
    if needed && encryption.is_empty() {
        section.fail(
            "encryption_key_files",
            "name at least one key file: what is kept in Redis is sealed.",
        );
    }
    if (needed || !encryption.is_empty()) && lookup_mac.is_none() {
        section.fail(
            "lookup_mac_key_file",
            "name a key file: names in Redis are hidden with it.",
        );
    }
    (!encryption.is_empty()).then_some(())?;
    Some(KeyFiles {
        encryption,
        lookup_mac: lookup_mac?,
    })
}
