//! References of pages that the broker knows nothing of.

use aws_lc_rs::rand;
use hubkey_protocol::ErrorReference;

/// A reference of our own, for what never reaches the broker.
pub(crate) fn new_reference() -> ErrorReference {
    let mut bytes = [0; 8];
    // A reference protects nothing: without random bytes the page still has one.
    let _ = rand::fill(&mut bytes);
    ErrorReference::from_random(bytes)
}
