//! What holds on every kind of stack.

mod bindings;
mod connect;
mod ends;
mod exchange;
mod links;
mod more;
mod notebook;
mod protocol;
mod providers;
mod waiting;
