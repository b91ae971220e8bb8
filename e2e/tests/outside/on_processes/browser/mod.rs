//! The browser's way.

mod fixation;
mod pages;
mod sizes;
