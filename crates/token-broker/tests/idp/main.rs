//! Identity providers, honest and hostile, as the broker meets them: over HTTP.
//!
//! Each test begins with the honest case, so that what follows is refused for the one thing that was changed, and each
//! refusal also counts what the provider was asked.

#[cfg(test)]
mod authorities;
#[cfg(test)]
mod authorization;
#[cfg(test)]
mod code_exchange;
#[cfg(test)]
mod counting;
#[cfg(test)]
mod documents;
#[cfg(test)]
mod id_tokens;
#[cfg(test)]
mod keys;
#[cfg(test)]
mod outbound;
#[cfg(test)]
mod plain;
#[cfg(test)]
mod private_key;
#[cfg(test)]
mod pushed;
#[cfg(test)]
mod refreshing;
#[cfg(test)]
mod support;
#[cfg(test)]
mod userinfo;
