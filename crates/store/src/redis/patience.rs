//! How long Redis is waited for.

use std::{future::Future, time::Duration};

use redis::RedisResult;
use tokio::time::timeout;

use crate::StoreError;

/// A Redis that is silent for this long counts as dead; below the second within which a kernel gets its 503.
pub(super) const PATIENCE: Duration = Duration::from_millis(700);
/// How long each step of the start may take: nobody waits for it yet, and reading the system's authorities for the first
/// time on a busy machine is slow.
pub(super) const START_PATIENCE: Duration = Duration::from_secs(5);
/// Waits no longer than is decent.
pub(super) async fn answer<T>(
    operation: impl Future<Output = RedisResult<T>>,
) -> Result<T, StoreError> {
    answer_within(PATIENCE, operation).await
}

pub(super) async fn answer_within<T>(
    patience: Duration,
    operation: impl Future<Output = RedisResult<T>>,
) -> Result<T, StoreError> {
    match timeout(patience, operation).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(unavailable(error)),
        Err(elapsed) => Err(unavailable(elapsed)),
    }
}

pub(super) fn unavailable(
    error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> StoreError {
    StoreError::Unavailable(error.into())
}
