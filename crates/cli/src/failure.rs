//! Why a command did not do what was asked: a sentence for people and an exit code for programs.

use hubkey_broker_client::ClientError;
use hubkey_protocol::{ErrorReference, ProviderId, SignInFailure, failures};

/// The exit codes, the same for every command. A program that `exec` starts has its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Something here failed: a file, a program.
    Failed,
    /// The command line or the environment is wrong, or the broker is not believed.
    Usage,
    /// A person has to sign in.
    SignIn,
    /// The same command may succeed a little later.
    Transient,
    /// Refused: by the person, the provider or a policy.
    Denied,
    /// A signal of this number ended it.
    Signal(u8),
    /// The program to run cannot be run (126), or is not there (127), as shells say it.
    Program(u8),
}

impl Exit {
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Failed => failures::Exit::Failed.code(),
            Self::Usage => failures::Exit::Usage.code(),
            Self::SignIn => failures::Exit::SignIn.code(),
            Self::Transient => failures::Exit::Transient.code(),
            Self::Denied => failures::Exit::Denied.code(),
            Self::Signal(number) => number.saturating_add(128),
            Self::Program(code) => code,
        }
    }
}

impl From<failures::Exit> for Exit {
    fn from(exit: failures::Exit) -> Self {
        match exit {
            failures::Exit::Failed => Self::Failed,
            failures::Exit::Usage => Self::Usage,
            failures::Exit::SignIn => Self::SignIn,
            failures::Exit::Transient => Self::Transient,
            failures::Exit::Denied => Self::Denied,
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    said: String,
}

impl Failure {
    pub(crate) fn new(exit: Exit, said: impl Into<String>) -> Self {
        let said = said.into();
        Self { exit, said }
    }

    /// A person has to sign in, and there is nobody.
    pub(crate) fn sign_in_required(provider: Option<&ProviderId>) -> Self {
        let said = match provider.map(ProviderId::as_str) {
            Some(provider) => format!(
                "Nobody is signed in to {provider} from this server. Run `hubkey login {provider}` in a terminal of \
                 this server, or connect in a notebook of it."
            ),
            None => "Nobody is signed in from this server. Run `hubkey login` in a terminal of this server, with a \
                     name of `hubkey list`, or connect in a notebook of it."
                .to_owned(),
        };
        Self::new(Exit::SignIn, said)
    }

    /// There is no such provider here.
    pub(crate) fn unknown_provider(provider: &ProviderId) -> Self {
        let said = format!(
            "This JupyterHub has no provider {}. `hubkey list` names those that it has.",
            provider.as_str()
        );
        Self::new(Exit::Usage, said)
    }

    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }

    pub(crate) fn said(&self) -> &str {
        &self.said
    }
}

/// Says it without the cause, which can hold an address.
impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let exit = match &error {
            ClientError::Unreachable(_)
            | ClientError::NoAnswer(_)
            | ClientError::Unexpected { .. } => Exit::Transient,
            ClientError::Setup(_) | ClientError::Untrusted(_) => Exit::Usage,
            ClientError::Problem { problem, .. } => problem.code.row().exit.into(),
        };
        let reference = error.operator_reference();
        let reference = reference.map_or(String::new(), |id| format!(" Reference: {id}."));
        let said = format!("{} {}{reference}", error.title(), error.remedy());
        Self::new(exit, said)
    }
}

impl Failure {
    /// A sign-in ended without a connection.
    pub(crate) fn sign_in_failed(reason: SignInFailure, reference: &ErrorReference) -> Self {
        let said = sentence(&reason.in_command(reference));
        Self::new(reason.row().exit.into(), said)
    }
}

/// With a capital in front, as a line of its own begins.
pub(crate) fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use hubkey_protocol::ErrorCode;

    use super::*;

    #[test]
    fn exit_codes_are_those_of_the_contract() {
        let code = |code: ErrorCode| Exit::from(code.row().exit).code();
        assert_eq!(code(ErrorCode::UnknownProvider), 2);
        assert_eq!(code(ErrorCode::SignInRequired), 3);
        assert_eq!(code(ErrorCode::ProviderUnavailable), 4);
        assert_eq!(code(ErrorCode::RateLimited), 4);
        assert_eq!(code(ErrorCode::InvalidToken), 5);
        assert_eq!(code(ErrorCode::SharedServer), 5);
        assert_eq!(code(ErrorCode::Unknown), 1);
        assert_eq!(Exit::Signal(2).code(), 130);
    }
}
