//! What the command says of itself: completions, manual, reference.

use std::fmt::Write as _;

use clap::{Command, CommandFactory as _};
use clap_complete::Shell;

use crate::{
    Outcome, Then,
    arguments::CommandLine,
    failure::{Exit, Failure},
    output::answer,
};

const NAME: &str = "hubkey";

/// `hubkey completions`
pub(crate) fn completions(shell: Shell) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut CommandLine::command(), NAME, &mut script);
    answer(&String::from_utf8_lossy(&script))?;
    Ok(Then::DONE)
}

/// `hubkey man`
pub(crate) fn man(of: &[String]) -> Outcome {
    let whole = built();
    let command = of
        .iter()
        .try_fold(&whole, |command, name| command.find_subcommand(name));
    let command = command.cloned().ok_or_else(|| {
        let said = "There is no such command; `hubkey --help` lists them.";
        Failure::new(Exit::Usage, said)
    })?;
    let mut page = Vec::new();
    clap_mangen::Man::new(command)
        .render(&mut page)
        .map_err(|_| Failure::new(Exit::Failed, "The manual page cannot be made."))?;
    answer(&String::from_utf8_lossy(&page))?;
    Ok(Then::DONE)
}

/// `hubkey reference`
pub(crate) fn markdown() -> Outcome {
    let mut text = String::new();
    describe(&built(), &mut text);
    answer(&text)?;
    Ok(Then::DONE)
}

/// With the whole name of each command in its usage.
fn built() -> Command {
    let mut command = CommandLine::command().disable_help_subcommand(true);
    command.build();
    command
}

fn describe(command: &Command, text: &mut String) {
    let name = command.get_bin_name().unwrap_or(NAME);
    let help = command
        .clone()
        .term_width(100)
        .render_long_help()
        .to_string();
    let help: Vec<&str> = help.lines().map(str::trim_end).collect();
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "### `{name}`\n\n```text\n{}\n```\n",
        help.join("\n").trim_end()
    );
    for below in command
        .get_subcommands()
        .filter(|below| !below.is_hide_set())
    {
        describe(below, text);
    }
}
