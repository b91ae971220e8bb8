//! The command `hubkey`.

mod command_files;
mod command_line;
mod other_languages;
mod static_command;
