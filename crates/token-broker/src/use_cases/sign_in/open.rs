//! A kernel asks for a connection: an existing one that fits, or a new sign-in.

use std::sync::Arc;

use hubkey_domain::{
    clock::{Clock, Timestamp},
    connection::Connection,
    flow::TicketRecord,
    identity::{HubUser, ServerIdentity},
    provider::ConnectionScope,
    random::RandomSource,
    sign_in::{SignIn, SignInState},
    user_index::{OpenSignIn, UserIndex},
};
use hubkey_protocol::{
    CreateSignIn, CreateSignInAnswer, SignInCause, SignInOpened,
    secret::{Secret, SecretUrl, Ticket},
};
use hubkey_service::telemetry::traces;
use hubkey_store::keys::LookupMacKey;
use hubkey_store::{
    Change, Expect, Key, Outcome, Purpose, Store, StoreError,
    typed::{Found, Loaded, Stored, TypedStore},
};
use serde::{Deserialize, Serialize};

use crate::{
    audit::{Event, EventKind, hex},
    hub::Freshness,
    use_cases::{
        base::Base,
        common::Common,
        connect_span::ConnectSpans,
        connections::sharing::ConnectionSharing,
        failure::KernelFailure,
        providers::Providers,
        records::{
            Records,
            sign_ins::SignInRecords,
            user_indexes::{IDEMPOTENCY_RETENTION, UserIndexes},
        },
        rules::Rules,
        server_authentication::{KernelCredentials, ServerAuthentication},
        sign_in::{
            own::OwnSignIns,
            request_policy::{self, ProviderRequest},
            shared_servers::SharedServerPolicy,
            step_up::StepUp,
        },
        tokens::ensure_valid::ValidTokens,
    },
};

/// How often a commit is tried against concurrent ones of the same hub user.
const MAX_ATTEMPTS: usize = 8;

/// The answer to a request that may come again.
#[derive(Debug, Serialize, Deserialize)]
struct IdempotencyRecord {
    /// Of the request.
    request: [u8; 32],
    answer: SignInOpened,
}

impl Stored for IdempotencyRecord {
    const PURPOSE: Purpose = Purpose::Idempotency;
}

impl IdempotencyRecord {
    /// The same answer again, to the same request.
    fn answer_to(self, idempotency: &IdempotencyKey) -> Result<SignInOpened, KernelFailure> {
        if self.request == idempotency.request {
            Ok(self.answer)
        } else {
            Err(KernelFailure::KeyReused)
        }
    }
}

struct NewSignIn {
    kernel: ServerIdentity,
    requested: ProviderRequest,
    shared_server: bool,
    cause: Option<SignInCause>,
}

/// A connection with a token; else why there is none, where there is a connection.
type Existing = Result<Arc<Connection>, Option<SignInCause>>;

struct PreparedSignIn {
    sign_in: SignIn,
    opened: SignInOpened,
    ticket: Ticket,
}

/// How a request enters its user's index.
pub(crate) enum IndexEntry {
    /// It came before, and was answered so.
    Earlier(SignInOpened),
    /// By these changes.
    New(Vec<Change>),
}

/// A request that may come again, by its idempotency key.
struct IdempotencyKey {
    key: Key,
    request: [u8; 32],
}

/// Answers with a connection, or opens a sign-in.
#[derive(Debug)]
pub struct SignInRequests {
    store: Arc<dyn Store>,
    providers: Arc<Providers>,
    clock: Arc<dyn Clock>,
    chance: Arc<dyn RandomSource>,
    lookup_mac_key: LookupMacKey,
    rules: Arc<Rules>,
    connect_spans: Arc<ConnectSpans>,
    indexes: Arc<UserIndexes>,
    own_sign_ins: Arc<OwnSignIns>,
    servers: Arc<ServerAuthentication>,
    shared_servers: Arc<SharedServerPolicy>,
    sharing: Arc<ConnectionSharing>,
    sign_ins: Arc<SignInRecords>,
    step_up: StepUp,
    valid_tokens: Arc<ValidTokens>,
}

