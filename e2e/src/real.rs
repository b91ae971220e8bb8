//! Single parts of the real stack, and how a person or a program uses them.

pub mod browser;
pub mod kernel;
pub mod keycloak;
pub mod notebook;
pub mod oidc_provider;
pub mod server_token;
pub mod sign_in;
