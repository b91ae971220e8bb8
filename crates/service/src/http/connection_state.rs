//! What a connection is doing: reading a head, busy with a request, or idle.

use std::pin::Pin;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};

use super::head_scanner::LineEndings;

pub(super) const HEAD: u8 = 0;
pub(super) const BUSY: u8 = 1;
pub(super) const IDLE: u8 = 2;

/// What a connection is doing. Shared by the bytes and the service above them.
#[derive(Debug, Clone, Default)]
pub(super) struct ConnectionState(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: AtomicU8,
    /// How the lines of the head ended that came last, until its request is taken.
    lines: AtomicU8,
    /// The bytes of body that the present request says it has.
    length: AtomicU64,
    /// Whom to wake when the request has ended: hyper, which found nothing to read before, does not look again by itself.
    waiting: Mutex<Option<Waker>>,
}

impl ConnectionState {
    /// A request was read: from now on its own limits hold. Returns how its head came; `None` where it came together with
    /// what was before it.
    pub(super) fn begin_request(&self, length: u64) -> Option<LineEndings> {
        self.set(BUSY);
        self.0.length.store(length, Ordering::Relaxed);
        LineEndings::of(self.0.lines.swap(0, Ordering::Relaxed))
    }

    pub(super) fn wait_for_end(&self, waker: &Waker) {
        *self.waiting() = Some(waker.clone());
    }

    fn end_request(&self) {
        self.set(IDLE);
        if let Some(waker) = self.waiting().take() {
            waker.wake();
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Option<Waker>> {
        self.0
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set(&self, state: u8) {
        self.0.state.store(state, Ordering::Relaxed);
    }

    /// The bytes of body that the present request says it has.
    pub(super) fn length(&self) -> u64 {
        self.0.length.load(Ordering::Relaxed)
    }

    /// Notes how the lines of the present head ended.
    pub(super) fn note_line_endings(&self, line_endings: LineEndings) {
        self.0.lines.store(line_endings as u8, Ordering::Relaxed);
    }

    /// Returns the body, which ends this request when it is dropped.
    pub(super) fn end_with(&self, body: Body) -> Body {
        Body::new(TrackedBody {
            body,
            _end: RequestGuard(self.clone()),
        })
    }

    pub(super) fn is(&self, state: u8) -> bool {
        self.0.state.load(Ordering::Relaxed) == state
    }
}

/// A body that ends its request when it is dropped.
struct TrackedBody {
    body: Body,
    _end: RequestGuard,
}

impl HttpBody for TrackedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

struct RequestGuard(ConnectionState);

impl Drop for RequestGuard {
    fn drop(&mut self) {
        self.0.end_request();
    }
}