impl SignInRequests {
    pub(crate) fn new(
        base: &Base,
        records: &Records,
        common: &Common,
        sharing: &Arc<ConnectionSharing>,
        valid_tokens: &Arc<ValidTokens>,
    ) -> Self {
        Self {
            store: Arc::clone(&base.store),
            providers: Arc::clone(&base.providers),
            clock: Arc::clone(&base.clock),
            chance: Arc::clone(&base.chance),
            lookup_mac_key: base.lookup_mac_key.clone(),
            rules: Arc::clone(&base.rules),
            connect_spans: Arc::clone(&common.connect_spans),
            indexes: Arc::clone(&records.indexes),
            own_sign_ins: Arc::clone(&common.own_sign_ins),
            servers: Arc::clone(&common.servers),
            shared_servers: Arc::clone(&common.shared_servers),
            sharing: Arc::clone(sharing),
            sign_ins: Arc::clone(&records.sign_ins),
            step_up: StepUp::new(base),
            valid_tokens: Arc::clone(valid_tokens),
        }
    }

    /// Answers with a connection of this very server token, or opens a sign-in.
    pub async fn create_sign_in(
        self: &Arc<Self>,
        credentials: &KernelCredentials,
        request: &CreateSignIn,
        idempotency_key: Option<&str>,
    ) -> Result<CreateSignInAnswer, KernelFailure> {
        let kernel = self
            .servers
            .authenticate(credentials, Freshness::Fresh)
            .await?;
        let requested = request_policy::requested(&self.providers, request).inspect_err(|_| {
            Event::new()
                .kernel(&kernel)
                .reason("wish_refused")
                .emit(EventKind::PolicyDenied);
        })?;
        let index = self.indexes.load(&kernel.user).await?;
        let cause = match self
            .find_connection(&kernel, &requested, index.as_ref())
            .await?
        {
            Ok(connection) => {
                self.connect_spans
                    .export_short_connect(&connection.provider, "existing");
                let now = self.clock.now();
                return Ok(connected(&connection, &kernel, &requested, now));
            }
            Err(cause) => cause,
        };
        if !request.interactive {
            self.connect_spans
                .export_short_connect(&requested.provider.config().id, "sign_in_required");
            return Err(KernelFailure::SignInRequired(cause));
        }
        let idempotency = idempotency_key.map(|key| self.idempotency(&kernel, request, key));
        let earlier = self.check_limits(index.as_ref(), idempotency.as_ref());
        if let Some(earlier) = earlier.await? {
            return Ok(CreateSignInAnswer::Opened(earlier));
        }
        let shared_server = self.shared_servers.check(&kernel).await?;
        let requested = self
            .step_up
            .apply(&kernel, requested, index.as_ref())
            .await?;
        let new_sign_in = NewSignIn {
            kernel,
            requested,
            shared_server,
            cause,
        };
        Ok(CreateSignInAnswer::Opened(
            self.open(new_sign_in, idempotency).await?,
        ))
    }

    /// Where no more sign-ins may be opened, the Hub is asked nothing: there is an earlier answer, or too many are open.
    async fn check_limits(
        &self,
        index: Option<&Loaded<UserIndex>>,
        idempotency: Option<&IdempotencyKey>,
    ) -> Result<Option<SignInOpened>, KernelFailure> {
        let (now, limits) = (self.clock.now(), self.rules.open);
        let Some(Err(limit)) = index.map(|index| index.value.room(now, limits)) else {
            return Ok(None);
        };
        let Some(idempotency) = idempotency else {
            return Err(KernelFailure::TooMany(limit));
        };
        let earlier: Found<IdempotencyRecord> = self.store.load(&idempotency.key).await?;
        match earlier {
            Some(earlier) => earlier.value.answer_to(idempotency).map(Some),
            None => Err(KernelFailure::TooMany(limit)),
        }
    }

    /// A connection of this server, or one that another server of its user shares with it; else why those of this server
    /// give no token, where there are some.
    async fn find_connection(
        self: &Arc<Self>,
        kernel: &ServerIdentity,
        requested: &ProviderRequest,
        index: Option<&Loaded<UserIndex>>,
    ) -> Result<Existing, KernelFailure> {
        match self.own_connection(kernel, requested, index).await? {
            Err(cause) => {
                let others = self
                    .sharing
                    .of_another_server(kernel, requested, index)
                    .await?;
                Ok(others.ok_or(cause))
            }
            found => Ok(found),
        }
    }

