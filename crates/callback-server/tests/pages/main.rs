//! callback-server through its real router, in front of a scripted broker.

#![cfg(test)]

mod attacks;
mod backchannel_logout;
mod browser;
mod chromium;
mod connections;
mod cookies;
mod crowd;
mod escaping;
mod fetch_metadata;
mod forged;
mod headers;
mod key_set;
mod links;
mod long;
mod pages;
mod people;
mod process;
mod redirects;
mod relay;
mod schema;
mod support;
mod traces;
