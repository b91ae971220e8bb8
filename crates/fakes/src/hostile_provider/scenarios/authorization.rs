//! Redirects back to the client that must be refused, all before the token endpoint is asked.

use super::super::AuthorizationResponse;
use super::{Case, bad, of_row};

/// The cases of one row.
#[must_use]
pub fn of(row: &str) -> Vec<Case<AuthorizationResponse>> {
    of_row(ALL, row)
}

/// All cases. Those of P12 are for a provider whose metadata does not announce `iss`
/// ([`forget_iss`]).
pub const ALL: &[Case<AuthorizationResponse>] = &[
    bad("p2", "the code twice", |r| r.add("code", "another")),
    bad("p2", "the state twice", |r| r.add("state", "another")),
    bad("p2", "the issuer twice", |r| {
        r.add("iss", "https://op.evil.example");
    }),
    bad("p5", "no state", |r| r.remove("state")),
    bad("p5", "an invented state", |r| {
        r.set("state", "aaaaaa.invented");
    }),
    bad("p6", "an error beside the code", |r| {
        r.set("error", "access_denied");
    }),
    bad("p6", "an error in place of the code", |r| {
        r.fail("access_denied");
    }),
    bad("p6", "neither code nor error", |r| r.remove("code")),
    bad("p6", "an empty code", |r| r.set("code", "")),
    bad("p10", "the issuer of somebody else", |r| {
        r.set("iss", "https://op.evil.example");
    }),
    bad("p10", "a slash at the end of the issuer", |r| {
        let iss = format!("{}/", r.get("iss").unwrap_or_default());
        r.set("iss", &iss);
    }),
    bad("p10", "the issuer of somebody else on an error", |r| {
        r.fail("access_denied");
        r.set("iss", "https://op.evil.example");
    }),
    bad("p11", "no issuer although announced", |r| r.remove("iss")),
    bad("p11", "an empty issuer", |r| r.set("iss", "")),
    bad("p12", "the issuer of somebody else, not announced", |r| {
        r.set("iss", "https://op.evil.example");
    }),
];

/// Takes the announcement of `iss` from a discovery document.
pub fn forget_iss(metadata: &mut serde_json::Value) {
    if let Some(metadata) = metadata.as_object_mut() {
        metadata.remove("authorization_response_iss_parameter_supported");
    }
}
