//! What a command asks the broker: connections that exist, and the sign-in of a person where there is none.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io::{self, IsTerminal as _},
    time::Duration,
};

use hubkey_broker_client::BrokerClient;
use hubkey_protocol::{
    AccessTokenHash, Connection, CreateSignIn, CreateSignInAnswer, ErrorCode, ExchangeRequest,
    Provider, ProviderId, Scope, SignInOpened, SignInStatus, TokenAnswer, TokenRequest,
    failures::{DECLINED, Remedy},
    secret::{Secret as _, ServerToken},
};
use tokio::time::{Instant, timeout};

use crate::{
    Outcome, Then,
    arguments::{LogoutArguments, RequestArgs, TokenArgs},
    environment::{Environment, Settings},
    failure::{Exit, Failure, sentence},
    output,
    signals::{Signals, exit_of},
};

/// How long the broker may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long a command that is being ended waits for the broker to hear of it.
const FAREWELL: Duration = Duration::from_secs(3);
/// A sign-in that has ended says so at once; one that goes on is silent.
const GLANCE: Duration = Duration::from_millis(250);

/// A connection with one token of it.
pub(crate) struct Grant {
    pub(crate) connection: Connection,
    pub(crate) token: TokenAnswer,
    /// What the token was exchanged for; absent where it is the connection's own.
    pub(crate) exchange: Option<ExchangeRequest>,
}

impl Grant {
    fn own(connection: Connection, token: TokenAnswer) -> Self {
        Self {
            connection,
            token,
            exchange: None,
        }
    }

    /// Where the token may be sent.
    pub(crate) fn api_origins(&self) -> &[String] {
        match self.exchange {
            Some(_) => &self.token.api_origins,
            None => &self.connection.api_origins,
        }
    }
}

/// The broker, asked for this server.
pub(crate) struct Session {
    client: BrokerClient<ServerToken>,
    settings: Settings,
}

impl Session {
    /// Reads the environment; asks nobody yet.
    pub(crate) fn open(environment: &Environment) -> Result<Self, Failure> {
        let settings = environment.settings()?;
        let client = BrokerClient::new(&settings.destination, settings.token.clone())?;
        Ok(Self { client, settings })
    }

    /// A valid token: of a connection that exists, or of a sign-in, if somebody is there to click.
    pub(crate) async fn grant(&self, asked: &TokenArgs) -> Result<Grant, Failure> {
        let wish = &asked.sign_in;
        let waits = self.settings.interactive;
        let waits = waits.unwrap_or_else(|| io::stderr().is_terminal());
        let interactive = !wish.more.non_interactive && self.settings.interactive != Some(false);
        let grant = self.grant_or_sign_in(wish, waits, interactive).await?;
        let exchange = asked.exchange.message();
        self.wanted(Grant { exchange, ..grant }, wish.more.min_valid)
            .await
    }

    /// Says that a host rejected a token of this connection, if it is its newest. What comes of that is seen by whoever asks
    /// for a token next.
    pub(crate) async fn reject(&self, connection: &Connection, rejected: AccessTokenHash) {
        let wanted = TokenRequest::in_place_of(rejected);
        let (Ok(_) | Err(_)) = self.client.token(&connection.id, &wanted, in_time()).await;
    }

    /// Another token than this one, which an API rejected.
    pub(crate) async fn replace(
        &self,
        grant: Grant,
        rejected: AccessTokenHash,
    ) -> Result<Grant, Failure> {
        let wanted = TokenRequest::in_place_of(rejected);
        let token = self.requested_token(&grant, &wanted).await?;
        Ok(Grant { token, ..grant })
    }

    /// `hubkey login`
    pub(crate) async fn login(&self, wish: RequestArgs) -> Outcome {
        let grant = self
            .grant_or_sign_in(&wish, true, !wish.more.non_interactive)
            .await?;
        output::print_note(&format!(
            "Signed in to {}.",
            output::label(&grant.connection)
        ));
        Ok(Then::DONE)
    }

