//! A store that fails, changes its master, or holds what it should not.

mod cluster;
mod failover;
mod faults;
mod restored_records;
mod retired_keys;