    /// The newest connection of this very server token that is what is asked for and has a token, or gets one.
    async fn own_connection(
        self: &Arc<Self>,
        kernel: &ServerIdentity,
        requested: &ProviderRequest,
        index: Option<&Loaded<UserIndex>>,
    ) -> Result<Existing, KernelFailure> {
        let (Some(index), ConnectionScope::Server | ConnectionScope::User) =
            (index, requested.provider.config().connection_scope)
        else {
            return Ok(Err(None));
        };
        let mut newest = None;
        for entry in index.value.connections_of(kernel) {
            let Some(found) = self
                .store
                .load::<Connection>(&Key::connection(&entry.id))
                .await?
            else {
                continue;
            };
            let connection = &found.value;
            if !connection.is_of(kernel)
                || !connection.satisfies(&requested.provider.config().id, &requested.wish)
            {
                continue;
            }
            match self.valid_tokens.ensure_usable(found).await? {
                Ok(connection) => return Ok(Ok(connection)),
                Err(cause) => newest = newest.or(Some(cause)),
            }
        }
        Ok(Err(newest))
    }

    fn idempotency(
        &self,
        kernel: &ServerIdentity,
        request: &CreateSignIn,
        key: &str,
    ) -> IdempotencyKey {
        let fingerprint = hex(kernel.fingerprint.as_bytes());
        let request = serde_json::to_vec(request).unwrap_or_default();
        IdempotencyKey {
            key: Key::idempotency(&kernel.user, &fingerprint, key),
            request: self.lookup_mac_key.hash("request", &request),
        }
    }

    /// Opens a sign-in: first its own records, which nobody knows of yet, then the entry in its user's index, which
    /// counts. A crash between leaves records that end by themselves, and never an answer without a sign-in.
    async fn open(
        &self,
        new_sign_in: NewSignIn,
        idempotency: Option<IdempotencyKey>,
    ) -> Result<SignInOpened, KernelFailure> {
        let prepared = self.prepare(new_sign_in);
        let mut entry = self.index_entry(&prepared, idempotency.as_ref()).await?;
        if let IndexEntry::New(_) = entry {
            self.write_records(&prepared).await?;
        }
        for _ in 0..MAX_ATTEMPTS {
            match entry {
                IndexEntry::Earlier(opened) => return Ok(opened),
                IndexEntry::New(changes) => {
                    if self.store.commit(changes).await? == Outcome::Done {
                        audit_started(&prepared.sign_in);
                        return Ok(prepared.opened);
                    }
                }
            }
            entry = self.index_entry(&prepared, idempotency.as_ref()).await?;
        }
        Err(KernelFailure::Contended)
    }

    /// Writes the sign-in and its ticket.
    async fn write_records(&self, prepared: &PreparedSignIn) -> Result<(), KernelFailure> {
        let sign_in = &prepared.sign_in;
        let nonce = &sign_in.nonce;
        let life = self.sign_ins.lifetime_until(sign_in.expires_at);
        let ticket = TicketRecord {
            nonce: nonce.clone(),
        };
        let changes = vec![
            Change::put(Key::sign_in(nonce), Expect::Absent, sign_in, life)?,
            Change::put(
                Key::ticket(&nonce.short(), &prepared.ticket),
                Expect::Absent,
                &ticket,
                self.rules.sign_in_lifetime,
            )?,
        ];
        match self.store.commit(changes).await? {
            Outcome::Done => Ok(()),
            Outcome::Conflict => Err(KernelFailure::Contended),
        }
    }

