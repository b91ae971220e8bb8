//! What follows from a failure: for a person, for a script, for a program in Python.

/// What the person in front can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// Begin the sign-in again, at once.
    TryAgain,
    /// Begin it again a little later.
    TryLater,
    /// Do what the sentence says, then begin it again.
    ActFirst,
    /// Nothing: the operator has to act, and finds the case by the reference.
    TellOperator,
    /// Wait: the operator has to act, and was told.
    AwaitOperator,
}

impl Remedy {
    /// What a cell says after what happened.
    #[must_use]
    pub fn in_cell(self) -> String {
        self.sentence("cell")
    }

    /// What the command says after what happened.
    #[must_use]
    pub fn in_command(self) -> String {
        self.sentence("command")
    }

    /// `place` is what a person runs again.
    fn sentence(self, place: &str) -> String {
        match self {
            Self::TryAgain => format!("Run the {place} again for a new link."),
            Self::TryLater => {
                format!("Wait a few minutes, then run the {place} again for a new link.")
            }
            Self::ActFirst => format!("Then run the {place} again for a new link."),
            Self::TellOperator => format!(
                "Tell the operator of this JupyterHub; running the {place} again does not help before."
            ),
            Self::AwaitOperator => format!(
                "The operator of this JupyterHub was told. Run the {place} again when they have acted."
            ),
        }
    }
}

/// The exit codes of the command, the same for every verb. A program that `hubkey exec` starts has its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Something here failed: a file, a program. 1
    Failed,
    /// The command line or the environment is wrong, or the broker is not trusted. 2
    Usage,
    /// A person has to sign in. 3
    SignIn,
    /// The same command may succeed a little later. 4
    Transient,
    /// Refused: by the person, the provider or a policy. 5
    Denied,
}

impl Exit {
    /// The number.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::SignIn => 3,
            Self::Transient => 4,
            Self::Denied => 5,
        }
    }
}

/// The class of the exception that Python raises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PythonException {
    /// The base of all.
    HubkeyError,
    /// Settings are missing or wrong, or the broker is not believed.
    ConfigurationError,
    /// The argument of this name has a value that cannot work.
    InvalidArgument(&'static str),
    /// The same call may succeed a little later.
    BrokerUnavailable,
    /// The operator or the provider has to change something.
    AccessRefused,
    /// There is no usable connection.
    SignInRequired,
    /// The person or the provider refused.
    SignInDenied,
    /// The sign-in ended by a fault.
    SignInFailed,
}

impl PythonException {
    /// The name of the class in the package `hubkey`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::HubkeyError => "HubkeyError",
            Self::ConfigurationError => "ConfigurationError",
            Self::InvalidArgument(_) => "InvalidArgument",
            Self::BrokerUnavailable => "BrokerUnavailable",
            Self::AccessRefused => "AccessRefused",
            Self::SignInRequired => "SignInRequired",
            Self::SignInDenied => "SignInDenied",
            Self::SignInFailed => "SignInFailed",
        }
    }

    /// The argument that it is about.
    #[must_use]
    pub const fn argument(self) -> Option<&'static str> {
        match self {
            Self::InvalidArgument(name) => Some(name),
            Self::HubkeyError
            | Self::ConfigurationError
            | Self::BrokerUnavailable
            | Self::AccessRefused
            | Self::SignInRequired
            | Self::SignInDenied
            | Self::SignInFailed => None,
        }
    }
}
