//! The form of the Hub's tokens.

use hubkey_protocol::secret::Secret;

/// Whether the Hub can have made this token: `^[0-9a-zA-Z_-]{16,256}$`.
pub(super) fn is_well_formed(token: &impl Secret) -> bool {
    let token = token.expose().as_bytes();
    (16..=256).contains(&token.len())
        && token
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}
