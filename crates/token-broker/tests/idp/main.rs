//! Identity providers, honest and hostile, as the broker meets them: over HTTP.
//!
//! Each test begins with the honest case, so that what follows is refused for the one thing that was changed, and each
//! refusal also counts what the provider was asked.

mod authorization;
mod code_exchange;
mod documents;
mod id_tokens;
mod keys;
mod outbound;
mod support;
mod userinfo;
