//! A profile for AWS's SDKs, which exchange the token of a file themselves (`AssumeRoleWithWebIdentity`).

use std::path::absolute;

use crate::{
    Outcome, Then,
    arguments::AwsArguments,
    failure::{Exit, Failure},
    output::answer,
};

/// Asks nobody: the lines can be written where no server is.
pub(crate) fn run(arguments: &AwsArguments) -> Outcome {
    let refuse = |what: &str| {
        Failure::new(
            Exit::Usage,
            format!("{what} holds a character that a profile cannot have."),
        )
    };
    let file = absolute(&arguments.token_file).map_err(|_| refuse("The file's path"))?;
    let file = file
        .to_str()
        .filter(|path| is_plain(path))
        .ok_or_else(|| refuse("The file's path"))?;
    let role = Some(&arguments.role_arn).filter(|arn| is_plain(arn) && arn.starts_with("arn:"));
    let role = role.ok_or_else(|| refuse("The role"))?;
    let profile = arguments
        .profile
        .as_deref()
        .unwrap_or(arguments.provider.as_str());
    if !is_plain(profile) || profile.contains(']') {
        return Err(refuse("The profile's name"));
    }
    answer(&format!(
        "[profile {profile}]\nrole_arn = {role}\nweb_identity_token_file = {file}\n"
    ))?;
    Ok(Then::DONE)
}

fn is_plain(text: &str) -> bool {
    !text.is_empty() && !text.chars().any(char::is_control)
}
