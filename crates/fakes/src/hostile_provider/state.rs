//! What the provider knows, and its keys.

use std::collections::{HashMap, HashSet, VecDeque};

use super::grants::Grants;
use super::mutation::Mutations;
use super::records::{AuthorizationResponse, Code, Issued, PushedRequests};
use super::{Account, Alg, Client, Draft, Endpoint, SigningKey, TokenKind};
use crate::fake_http::Reply;

#[derive(Debug)]
pub(super) struct State {
    pub(super) issuer: String,
    pub(super) clients: HashMap<String, Client>,
    pub(super) account: Account,
    pub(super) pkce: bool,
    /// What is issued as a JWT besides ID tokens.
    pub(super) as_jwt: HashSet<TokenKind>,
    pub(super) codes: HashMap<String, Code>,
    /// How long codes are made.
    pub(super) code_length: Option<usize>,
    /// By access token.
    pub(super) issued: HashMap<String, Issued>,
    pub(super) revoked: HashSet<String>,
    /// Audiences, resources and issuers for which there is no token.
    pub(super) refused_targets: HashSet<String>,
    pub(super) grants: Grants,
    pub(super) pushed: PushedRequests,
    /// The published keys; the first signs.
    pub(super) ring: Vec<SigningKey>,
    pub(super) rotate_before_signing: bool,
    made_keys: usize,
    pub(super) tokens: HashMap<TokenKind, Mutations<Draft>>,
    pub(super) redirects: Mutations<AuthorizationResponse>,
    pub(super) replies: HashMap<Endpoint, Mutations<Reply>>,
    pub(super) answers: HashMap<Endpoint, Reply>,
    pub(super) next_answers: HashMap<Endpoint, VecDeque<Reply>>,
}

impl State {
    pub(super) fn new(issuer: String) -> anyhow::Result<Self> {
        let client = Client::public("hubkey");
        let mut state = Self {
            issuer,
            clients: HashMap::from([(client.id.clone(), client)]),
            account: Account::new("op-alice"),
            pkce: true,
            as_jwt: HashSet::new(),
            codes: HashMap::new(),
            code_length: None,
            issued: HashMap::new(),
            revoked: HashSet::new(),
            refused_targets: HashSet::new(),
            grants: Grants::default(),
            pushed: PushedRequests::default(),
            ring: Vec::new(),
            rotate_before_signing: false,
            made_keys: 0,
            tokens: HashMap::new(),
            redirects: Mutations::default(),
            replies: HashMap::new(),
            answers: HashMap::new(),
            next_answers: HashMap::new(),
        };
        state.use_keys(&[Alg::Rs256])?;
        Ok(state)
    }

    pub(super) fn be_honest(&mut self) {
        self.pkce = true;
        self.code_length = None;
        self.rotate_before_signing = false;
        self.tokens.clear();
        self.redirects = Mutations::default();
        self.replies.clear();
        self.answers.clear();
        self.next_answers.clear();
        self.refused_targets.clear();
    }

    pub(super) fn use_keys(&mut self, algs: &[Alg]) -> anyhow::Result<()> {
        self.ring = algs
            .iter()
            .map(|&alg| self.new_key(alg))
            .collect::<Result<_, _>>()?;
        Ok(())
    }

    pub(super) fn rotate(&mut self) -> anyhow::Result<()> {
        let algs: Vec<_> = self.ring.iter().map(SigningKey::alg).collect();
        self.use_keys(&algs)
    }

    pub(super) fn replace_under_kid(&mut self) -> anyhow::Result<()> {
        if let Some(old) = self.ring.first().cloned() {
            let mut new = self.new_key(old.alg())?;
            new.kid = old.kid;
            self.ring[0] = new;
        }
        Ok(())
    }

    fn new_key(&mut self, alg: Alg) -> anyhow::Result<SigningKey> {
        let index = self.made_keys;
        self.made_keys += 1;
        SigningKey::generate(alg, index)
    }
}
