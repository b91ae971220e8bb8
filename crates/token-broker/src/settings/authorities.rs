//! Files of authorities that may have signed a server's certificate.

use hubkey_service::settings::{Section, value_type};

/// What a file of authorities does where only one server is meant.
pub(super) const INSTEAD: &str =
    "PEM certificates of the authorities to trust instead of the system's.";

/// The certificates of the authorities to trust, if a file of them is named.
pub(super) fn read_ca(section: &Section<'_>, about: &str) -> Option<Vec<u8>> {
    let path = section.optional("ca_file", &value_type::PATH, about)?;
    match std::fs::read(&path) {
        Ok(pem) => Some(pem),
        Err(error) => {
            section.fail(
                "ca_file",
                &format!("name a file that can be read ({}).", error.kind()),
            );
            None
        }
    }
}
