//! The broker's half that asks the Hub, against a scripted Hub that speaks HTTP.

#[cfg(test)]
mod browser;
#[cfg(test)]
mod cache;
#[cfg(test)]
mod client;
#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod flood;
#[cfg(test)]
mod stage;
