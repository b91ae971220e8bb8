//! What can be said on the command line. The help, the completions, the manual and docs/reference/command-line.md come from here.

#![expect(
    clippy::doc_markdown,
    reason = "these comments are what people read in a terminal, where backticks are noise"
)]

use std::{ffi::OsString, path::PathBuf, time::Duration};

use clap::{ArgGroup, Args, Parser, Subcommand};
use clap_complete::Shell;
use hubkey_protocol::{CreateSignIn, ExchangeRequest, ProviderId, Scope};
use url::Url;

/// Access tokens of the person in front of this JupyterHub server, for any language and any tool
#[derive(Debug, Parser)]
#[command(name = "hubkey", version, after_long_help = EXIT_CODES, arg_required_else_help = true)]
pub(crate) struct CommandLine {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Each line is indented: a manual page would fill a paragraph with the others.
const EXIT_CODES: &str = "\
Exit codes:
    0  done; what was asked for is on standard output
    1  something here failed: a file, a program
    2  the command line or the environment is wrong
    3  a person has to sign in; the link is on standard error
    4  broker, hub or provider did not answer; try again later
    5  refused: by the person, the provider or a policy
  130  ended by Ctrl-C (128 and the number of the signal)
  `exec` ends with the exit code of the program that it ran.

Environment (set by the hub in every server):
  HUBKEY_URL            where the broker is
  HUBKEY_CA_FILE        authorities to trust beside the system's (PEM)
  JUPYTERHUB_API_TOKEN  the server's own token, its proof of identity

Environment (if you like):
  HUBKEY_PROVIDER       the provider of commands that name none
  HUBKEY_INTERACTIVE    0: never show a link; 1: show it and wait;
                        else: wait if standard error is a terminal
  HUBKEY_TIMEOUT        how many seconds to wait for the person (300)";

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Print an access token, and nothing else, on standard output
    ///
    /// Without a terminal this never waits: if nobody is signed in, the link is on standard error and the exit code is
    /// 3. Open the link, sign in, and run the command again. In a terminal it waits for you.
    Token(TokenArguments),
    /// Sign in: show the link and wait until you have come back
    ///
    /// Ctrl-C cancels the sign-in, and its link is dead from then on. If you are signed in already, nothing happens.
    Login(RequestArgs),
    /// List the providers, and who is signed in there from this server
    List(Format),
    /// Show the connections without their tokens: provider, account, scopes, when the token ends
    Status(Which),
    /// End the connections with a provider: they are forgotten, and revoked at the provider
    Logout(LogoutArguments),
    /// Run a program with a token in a variable of its environment, or in a private file
    ///
    /// A variable is a copy: it ends when the token ends, every program that this one starts gets it too, and other
    /// processes of yours can read it in /proc. With --file the program gets the path of a file that only you can
    /// read, holds a fresh token as long as the program runs, and is removed afterwards. Prefer it where the program
    /// can read files. Signals are passed on, and the exit code is the program's.
    Exec(ExecArguments),
    /// Print an HTTP header, for `curl --header @-`
    Header(HeaderArguments),
    /// Print a shell command that sets a variable, for `eval`
    ///
    /// The variable is a copy that ends when the token ends. `hubkey token` at each use does not.
    Env(EnvArguments),
    /// Speak the protocol by which a tool asks for credentials
    Credential {
        /// Whose protocol
        #[command(subcommand)]
        dialect: Dialect,
    },
    /// Keep a fresh token in a file until this command is ended
    ///
    /// Only you can read the file. It holds the token and nothing else, is replaced in one step, and is removed when
    /// the command ends. Replace means rename: who watches the file has to open it anew.
    ServeFile(ServeFileArguments),
    /// Check, step by step, what a token needs, and say what to do where something is wrong
    Doctor,
    /// Print the completions of a shell
    Completions {
        /// Which shell
        shell: Shell,
    },
    /// Print the manual page of hubkey, or of one of its commands
    Man {
        /// Which command, such as `exec` or `credential git`
        command: Vec<String>,
    },
    /// Print the reference of all commands, as Markdown
    #[command(hide = true)]
    Reference,
}

/// What is asked for.
#[derive(Debug, Clone, Args)]
pub(crate) struct RequestArgs {
    /// The provider, as in `hubkey list`; may be left out where there is only one
    #[arg(value_name = "NAME", value_parser = provider)]
    pub(crate) provider: Option<ProviderId>,
    #[command(flatten)]
    pub(crate) more: RequestOptions,
}

