//! What is the same for every route: who may ask, how long something may be, and the documents.

mod bounds;
mod channel;
mod openapi;
mod providers;
mod sizes;