    fn prepare(&self, new_sign_in: NewSignIn) -> PreparedSignIn {
        let NewSignIn {
            kernel,
            requested,
            shared_server,
            cause,
        } = new_sign_in;
        let now = self.clock.now();
        let chance = &self.chance;
        let short = chance.short_id();
        let ticket = chance.ticket(&short);
        let poll_secret = chance.poll_secret();
        let config = requested.provider.config();
        let opened = SignInOpened {
            nonce: chance.nonce(&short),
            poll_secret: poll_secret.clone(),
            sign_in_url: SecretUrl::new(format!(
                "{}/start/{}",
                self.rules.public_url,
                ticket.expose()
            )),
            expires_in: self.rules.sign_in_lifetime.as_secs(),
            provider: config.id.clone(),
            display_name: config.display_name.clone(),
            user: kernel.user.as_str().to_owned(),
            more_scopes: requested.more_scopes,
            cause,
        };
        let sign_in = SignIn {
            nonce: opened.nonce.clone(),
            kernel,
            provider: config.id.clone(),
            wish: requested.wish,
            login_hint: requested.login_hint,
            poll_secret: self.own_sign_ins.poll_secret_hash(&poll_secret),
            shared_server,
            asked_at: now,
            expires_at: now.after(self.rules.sign_in_lifetime),
            span: traces::sign_in_span(),
            state: SignInState::Created,
        };
        PreparedSignIn {
            sign_in,
            opened,
            ticket,
        }
    }

    /// What notes the sign-in in its user's index, within the limits; the earlier sign-in where the request came
    /// before.
    async fn index_entry(
        &self,
        prepared: &PreparedSignIn,
        idempotency: Option<&IdempotencyKey>,
    ) -> Result<IndexEntry, KernelFailure> {
        let user = &prepared.sign_in.kernel.user;
        let (index, earlier) = self.read_index(user, idempotency).await?;
        match (earlier, idempotency) {
            (Some(earlier), Some(idempotency)) => {
                Ok(IndexEntry::Earlier(earlier.value.answer_to(idempotency)?))
            }
            (Some(_), None) => Err(KernelFailure::KeyReused),
            (None, idempotency) => Ok(IndexEntry::New(self.changes(
                prepared,
                index,
                idempotency,
            )?)),
        }
    }

    async fn read_index(
        &self,
        user: &HubUser,
        idempotency: Option<&IdempotencyKey>,
    ) -> Result<(Found<UserIndex>, Found<IdempotencyRecord>), StoreError> {
        let index = Key::user_index(user);
        match idempotency {
            Some(idempotency) => self.store.load_pair(&index, &idempotency.key).await,
            None => Ok((self.store.load(&index).await?, None)),
        }
    }

    fn changes(
        &self,
        prepared: &PreparedSignIn,
        index: Found<UserIndex>,
        idempotency: Option<&IdempotencyKey>,
    ) -> Result<Vec<Change>, KernelFailure> {
        let sign_in = &prepared.sign_in;
        let (mut index, expect) = Loaded::or_new(index);
        // The Hub said just now whose the name is.
        index.belong_to(&sign_in.kernel.user);
        index
            .open(open_entry(sign_in), sign_in.asked_at, self.rules.open)
            .map_err(KernelFailure::TooMany)?;
        let mut changes = vec![self.indexes.put(&sign_in.kernel.user, expect, &index)?];
        if let Some(idempotency) = idempotency {
            let record = IdempotencyRecord {
                request: idempotency.request,
                answer: prepared.opened.clone(),
            };
            changes.push(Change::put(
                idempotency.key.clone(),
                Expect::Absent,
                &record,
                IDEMPOTENCY_RETENTION,
            )?);
        }
        Ok(changes)
    }
}

pub(crate) fn connected(
    connection: &Connection,
    kernel: &ServerIdentity,
    requested: &ProviderRequest,
    now: Timestamp,
) -> CreateSignInAnswer {
    Event::for_connection(connection)
        .kernel(kernel)
        .emit(EventKind::TokenDelivered);
    CreateSignInAnswer::Connected {
        connection: connection.message(requested.provider.config(), now),
        token: connection.token(now),
    }
}

pub(crate) fn audit_started(sign_in: &SignIn) {
    Event::for_sign_in(sign_in).emit(EventKind::SignInStarted);
    let provider = sign_in.provider.as_str().to_owned();
    metrics::counter!("hubkey_sign_ins_opened_total", "provider" => provider).increment(1);
}

fn open_entry(sign_in: &SignIn) -> OpenSignIn {
    OpenSignIn {
        nonce: sign_in.nonce.clone(),
        fingerprint: sign_in.kernel.fingerprint,
        provider: sign_in.provider.clone(),
        wish: sign_in.wish.clone(),
        expires_at: sign_in.expires_at,
    }
}
