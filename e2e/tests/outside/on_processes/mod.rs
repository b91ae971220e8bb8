//! What needs the programs and their files at hand.

mod browser;
mod command;
mod connections;
mod operation;
mod providers;
