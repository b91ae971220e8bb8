//! How long the store takes, and whether it answers.

use std::{future::Future, time::Instant};

use crate::StoreError;

/// Measures one operation.
pub(crate) async fn measured<T>(
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

#[cfg(test)]
mod tests {
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;

    #[tokio::test]
    async fn operations_are_timed_and_an_outage_is_seen() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let shown = recorder.handle();
        let _guard = metrics::set_default_local_recorder(&recorder);
        let fails = async || Err::<(), _>(StoreError::Unavailable("gone".into()));

        measured("read", fails()).await.unwrap_err();
        assert!(shown.render().contains("hubkey_store_up 0"));
        measured("read", async { Ok(()) }).await.unwrap();
        let text = shown.render();
        assert!(text.contains("hubkey_store_up 1"), "{text}");
        for outcome in ["ok", "unavailable"] {
            let labels = format!("_count{{operation=\"read\",outcome=\"{outcome}\"}} 1");
            assert!(text.contains(&labels), "{text}");
        }
    }
}
