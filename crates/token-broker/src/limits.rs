//! How often somebody else may be asked: the Hub, a provider. What a person's loop costs is bounded here, and no honest
//! crowd is refused for it.

mod coalescing_cache;
mod pacer;

pub use coalescing_cache::{CacheKey, CoalescingCache};
pub use pacer::Pacer;