/// What is asked for, beside the provider.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct RequestOptions {
    /// A scope to ask for, in place of the provider's usual ones; may be repeated
    #[arg(long = "scope", short = 's', value_name = "SCOPE", value_parser = scope)]
    pub(crate) scopes: Vec<Scope>,
    /// An audience that the operator allows
    #[arg(long, value_name = "NAME")]
    pub(crate) audience: Option<String>,
    /// A resource (RFC 8707) that the operator allows
    #[arg(long, value_name = "URL")]
    pub(crate) resource: Option<String>,
    /// Whose account, where you are signed in with several: its id, e-mail address or name
    #[arg(long, value_name = "ACCOUNT")]
    pub(crate) account: Option<String>,
    /// The token must be valid for at least so many seconds more
    #[arg(long, value_name = "SECONDS", value_parser = whole_seconds, allow_negative_numbers = true)]
    pub(crate) min_valid: Option<u64>,
    /// How many seconds to wait for the person
    #[arg(long, value_name = "SECONDS", value_parser = seconds, allow_negative_numbers = true)]
    pub(crate) timeout: Option<Duration>,
    /// Open no sign-in: without a connection the exit code is 3, and no link is shown
    #[arg(long)]
    pub(crate) non_interactive: bool,
}

impl RequestArgs {
    /// What the broker is asked.
    pub(crate) fn message(&self, usual: Option<&ProviderId>, interactive: bool) -> CreateSignIn {
        let more = &self.more;
        CreateSignIn {
            provider: self.provider.as_ref().or(usual).cloned(),
            scopes: (!more.scopes.is_empty()).then(|| more.scopes.iter().cloned().collect()),
            audience: more.audience.clone(),
            resource: more.resource.clone(),
            account: more.account.clone(),
            interactive,
        }
    }
}

/// What a token is exchanged for (RFC 8693).
#[derive(Debug, Clone, Default, Args)]
#[command(group(ArgGroup::new("target").multiple(true)))]
pub(crate) struct Exchange {
    /// Give a token of this other API, for which yours is exchanged; the operator lists what can be asked for
    #[arg(
        id = "exchange_audience",
        long = "exchange",
        value_name = "API",
        group = "target"
    )]
    pub(crate) audience: Option<String>,
    /// Exchange it for a token of this resource (RFC 8707)
    #[arg(
        id = "exchange_resource",
        long = "exchange-resource",
        value_name = "URL",
        group = "target"
    )]
    pub(crate) resource: Option<String>,
    /// Exchange it for the token of a provider behind this one
    #[arg(
        id = "exchange_issuer",
        long = "exchange-issuer",
        value_name = "NAME",
        group = "target"
    )]
    pub(crate) issuer: Option<String>,
    /// A scope that the exchanged token has to have; may be repeated
    #[arg(id = "exchange_scopes", long = "exchange-scope", value_name = "SCOPE", value_parser = scope, requires = "target")]
    pub(crate) scopes: Vec<Scope>,
}

impl Exchange {
    /// What the broker is asked; nothing if the connection's own token is wanted.
    pub(crate) fn message(&self) -> Option<ExchangeRequest> {
        let scopes = &self.scopes;
        let message = ExchangeRequest {
            audience: self.audience.clone(),
            resource: self.resource.clone(),
            scopes: (!scopes.is_empty()).then(|| scopes.iter().cloned().collect()),
            requested_issuer: self.issuer.clone(),
            ..ExchangeRequest::default()
        };
        let targets = [&self.audience, &self.resource, &self.issuer];
        targets
            .iter()
            .any(|target| target.is_some())
            .then_some(message)
    }
}

/// What token is asked for.
#[derive(Debug, Clone, Args)]
pub(crate) struct TokenArgs {
    #[command(flatten)]
    pub(crate) sign_in: RequestArgs,
    #[command(flatten)]
    pub(crate) exchange: Exchange,
}

/// Of `token`.
#[derive(Debug, Args)]
pub(crate) struct TokenArguments {
    #[command(flatten)]
    pub(crate) wish: TokenArgs,
    /// Print a JSON object: access_token, token_type, expires_at, expires_in, scope
    #[arg(long)]
    pub(crate) json: bool,
    /// Print another token than the one on standard input, which an API rejected
    #[arg(long)]
    pub(crate) rejected: bool,
    #[command(flatten)]
    pub(crate) destination: Addressee,
}

