//! Identity providers, honest and hostile, as the broker meets them: over HTTP.
//!
//! Each test begins with the honest case, so that what follows is refused for the one thing that was changed, and each
//! refusal also counts what the provider was asked.

#![cfg(test)]

mod authorities;
mod authorization;
mod code_exchange;
mod counting;
mod documents;
mod http_client;
mod id_tokens;
mod keys;
mod oauth2;
mod outbound_proxy;
mod par;
mod private_key;
mod refreshing;
mod rules;
mod support;
mod userinfo;
