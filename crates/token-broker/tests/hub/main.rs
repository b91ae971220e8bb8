//! The broker's half that asks the Hub, against a scripted Hub that speaks HTTP.

#![cfg(test)]

mod browser;
mod cache;
mod client;
mod fixtures;
mod flood;
mod stage;
