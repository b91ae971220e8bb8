//! Files that are read again while the process runs.
//!
//! Mounted secrets are replaced by renaming, often of a folder above them, so reading is surer than asking for the time
//! of the last change or for a notice; and two reads of a small file cost nothing.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

/// How often files are looked at.
pub const INTERVAL: Duration = Duration::from_secs(10);

/// Calls `reload` again and again, for as long as it is polled. It says what is in use now if that changed; after an
/// error everything has to be as it was, and only the first error of a row is logged.
pub async fn keep_reloading<E: Error + Send + 'static>(
    files: &'static str,
    every: Duration,
    reload: impl Fn() -> Result<Option<String>, E> + Send + Sync + 'static,
) {
    let reload = Arc::new(reload);
    let mut is_failing = false;
    loop {
        tokio::time::sleep(every).await;
        let once = Arc::clone(&reload);
        let Ok(reloaded) = tokio::task::spawn_blocking(move || once()).await else {
            continue;
        };
        match reloaded {
            Ok(changed) => {
                if let Some(now) = changed {
                    tracing::info!(files, now, "files were read again");
                }
                is_failing = false;
            }
            Err(error) if !is_failing => {
                is_failing = true;
                tracing::error!(files, cause = %error, "files cannot be read again; what is in memory stays in use");
            }
            Err(_) => {}
        }
    }
}
