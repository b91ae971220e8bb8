//! Who a kernel and a browser are, as a real JupyterHub with real servers, people and services says it.

#[cfg(test)]
mod browser;
#[cfg(test)]
mod kernel;
#[cfg(test)]
mod name_given_again;
#[cfg(test)]
mod person;
#[cfg(test)]
mod stage;
