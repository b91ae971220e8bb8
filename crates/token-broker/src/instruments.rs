//! Every instrument of this crate, with what it means. Labels are out of closed sets: providers as configured, and words
//! of ours; never a user, a server or a text from outside.

use hubkey_service::telemetry::Metrics;

const ALL: [(&str, &str); 18] = [
    (
        "hubkey_sign_ins_opened_total",
        "Sign-ins that kernels opened, by provider.",
    ),
    (
        "hubkey_sign_ins_total",
        "Sign-ins that ended, by provider and outcome.",
    ),
    (
        "hubkey_sign_in_duration_seconds",
        "From a sign-in's request to its delivery, by provider.",
    ),
    (
        "hubkey_token_requests_total",
        "Requests of kernels for a token, by provider, source and outcome.",
    ),
    (
        "hubkey_token_refresh_duration_seconds",
        "Refreshes at providers, by provider and outcome.",
    ),
    (
        "hubkey_hub_requests_total",
        "Questions to the Hub, by endpoint and outcome.",
    ),
    (
        "hubkey_browser_questions_total",
        "Browsers that came back from the Hub, by visitor, and whether the Hub was asked about them.",
    ),
    (
        "hubkey_audit_suppressed_total",
        "Refusals of nobody in particular that the audit stream was spared, by event and reason.",
    ),
    (
        "hubkey_backchannel_logouts_total",
        "Logout tokens that providers sent, by provider and outcome.",
    ),
    (
        "hubkey_provider_requests_total",
        "Requests to providers, by provider, endpoint and outcome.",
    ),
    (
        "hubkey_provider_circuit_open",
        "1 while an endpoint of a provider is left alone because it failed again and again, else 0.",
    ),
    (
        "hubkey_provider_circuit_opened_total",
        "How often an endpoint of a provider was left alone, by provider and endpoint.",
    ),
    (
        "hubkey_jwks_refreshes_total",
        "Key sets that were read from providers, by provider and outcome.",
    ),
    (
        "hubkey_store_operation_duration_seconds",
        "Operations of the store, by operation and outcome.",
    ),
    (
        "hubkey_store_up",
        "1 if the last operation of the store succeeded, else 0.",
    ),
    (
        "hubkey_store_decryption_failures_total",
        "Stored records that could not be opened, by purpose: someone altered them.",
    ),
    (
        "hubkey_retired_key_records_total",
        "Reads of records that were sealed with a key that is held no more, by purpose and key.",
    ),
    (
        "hubkey_encryption_key_operations_total",
        "Records sealed and opened, by key.",
    ),
];

/// Tells the registry what each instrument means.
pub fn describe(metrics: &Metrics) {
    for (name, meaning) in ALL {
        metrics.describe(name, meaning);
    }
}
