//! Who a kernel and a browser are, as a real JupyterHub with real servers, people and services says it.

#![cfg(test)]

mod browser;
mod kernel;
mod name_given_again;
mod person;
mod stage;