    /// `hubkey logout`
    pub(crate) async fn logout(&self, arguments: &LogoutArguments) -> Outcome {
        let mut ended = 0;
        let account = arguments.account.as_deref();
        let connections = self
            .connections(arguments.provider.as_ref(), account)
            .await?;
        for connection in connections {
            self.client.sign_out(&connection.id, in_time()).await?;
            output::print_note(&format!("Signed out of {}.", output::label(&connection)));
            ended += 1;
        }
        if ended == 0 {
            self.check_known(arguments.provider.as_ref()).await?;
            output::print_note("Nobody was signed in.");
        }
        Ok(Then::DONE)
    }

    /// The configured providers.
    pub(crate) async fn providers(&self) -> Result<Vec<Provider>, Failure> {
        Ok(self.client.providers(in_time()).await?)
    }

    /// Refuses a provider that is not configured: nobody is signed in there, but that is not what is wrong.
    pub(crate) async fn check_known(&self, provider: Option<&ProviderId>) -> Result<(), Failure> {
        let Some(provider) = provider else {
            return Ok(());
        };
        let known = self.providers().await?;
        if known.iter().any(|one| one.id == *provider) {
            return Ok(());
        }
        Err(Failure::unknown_provider(provider))
    }

    /// The connections of this server, newest first; of one provider and of one account, if they are named.
    pub(crate) async fn connections(
        &self,
        provider: Option<&ProviderId>,
        account: Option<&str>,
    ) -> Result<Vec<Connection>, Failure> {
        let mut connections = self.client.connections(in_time()).await?;
        connections.retain(|connection| {
            provider.is_none_or(|id| *id == connection.provider)
                && account.is_none_or(|name| connection.account.matches_name(name))
        });
        Ok(connections)
    }

    /// Another token of the same kind, out of the same connection.
    pub(crate) async fn access_token(
        &self,
        grant: &Grant,
        min_valid: u64,
    ) -> Result<TokenAnswer, Failure> {
        self.requested_token(grant, &TokenRequest::lasting(min_valid))
            .await
    }

    async fn requested_token(
        &self,
        grant: &Grant,
        wanted: &TokenRequest,
    ) -> Result<TokenAnswer, Failure> {
        let of = (&grant.connection.id, grant.exchange.as_ref());
        Ok(self.client.access_token(of, wanted, in_time()).await?)
    }

    /// The provider that a command without one means, if that is said.
    pub(crate) fn usual_provider(&self) -> Option<&ProviderId> {
        self.settings.provider.as_ref()
    }

    /// With the token that was asked for, where the first one of the connection is not it.
    async fn wanted(&self, grant: Grant, min_valid: Option<u64>) -> Result<Grant, Failure> {
        if grant.exchange.is_none() && min_valid.is_none() {
            return Ok(grant);
        }
        let token = self.access_token(&grant, min_valid.unwrap_or(0)).await?;
        Ok(Grant { token, ..grant })
    }

    async fn grant_or_sign_in(
        &self,
        wish: &RequestArgs,
        waits: bool,
        interactive: bool,
    ) -> Result<Grant, Failure> {
        let message = wish.message(self.usual_provider(), interactive);
        let key_of_it = key(&message, waits);
        let asked = self.client.create_sign_in(&message, &key_of_it, in_time());
        let opened = match asked.await {
            Ok(CreateSignInAnswer::Connected { connection, token }) => {
                return Ok(Grant::own(connection, token));
            }
            Ok(CreateSignInAnswer::Opened(opened)) => opened,
            Err(error) if error.code() == Some(ErrorCode::SignInRequired) => {
                return Err(Failure::sign_in_required(message.provider.as_ref()));
            }
            Err(error) => return Err(error.into()),
        };
        if waits {
            self.wait(&opened, wish.more.timeout).await
        } else {
            self.leave(opened, &message).await
        }
    }

