//! Every message as it goes over the wire: whoever changes a line of these snapshots changes what programs rely on.

#![cfg(test)]

mod internal;
mod kernel;
mod line;
