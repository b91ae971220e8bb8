//! One connection's bytes, with the time limits that hyper cannot keep: hyper has one timeout for waiting between
//! requests and for reading a head, and none for a client that takes nothing of an answer.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Bytes;
use hubkey_protocol::ErrorCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::futures::OwnedNotified;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep};

use super::body::slow;
use super::connection_state::{BUSY, ConnectionState, HEAD, IDLE};
use super::error_pages::{self, ErrorPages};
use super::failure::Failure;
use super::head_scanner::HeadScanner;
use super::request_pipeline::RequestPipeline;

/// How long, and for how many bytes, a connection is still read after the last answer. Closing at once would make the
/// kernel discard the answer while the client is still sending. Browsers send addresses of up to two million characters.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 2 * 1024 * 1024;

/// A stream that ends itself when its client is too slow.
#[derive(Debug)]
pub(super) struct Connection<S> {
    stream: S,
    state: ConnectionState,
    header_timeout: Duration,
    idle_timeout: Duration,
    write_timeout: Duration,
    timer: Pin<Box<Sleep>>,
    /// Runs while the client takes nothing of what is written.
    stall: Option<Pin<Box<Sleep>>>,
    /// The state that the timer was set for.
    timed: Option<u8>,
    /// Whether anything of the present head has arrived.
    has_bytes: bool,
    is_at_end: bool,
    linger: Option<usize>,
    scanner: HeadScanner,
    /// Where the callers are people: how much of a head is taken, and how much is read.
    head_bytes: usize,
    read_bytes: usize,
    error_pages: Option<ErrorPages>,
    long_heads: Arc<Semaphore>,
    /// Held from where a head is longer than what is taken.
    long_head: Option<OwnedSemaphorePermit>,
    /// A response that is still to be written before this connection ends.
    final_response: Option<Bytes>,
    /// Notifies the connection that is idle longest, when its place is needed.
    evict_idle: Arc<Notify>,
    eviction: Option<Pin<Box<OwnedNotified>>>,
}

impl<S> Connection<S> {
    pub(super) fn new(stream: S, state: ConnectionState, pipeline: &RequestPipeline) -> Self {
        let limits = &pipeline.limits;
        Self {
            stream,
            state,
            header_timeout: limits.header_timeout,
            idle_timeout: limits.idle_timeout,
            write_timeout: limits.write_timeout,
            timer: Box::pin(tokio::time::sleep(limits.header_timeout)),
            stall: None,
            timed: Some(HEAD),
            has_bytes: false,
            is_at_end: false,
            linger: None,
            scanner: HeadScanner::default(),
            head_bytes: limits.head_bytes,
            read_bytes: limits.read_bytes,
            error_pages: pipeline.error_pages.clone(),
            long_heads: Arc::clone(&pipeline.long_heads),
            long_head: None,
            final_response: None,
            evict_idle: Arc::clone(&pipeline.evict_idle),
            eviction: None,
        }
    }

    fn set_timer(&mut self, state: u8, timeout: Duration) {
        self.timed = Some(state);
        self.timer.as_mut().reset(Instant::now() + timeout);
    }

    fn note_read(&mut self, bytes: &[u8]) {
        self.is_at_end = bytes.is_empty();
        self.has_bytes = true;
        self.eviction = None;
        if self.state.is(IDLE) {
            let length = self.state.length();
            self.scanner.begin_head(length);
            self.state.set(HEAD);
            self.set_timer(HEAD, self.header_timeout);
        }
        if let Some(lines) = self.scanner.read(bytes) {
            self.state.note_line_endings(lines);
        }
        self.note_length();
    }

    /// Where the callers are people, ends a head that is too long to be read, or for which there is no place.
    fn note_length(&mut self) {
        if self.error_pages.is_none() || !self.scanner.is_beyond(self.head_bytes) {
            return;
        }
        if self.long_head.is_none() {
            self.long_head = Arc::clone(&self.long_heads).try_acquire_owned().ok();
        }
        if self.long_head.is_none() || self.scanner.is_beyond(self.read_bytes) {
            let failure = Failure::of(ErrorCode::UriTooLong);
            let response = error_pages::raw_response(self.error_pages.as_ref(), &failure);
            self.final_response = Some(response.into());
        }
    }

