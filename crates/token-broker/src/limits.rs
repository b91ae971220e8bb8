//! How often somebody else may be asked: the Hub, a provider. What a person's loop costs is bounded here, and no honest
//! crowd is refused for it.

mod answers;
mod pace;

pub use answers::{Answers, Topic};
pub use pace::Pace;
