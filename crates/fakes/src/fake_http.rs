//! What every fake server of the tests stands on: a listener of its own on loopback, replies that can be told to
//! misbehave, and a record of all that was asked.

pub mod record;
pub mod reply;
pub mod server;

pub use record::{Captured, Recorder};
pub use reply::{Pace, Reply};
pub use server::{Bystander, Fake, FakeServer, SilentListener};

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks, also after a test's closure panicked under the lock.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Random bytes as URL-safe text: 43 characters for 32 bytes.
pub(crate) fn random_text(bytes: usize) -> String {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(random_bytes(bytes))
}

/// Random bytes as hexadecimal text, as the Hub writes its tokens.
pub(crate) fn random_hex(bytes: usize) -> String {
    hex(&random_bytes(bytes))
}

/// Bytes as lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn random_bytes(count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    // The only failure is a system without randomness; then every fake would hand out the same zeroes and tests
    // of single use would say so.
    let _ = aws_lc_rs::rand::fill(&mut bytes);
    bytes
}

/// Pairs of a query or form, in order, repetitions kept.
pub(crate) fn pairs(text: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(text).into_owned().collect()
}

/// The value of `name` if it is there exactly once.
pub(crate) fn single<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let mut values = pairs.iter().filter(|(key, _)| key == name);
    let (_, value) = values.next()?;
    values.next().is_none().then_some(value)
}
