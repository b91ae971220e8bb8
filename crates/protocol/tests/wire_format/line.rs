//! A message in one line.

use serde::{Serialize, de::DeserializeOwned};

/// A message's name and its JSON, which reads back as the same message.
pub(crate) fn line<T: Serialize + DeserializeOwned>(name: &str, message: &T) -> String {
    let text = serde_json::to_string(message).expect("a message is JSON");
    let again: T = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
    let again = serde_json::to_string(&again).expect("a message is JSON");
    assert_eq!(again, text, "{name}");
    format!("{name}: {text}")
}
