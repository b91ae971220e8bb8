//! The broker through its real routers, against a scripted Hub and a provider that is honest until told otherwise.

#[cfg(test)]
mod audit;
#[cfg(test)]
mod browser;
#[cfg(test)]
mod happy;
#[cfg(test)]
mod kernel;
#[cfg(test)]
mod probe;
#[cfg(test)]
mod world;
