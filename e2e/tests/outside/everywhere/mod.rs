//! What holds on every kind of stack.

mod bindings;
mod connect;
mod ends;
mod links;
mod notebook;
mod protocol;
mod providers;
mod waiting;
