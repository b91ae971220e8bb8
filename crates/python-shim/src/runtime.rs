//! The one tokio runtime of this interpreter: made on first use, ended by `atexit`, forgotten after a fork.
//!
//! It must end before the interpreter does: a worker that tries to call into an interpreter that is being taken down
//! crashes it.

use std::{
    mem,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use pyo3::{exceptions::PyRuntimeError, prelude::*, types::PyDict};
use tokio::{
    runtime::{Builder, Handle, Runtime},
    task::JoinHandle,
    time::timeout,
};

/// How long the end of the interpreter waits for calls that nobody awaits, such as a cancellation.
const FLUSH_TIMEOUT: Duration = Duration::from_millis(800);
/// How long it then waits for the workers.
const SHUTDOWN: Duration = Duration::from_millis(200);

struct Running {
    runtime: Runtime,
    unawaited: Vec<JoinHandle<()>>,
}

/// Locked only while attached to Python and for a few instructions, so that no fork meets it locked.
static RUNNING: Mutex<Option<Running>> = Mutex::new(None);
/// Counts the forks that led here. A client of an older generation has connections that belong to the parent.
static GENERATION: AtomicU64 = AtomicU64::new(0);

/// Where to run work.
pub(crate) fn handle() -> PyResult<Handle> {
    with_running(|running| running.runtime.handle().clone())
}

/// Runs work that nobody waits for but the end of the interpreter.
pub(crate) fn spawn_unawaited(work: impl Future<Output = ()> + Send + 'static) -> PyResult<()> {
    with_running(|running| {
        running.unawaited.retain(|task| !task.is_finished());
        running.unawaited.push(running.runtime.spawn(work));
    })
}

/// Changes when what was made before can no longer be used.
pub(crate) fn generation() -> u64 {
    GENERATION.load(Ordering::Relaxed)
}

/// Asks the interpreter to say when it ends and when it was forked.
pub(crate) fn register(py: Python<'_>) -> PyResult<()> {
    py.import("atexit")?
        .call_method1("register", (wrap_pyfunction!(shutdown, py)?,))?;
    let hooks = PyDict::new(py);
    hooks.set_item("after_in_child", wrap_pyfunction!(forget_after_fork, py)?)?;
    py.import("os")?
        .call_method("register_at_fork", (), Some(&hooks))?;
    Ok(())
}

#[pyfunction]
fn shutdown(py: Python<'_>) {
    let Some(Running { runtime, unawaited }) = running().take() else {
        return;
    };
    // Detached, because a worker may be waiting to call into Python at this moment.
    py.detach(move || {
        runtime.block_on(async {
            let flush = async {
                for task in unawaited {
                    task.await.unwrap_or_default();
                }
            };
            timeout(FLUSH_TIMEOUT, flush).await.unwrap_or_default();
        });
        runtime.shutdown_timeout(SHUTDOWN);
    });
}

/// The threads of the parent do not exist in the child: whatever waited for them would wait for ever.
#[pyfunction]
fn forget_after_fork() {
    mem::forget(running().take());
    GENERATION.fetch_add(1, Ordering::Relaxed);
}

fn with_running<A>(act: impl FnOnce(&mut Running) -> A) -> PyResult<A> {
    let mut slot = running();
    if let Some(running) = slot.as_mut() {
        return Ok(act(running));
    }
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("hubkey")
        .enable_all()
        .build()
        .map_err(|_| PyRuntimeError::new_err("hubkey cannot start its background thread"))?;
    Ok(act(slot.insert(Running {
        runtime,
        unawaited: Vec::new(),
    })))
}

fn running() -> MutexGuard<'static, Option<Running>> {
    // Nothing is left half done by a panic in between.
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}
