//! What only containers can show: who reaches whom, with which rights, and what a kernel sees when one of them is gone.
//!
//! `cargo xtask test --containers` makes the images and runs these.

mod cuts;
mod faults;
mod isolation;
mod pair;
mod parts;
mod support;
