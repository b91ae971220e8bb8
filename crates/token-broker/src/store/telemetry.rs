//! How long the store takes, and whether it answers.

use std::{future::Future, time::Instant};

use super::StoreError;

/// Measures one operation.
pub(super) async fn measured<T>(
    operation: &'static str,
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let start = Instant::now();
    let result = work.await;
    let outcome = if result.is_ok() { "ok" } else { "unavailable" };
    metrics::histogram!(
        "hubkey_store_operation_duration_seconds",
        "operation" => operation,
        "outcome" => outcome
    )
    .record(start.elapsed());
    metrics::gauge!("hubkey_store_up").set(if result.is_ok() { 1.0 } else { 0.0 });
    result
}