/// Where a token shall go.
#[derive(Debug, Args)]
pub(crate) struct Addressee {
    /// Refuse (exit code 5) unless the operator allows the token to be sent to this address
    #[arg(long = "for", value_name = "URL", value_parser = address)]
    pub(crate) url: Option<Url>,
}

/// Of `header`.
#[derive(Debug, Args)]
pub(crate) struct HeaderArguments {
    #[command(flatten)]
    pub(crate) wish: TokenArgs,
    #[command(flatten)]
    pub(crate) destination: Addressee,
}

/// Of `env`.
#[derive(Debug, Args)]
pub(crate) struct EnvArguments {
    #[command(flatten)]
    pub(crate) wish: TokenArgs,
    /// The variable
    #[arg(long = "name", value_name = "VARIABLE", default_value = "BEARER_TOKEN", value_parser = variable)]
    pub(crate) variable: String,
}

/// Of `list`.
#[derive(Debug, Args)]
pub(crate) struct Format {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Of `status`.
#[derive(Debug, Args)]
pub(crate) struct Which {
    /// The provider; without it, every connection of this server
    #[arg(value_name = "NAME", value_parser = provider)]
    pub(crate) provider: Option<ProviderId>,
    /// Only those of this account: its id, e-mail address or name
    #[arg(long, value_name = "ACCOUNT")]
    pub(crate) account: Option<String>,
    #[command(flatten)]
    pub(crate) format: Format,
}

/// Of `logout`.
#[derive(Debug, Args)]
pub(crate) struct LogoutArguments {
    /// The provider
    #[arg(value_name = "NAME", value_parser = provider, required_unless_present = "all")]
    pub(crate) provider: Option<ProviderId>,
    /// Only those of this account: its id, e-mail address or name
    #[arg(long, value_name = "ACCOUNT")]
    pub(crate) account: Option<String>,
    /// End all connections of this server
    #[arg(long, conflicts_with_all = ["provider", "account"])]
    pub(crate) all: bool,
}

/// Of `exec`.
#[derive(Debug, Args)]
pub(crate) struct ExecArguments {
    #[command(flatten)]
    pub(crate) wish: TokenArgs,
    /// The variable that holds the token (BEARER_TOKEN, if neither this nor --file is given)
    #[arg(long, value_name = "VARIABLE", value_parser = variable)]
    pub(crate) env: Option<String>,
    /// The variable that holds the path of a file with a fresh token, such as BEARER_TOKEN_FILE or
    /// AWS_WEB_IDENTITY_TOKEN_FILE
    #[arg(long, value_name = "VARIABLE", value_parser = variable)]
    pub(crate) file: Option<String>,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "PROGRAM")]
    pub(crate) program: Vec<OsString>,
}

/// Of `serve-file`.
#[derive(Debug, Args)]
pub(crate) struct ServeFileArguments {
    /// The file. Its folder must exist
    pub(crate) path: PathBuf,
    #[command(flatten)]
    pub(crate) wish: TokenArgs,
}

/// The protocols by which tools ask for credentials.
#[derive(Debug, Subcommand)]
pub(crate) enum Dialect {
    /// git: `git config --global credential.https://git.lab.example.helper '!hubkey credential git'`
    ///
    /// Answers only for hosts that the operator listed as API origins of a provider. git keeps nothing: it asks each
    /// time.
    Git(GitArguments),
    /// kubectl and other Kubernetes clients: an ExecCredential (client.authentication.k8s.io/v1)
    ///
    /// In the kubeconfig: `users[].user.exec` with apiVersion client.authentication.k8s.io/v1, command hubkey, args
    /// [credential, kubectl, NAME], interactiveMode IfAvailable, provideClusterInfo true. With the cluster's address
    /// known, the token is given only if the operator allows it to be sent there.
    Kubectl(TokenArgs),
    /// Google's libraries: executable-sourced credentials of a workload identity pool
    ///
    /// In the credential configuration: `credential_source.executable.command` is "hubkey credential google NAME". The
    /// libraries ask for GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES=1.
    Google(TokenArgs),
    /// AWS: a profile whose SDKs exchange the token of a file by AssumeRoleWithWebIdentity
    ///
    /// Prints lines for ~/.aws/config, which hold no secret. The file is kept by `hubkey serve-file`. For one program,
    /// `hubkey exec NAME --file AWS_WEB_IDENTITY_TOKEN_FILE -- …` with AWS_ROLE_ARN in the environment does without.
    Aws(AwsArguments),
}

