//! hubkey from outside: a real hub with real kernels, real browsers, Keycloak and Redis, and the two servers as
//! programs. Most tests share one stack, which also knows providers at the edge of the network.

mod arguments;
mod bare;
mod bindings;
mod connect;
mod fixation;
mod leaks;
mod notebook;
mod numbers;
mod pages;
mod protocol;
mod providers;
mod support;
mod waiting;
