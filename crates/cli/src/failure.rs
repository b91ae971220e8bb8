//! Why a command did not do what was asked: a sentence for people and an exit code for programs.

use hubkey_broker_client::{ClientError, Distrust};
use hubkey_protocol::{ErrorCode, ProviderId, SignInFailure};

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
            Self::Failed => 1,
            Self::Usage => 2,
            Self::SignIn => 3,
            Self::Transient => 4,
            Self::Denied => 5,
            Self::Signal(number) => number.saturating_add(128),
            Self::Program(code) => code,
        }
    }

    fn of_code(code: ErrorCode) -> Self {
        match code {
            ErrorCode::SignInRequired
            | ErrorCode::NotFound
            | ErrorCode::Superseded
            | ErrorCode::Gone => Self::SignIn,
            ErrorCode::BadRequest
            | ErrorCode::UnknownProvider
            | ErrorCode::ProviderRequired
            | ErrorCode::ScopeNotAllowed
            | ErrorCode::AudienceNotAllowed
            | ErrorCode::ResourceNotAllowed
            | ErrorCode::IssuerNotAllowed
            | ErrorCode::TokenTooShort => Self::Usage,
            ErrorCode::MissingToken
            | ErrorCode::InvalidToken
            | ErrorCode::NotAServerToken
            | ErrorCode::SharedServer
            | ErrorCode::TargetRefused
            | ErrorCode::ProviderMisconfigured => Self::Denied,
            ErrorCode::TooManySignIns | ErrorCode::Internal => Self::Transient,
            other if other.is_transient() => Self::Transient,
            _ => Self::Failed,
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
        match error {
            ClientError::Unreachable(_) | ClientError::NoAnswer(_) => Self::new(
                Exit::Transient,
                "The token broker of this JupyterHub did not answer. Try again in a minute; if it stays so, tell the \
                 operator that HUBKEY_URL cannot be reached from your server.",
            ),
            ClientError::Unexpected { status } => Self::new(
                Exit::Transient,
                format!(
                    "HUBKEY_URL leads to something that is not hubkey's broker, or to another version of it (status \
                     {status}). Tell the operator of this JupyterHub."
                ),
            ),
            ClientError::Setup(what) => Self::new(
                Exit::Usage,
                format!("The broker cannot be asked: {what}. Check HUBKEY_URL and HUBKEY_CA_FILE."),
            ),
            ClientError::Untrusted(distrust) => Self::new(
                Exit::Usage,
                format!(
                    "The broker is not believed: {distrust}. Nothing was sent to it. {}",
                    advice(distrust)
                ),
            ),
            ClientError::Problem { problem, .. } => Self::new(
                Exit::of_code(problem.code),
                format!("{} {}", problem.title, problem.detail),
            ),
        }
    }
}

/// Why a sign-in ended without a connection.
impl From<SignInFailure> for Failure {
    fn from(reason: SignInFailure) -> Self {
        let (exit, said) = match reason {
            SignInFailure::ProviderDenied => (
                Exit::Denied,
                "The provider did not let this account in, or the person chose not to.",
            ),
            SignInFailure::ProviderUnavailable => (
                Exit::Transient,
                "The provider could not be reached or answered with an error. Try again.",
            ),
            SignInFailure::RetrySignIn => (
                Exit::Transient,
                "Nobody knows how the sign-in ended. Try again; that is safe.",
            ),
            SignInFailure::OperatorNeeded => (
                Exit::Denied,
                "hubkey cannot read any more whose this account is, since a key was taken out. The operator of this \
                 JupyterHub was told, and has to act before you try again.",
            ),
            SignInFailure::ProviderMisbehaved => (
                Exit::Denied,
                "What the provider sent broke a rule of the protocol. Tell the operator of this JupyterHub, who finds \
                 the reason in the audit stream.",
            ),
            SignInFailure::AnswerTooLong => (
                Exit::Denied,
                "What came back from the provider was longer than hubkey takes. Tell the operator of this JupyterHub, who \
                 finds what it was in the audit stream.",
            ),
            SignInFailure::ProviderMisconfigured => (
                Exit::Denied,
                "The provider refuses hubkey's registration or request. Tell the operator of this JupyterHub.",
            ),
        };
        Self::new(exit, said)
    }
}

fn advice(distrust: Distrust) -> &'static str {
    match distrust {
        Distrust::UnknownAuthority => {
            "Ask the operator of this JupyterHub to give hubkey.hub.configure a ca_file (HUBKEY_CA_FILE)."
        }
        Distrust::OtherName => {
            "Ask the operator of this JupyterHub for a certificate that names the host of HUBKEY_URL."
        }
        Distrust::OutOfTime => {
            "Tell the operator of this JupyterHub that the certificate has to be renewed."
        }
        Distrust::NoTls => {
            "Ask the operator of this JupyterHub to correct HUBKEY_URL: https is not what is spoken there."
        }
        Distrust::Other => "Tell the operator of this JupyterHub.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_those_of_the_contract() {
        let code = |code| Exit::of_code(code).code();
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
