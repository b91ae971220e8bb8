//! What holds on every kind of stack.

mod bindings;
mod connect;
mod ends;
mod environment;
mod exchange;
mod links;
mod more;
mod notebook;
mod protocol;
mod providers;
mod state;
mod waiting;
