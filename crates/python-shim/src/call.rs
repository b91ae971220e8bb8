//! How a call leaves Python and its answer comes back: to an asyncio future, or to a thread that waits.

use std::{
    sync::{
        Mutex, PoisonError,
        mpsc::{RecvTimeoutError, sync_channel},
    },
    time::Duration,
};

use hubkey_broker_client::ClientError;
use pyo3::{exceptions::PyRuntimeError, prelude::*};
use tokio::task::AbortHandle;

use crate::{error, runtime};

/// How often a waiting thread looks for a signal, such as Ctrl-C.
const TICK: Duration = Duration::from_millis(100);

/// Turns an answer into the Python object that stands for it.
pub(crate) type Convert<A> = fn(Python<'_>, A) -> PyResult<Py<PyAny>>;

/// Runs `work` and gives an asyncio future of `event_loop` that gets its answer. Cancelling the future ends the work.
pub(crate) fn spawn<A: Send + 'static>(
    event_loop: &Bound<'_, PyAny>,
    work: impl Future<Output = Result<A, ClientError>> + Send + 'static,
    convert: Convert<A>,
) -> PyResult<Py<PyAny>> {
    let future = event_loop.call_method0("create_future")?;
    let (target, owner) = (future.clone().unbind(), event_loop.clone().unbind());
    let task = runtime::handle()?.spawn(async move {
        let answer = work.await;
        // An interpreter that is ending has nobody left who waits for the answer.
        Python::try_attach(|py| {
            let settled = answer
                .map_err(error::to_python)
                .and_then(|answer| convert(py, answer));
            deliver(owner.bind(py), target.bind(py), settled)
        })
    });
    future.call_method1("add_done_callback", (Abort(task.abort_handle()),))?;
    Ok(future.unbind())
}

/// Runs `work` and waits for it, while other threads of Python go on and signals are heard.
pub(crate) fn wait<A: Send + 'static>(
    py: Python<'_>,
    work: impl Future<Output = Result<A, ClientError>> + Send + 'static,
) -> PyResult<A> {
    let (sender, receiver) = sync_channel(1);
    let receiver = Mutex::new(receiver);
    let task = runtime::handle()?.spawn(async move { sender.send(work.await) });
    loop {
        let outcome = py.detach(|| {
            receiver
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .recv_timeout(TICK)
        });
        match outcome {
            Ok(answer) => return answer.map_err(error::to_python),
            Err(RecvTimeoutError::Timeout) => py.check_signals().inspect_err(|_| task.abort())?,
            Err(RecvTimeoutError::Disconnected) => {
                return Err(PyRuntimeError::new_err(
                    "hubkey's background thread has ended",
                ));
            }
        }
    }
}

fn deliver(
    event_loop: &Bound<'_, PyAny>,
    future: &Bound<'_, PyAny>,
    settled: PyResult<Py<PyAny>>,
) -> PyResult<()> {
    let py = event_loop.py();
    let settle = wrap_pyfunction!(settle, py)?;
    let (value, error) = match settled {
        Ok(value) => (Some(value), None),
        Err(error) => (None, Some(error.into_value(py))),
    };
    // Fails when the loop was closed meanwhile: then nobody waits.
    event_loop
        .call_method1("call_soon_threadsafe", (settle, future, value, error))
        .map(drop)
}

/// Runs in the loop's own thread, which alone may settle a future.
#[pyfunction]
fn settle(
    future: &Bound<'_, PyAny>,
    value: Option<Py<PyAny>>,
    error: Option<Py<PyAny>>,
) -> PyResult<()> {
    if future.call_method0("done")?.is_truthy()? {
        return Ok(());
    }
    match error {
        Some(error) => future.call_method1("set_exception", (error,))?,
        None => future.call_method1("set_result", (value,))?,
    };
    Ok(())
}

/// What a future calls when it is done; the work has ended too, unless the future was cancelled.
#[pyclass(frozen, module = "hubkey._hubkey")]
#[derive(Debug)]
struct Abort(AbortHandle);

#[pymethods]
impl Abort {
    fn __call__(&self, _future: &Bound<'_, PyAny>) {
        self.0.abort();
    }
}