    /// Whether nothing is under way, and somebody else needs the place.
    fn is_evicted(&mut self, cx: &mut Context<'_>) -> bool {
        if self.state.is(BUSY) || self.has_bytes {
            return false;
        }
        let asked = self
            .eviction
            .get_or_insert_with(|| Box::pin(Arc::clone(&self.evict_idle).notified_owned()));
        asked.as_mut().poll(cx).is_ready()
    }

    /// Whether the client used up the time for what the connection is doing.
    fn is_overdue(&mut self, cx: &mut Context<'_>) -> bool {
        if self.state.is(BUSY) {
            self.timed = None;
            self.has_bytes = false;
            return false;
        }
        if self.state.is(IDLE) && self.timed != Some(IDLE) {
            self.has_bytes = false;
            self.set_timer(IDLE, self.idle_timeout);
        }
        self.timer.as_mut().poll(cx).is_ready()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Says why the connection ends, if a head was begun; best effort, since the client may not read.
    fn answer_slow_head(&mut self, cx: &mut Context<'_>) {
        if self.has_bytes {
            let failure = slow("The header took too long.");
            let answer = error_pages::raw_response(self.error_pages.as_ref(), &failure);
            let _ = Pin::new(&mut self.stream).poll_write(cx, &answer);
        }
    }

    /// Writes the final response, then reads what is still on its way, so that it is not discarded.
    fn poll_final_response(
        &mut self,
        cx: &mut Context<'_>,
        mut response: Bytes,
    ) -> Poll<io::Result<()>> {
        while !response.is_empty() {
            let written = Pin::new(&mut self.stream).poll_write(cx, &response);
            match self.unless_stalled(cx, written) {
                Poll::Ready(written) => response = response.slice(written?..),
                Poll::Pending => {
                    self.final_response = Some(response);
                    return Poll::Pending;
                }
            }
        }
        self.final_response = Some(response);
        ready!(Pin::new(self).poll_shutdown(cx))?;
        Poll::Ready(Err(io::ErrorKind::InvalidData.into()))
    }

    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut scratch = [0; 4096];
        while !self.is_at_end && self.linger.unwrap_or_default() < LINGER_BYTES {
            let mut buf = ReadBuf::new(&mut scratch);
            match Pin::new(&mut self.stream).poll_read(cx, &mut buf) {
                Poll::Ready(Ok(())) if !buf.filled().is_empty() => {
                    self.linger = self.linger.map(|count| count + buf.filled().len());
                }
                Poll::Ready(_) => break,
                Poll::Pending => return self.timer.as_mut().poll(cx).map(Ok),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Ends the connection when the client takes nothing of what is written.
    fn unless_stalled<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stall = None;
            return written;
        }
        let timeout = self.write_timeout;
        let stall = self
            .stall
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
        ready!(stall.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Connection<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Some(response) = this.final_response.take() {
            return this.poll_final_response(cx, response);
        }
        let before = buf.filled().len();
        match Pin::new(&mut this.stream).poll_read(cx, buf) {
            Poll::Ready(Ok(())) => {
                this.note_read(&buf.filled()[before..]);
                match this.final_response.take() {
                    Some(response) => this.poll_final_response(cx, response),
                    None => Poll::Ready(Ok(())),
                }
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending if this.is_overdue(cx) => {
                this.answer_slow_head(cx);
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
            Poll::Pending if this.is_evicted(cx) => {
                Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()))
            }
            Poll::Pending => {
                this.state.wait_for_end(cx.waker());
                Poll::Pending
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Connection<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(cx, buf);
        this.unless_stalled(cx, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(cx, bufs);
        this.unless_stalled(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.stream).poll_flush(cx);
        this.unless_stalled(cx, flushed)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.linger.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
            this.linger = Some(0);
            this.set_timer(HEAD, LINGER);
        }
        // Between two requests there is nothing on its way that could be cut off.
        if this.state.is(IDLE) && !this.has_bytes {
            return Poll::Ready(Ok(()));
        }
        this.poll_linger(cx)
    }
}
