//! What browsers do; each step is asked for by callback-server.
//!
//! # A sign-in, step by step
//!
//! | step | asks | decides | and then |
//! | --- | --- | --- | --- |
//! | [`open`](crate::use_cases::sign_in::open) | a kernel | its server token is known to the Hub; the request is within the operator's lists and limits | a link, good once |
//! | [`start`] | any browser | the link is good; nothing is used up | to the Hub, with a cookie |
//! | [`hub_callback`] | the same browser | the six steps that it lists: its cookie and state; the Hub says that it is the sign-in's hub user | the link is used up |
//! | [`consent`] | the same browser | its cookie and CSRF token; on a shared origin the person wants this sign-in | on |
//! | [`authorize`] | | | to the provider, with state, nonce and PKCE |
//! | [`provider_callback`] | the same browser | the seven steps that it lists | the code is redeemed, once |
//! | [`account_policy`](crate::use_cases::sign_in::account_policy) | | the account fits the hub user | kept, asked about, or revoked |
//! | [`confirm`] | the same browser | its cookie and CSRF token; the Hub again; the person knows the account | the account is linked |
//! | [`complete`](crate::use_cases::sign_in::complete) | | nobody ended the sign-in meanwhile | a connection |
//! | [`poll`](crate::use_cases::sign_in::poll) | the same kernel | server token and poll secret; the Hub again | connection and first token |
//!
//! Every step reads the sign-in from the store and writes it with the generation that it read, so of concurrent steps one
//! counts.

pub mod authorize;
pub mod confirm;
pub mod consent;
mod early_exit;
pub mod error_pages;
pub mod flow;
pub mod hub_callback;
pub mod hub_login;
pub mod labels;
pub mod my_connections;
pub mod pages;
pub mod provider_callback;
pub mod start;