/// Of `credential git`.
#[derive(Debug, Args)]
pub(crate) struct GitArguments {
    /// What git wants; only `get` does something
    #[arg(value_name = "OPERATION")]
    pub(crate) operation: String,
    /// The provider; without it, the one that lists the host
    #[arg(long, value_name = "NAME", value_parser = provider)]
    pub(crate) provider: Option<ProviderId>,
    /// The user name beside the token; GitLab wants oauth2, GitHub x-access-token, others take any
    #[arg(long, value_name = "NAME", default_value = "oauth2")]
    pub(crate) username: String,
    /// Send `Authorization: Bearer`, where git can (2.46 and later), in place of user name and password
    #[arg(long)]
    pub(crate) bearer: bool,
    #[command(flatten)]
    pub(crate) more: RequestOptions,
}

/// Of `credential aws`.
#[derive(Debug, Args)]
pub(crate) struct AwsArguments {
    /// The provider
    #[arg(value_name = "NAME", value_parser = provider)]
    pub(crate) provider: ProviderId,
    /// The role to assume
    #[arg(long, value_name = "ARN")]
    pub(crate) role_arn: String,
    /// The file that `hubkey serve-file` keeps
    #[arg(long, value_name = "PATH")]
    pub(crate) token_file: PathBuf,
    /// The profile; its name is the provider's if left out
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Option<String>,
}

fn provider(text: &str) -> Result<ProviderId, String> {
    ProviderId::parse(text).map_err(|error| error.to_string())
}

fn scope(text: &str) -> Result<Scope, String> {
    Scope::parse(text).map_err(|error| error.to_string())
}

fn address(text: &str) -> Result<Url, String> {
    Url::parse(text).map_err(|_| "expected a whole URL, such as https://api.lab.example".to_owned())
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().filter(|seconds| *seconds > 0.0);
    seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| "expected a number of seconds, more than 0".to_owned())
}

fn whole_seconds(text: &str) -> Result<u64, String> {
    text.parse()
        .map_err(|_| "expected a whole number of seconds, 0 or more".to_owned())
}

fn variable(text: &str) -> Result<String, String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let named = !text.is_empty() && !text.as_bytes()[0].is_ascii_digit() && text.bytes().all(plain);
    named
        .then(|| text.to_owned())
        .ok_or_else(|| "expected letters, digits and _, beginning with no digit".to_owned())
}

/// What a refused command line may have meant.
pub(crate) fn tip(line: &[OsString]) -> Option<&'static str> {
    let runs = line.get(1).is_some_and(|command| command == "exec");
    (runs && !line.iter().any(|word| word == "--"))
        .then_some("The program stands behind two dashes: hubkey exec NAME -- PROGRAM …")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn a_variable_is_a_name_and_no_shell_code() {
        assert!(variable("BEARER_TOKEN").is_ok());
        for text in ["", "1A", "A;rm", "A=B", "ä"] {
            assert!(variable(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_program_without_dashes_is_told_where_it_stands() {
        let told = |line: &str| {
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            assert!(CommandLine::try_parse_from(&words).is_err(), "{line}");
            tip(&words).is_some()
        };
        assert!(told("hubkey exec lab-api curl -s"));
        assert!(told("hubkey exec"));
        assert!(!told("hubkey exec --frob lab-api -- curl"));
        assert!(!told("hubkey token lab-api curl"));
    }

    #[test]
    fn a_wrong_value_is_told_in_plain_words() {
        for (line, told) in [
            (
                "hubkey token --min-valid -1",
                "a whole number of seconds, 0 or more",
            ),
            (
                "hubkey token --timeout -1",
                "a number of seconds, more than 0",
            ),
            ("hubkey token --for lab", "a whole URL, such as"),
        ] {
            let refusal = CommandLine::try_parse_from(line.split(' ')).unwrap_err();
            let said = refusal.to_string();
            assert!(said.contains(told), "{line}: {said}");
            assert_eq!(refusal.exit_code(), 2);
        }
    }

    #[test]
    fn what_follows_the_dashes_is_the_program() {
        let line = [
            "hubkey", "exec", "lab-api", "--env", "T", "--", "curl", "-s", "--env",
        ];
        let Command::Exec(arguments) = CommandLine::try_parse_from(line).unwrap().command else {
            panic!("another command");
        };
        assert_eq!(arguments.program, ["curl", "-s", "--env"]);
        assert_eq!(arguments.env.as_deref(), Some("T"));
    }
}
