//! What needs the programs and their files at hand.

mod arguments;
mod bare;
mod command_files;
mod command_line;
mod ended;
mod federation;
mod fixation;
mod generated_client;
mod health;
mod leaks;
mod libraries;
mod name_given_again;
mod notebook;
mod numbers;
mod odd_answers;
mod older_exchange;
mod other_languages;
mod pages;
mod providers;
mod refresh;
mod retired_keys;
mod second_provider;
mod sharing;
mod sizes;
mod static_command;
mod transport;