    /// Shows the link and waits for the person. A signal that asks to end also ends the sign-in.
    async fn wait(&self, opened: &SignInOpened, limit: Option<Duration>) -> Result<Grant, Failure> {
        let mut signals = Signals::asking_to_end()?;
        let limit = limit.unwrap_or(self.settings.timeout);
        output::print_note(&invitation(opened, "This waits until you have come back."));
        tokio::select! {
            status = self.client.finished_sign_in(opened, Instant::now() + limit) => {
                self.settled(opened, status?).await
            }
            signal = signals.next() => {
                // A sign-in that could not be cancelled ends by itself.
                let _ = self.client.cancel(opened, Instant::now() + FAREWELL).await;
                Err(Failure::new(exit_of(signal), "Cancelled. The link is dead."))
            }
        }
    }

    /// Shows the link and does not wait. The same link again, for a minute, unless it is dead.
    async fn leave(&self, opened: SignInOpened, message: &CreateSignIn) -> Result<Grant, Failure> {
        let glance = self.client.sign_in_status(&opened, in_time());
        let opened = match timeout(GLANCE, glance).await {
            Err(_) | Ok(Ok(SignInStatus::Pending { .. })) => opened,
            Ok(Ok(SignInStatus::Connected { connection, token })) => {
                return Ok(Grant::own(connection, token));
            }
            Ok(_) => {
                let another = key(message, true);
                let asked = self.client.create_sign_in(message, &another, in_time());
                match asked.await? {
                    CreateSignInAnswer::Connected { connection, token } => {
                        return Ok(Grant::own(connection, token));
                    }
                    CreateSignInAnswer::Opened(opened) => opened,
                }
            }
        };
        let said = invitation(&opened, "Then run the command again.");
        Err(Failure::new(Exit::SignIn, said))
    }

    async fn settled(&self, opened: &SignInOpened, status: SignInStatus) -> Result<Grant, Failure> {
        match status {
            SignInStatus::Connected { connection, token } => {
                // The connection is there, whether or not the broker hears that we know.
                let _ = self
                    .client
                    .acknowledge(opened, Instant::now() + FAREWELL)
                    .await;
                Ok(Grant::own(connection, token))
            }
            SignInStatus::Pending { .. } => Err(Failure::new(
                Exit::SignIn,
                "Nobody has signed in yet. The link stays good for a while; run the command again afterwards.",
            )),
            SignInStatus::Denied => Err(Failure::new(
                Exit::Denied,
                sentence(&format!("{DECLINED} {}", Remedy::TryAgain.in_command())),
            )),
            SignInStatus::Expired => Err(Failure::new(
                Exit::SignIn,
                "Nobody signed in in time. Run the command again for a new link.",
            )),
            SignInStatus::Failed { reason, reference } => {
                Err(Failure::sign_in_failed(reason, &reference))
            }
        }
    }
}

fn in_time() -> Instant {
    Instant::now() + PATIENCE
}

/// By what a repeated request is known. Who waits may also cancel, so a sign-in of their own is opened; who does not
/// wait and asks again and again is given the same link.
fn key(message: &CreateSignIn, own: bool) -> String {
    if own {
        return format!("hubkey-{:032x}", fastrand::u128(..));
    }
    let mut hasher = DefaultHasher::new();
    serde_json::to_string(message)
        .unwrap_or_default()
        .hash(&mut hasher);
    format!("hubkey-command-{:016x}", hasher.finish())
}

fn invitation(opened: &SignInOpened, then: &str) -> String {
    let (name, user) = (
        output::plain(&opened.display_name),
        output::plain(&opened.user),
    );
    let link = output::plain(opened.sign_in_url.expose());
    let more = opened.more_scopes.as_ref().map_or(String::new(), |scopes| {
        let scopes: Vec<&str> = scopes.iter().map(Scope::as_str).collect();
        let scopes = scopes.join(", ");
        format!("{name} is connected. To do more, it needs your word for: {scopes}\n")
    });
    let cause = opened.cause.map_or(String::new(), |cause| {
        let (before, after) = cause.on_the_card();
        format!("{before}{name}{after}\n")
    });
    format!(
        "{cause}{more}Sign in to {name} as the hub user {user}. Open this link in your browser:\n\n  {link}\n\n{then}"
    )
}
