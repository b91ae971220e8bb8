//! The broker through its real routers, against a scripted Hub and a provider that is honest until told otherwise.

#![cfg(test)]

mod browser;
mod connections;
mod hub;
mod providers;
mod sign_in;
mod store;
mod support;
mod tokens;
mod wire;
