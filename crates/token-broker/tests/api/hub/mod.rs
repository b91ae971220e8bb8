//! What the Hub says of kernels and people, and what it is asked.

mod kernel_identity;
mod request_loops;
mod reused_name;
mod server_token;
mod unknown_browsers;
