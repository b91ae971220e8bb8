//! What the API accepts.

/// What the API accepts.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Compared to the byte with the token's `iss`.
    pub issuer: String,
    /// Must be among the token's `aud`.
    pub audience: String,
    /// Must be among the words of the token's `scope`.
    pub scope: String,
    /// Where the keys are; asked of the issuer's discovery document when absent.
    pub jwks_uri: Option<String>,
}
