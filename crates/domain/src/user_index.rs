//! What one hub user has open: sign-ins and connections of all their servers.

use std::time::Duration;

use hubkey_protocol::{ConnectionId, Nonce, ProviderId};
use serde::{Deserialize, Serialize};

use crate::{
    access_request::AccessRequest,
    clock::Timestamp,
    connection::Connection,
    identity::{HubUser, ServerIdentity},
    keyed_hash::KeyedHash,
};

/// The index of one hub user. It holds no secret; what it names is checked again where it is read.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct UserIndex {
    /// Whose; nothing where the Hub did not say when it made them, or in a record from before this was noted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<HubUser>,
    /// Sign-ins that wait for their person.
    pub open: Vec<OpenSignIn>,
    /// Connections, oldest first.
    pub connections: Vec<IndexedConnection>,
    /// When the sign-ins of the last minute were opened.
    pub created: Vec<Timestamp>,
}

/// A sign-in that waits for its person.
#[derive(Debug, Serialize, Deserialize)]
pub struct OpenSignIn {
    /// Which.
    pub nonce: Nonce,
    /// Of which server token.
    pub fingerprint: KeyedHash,
    /// Where.
    pub provider: ProviderId,
    /// What for.
    pub wish: AccessRequest,
    /// When it ends by itself.
    pub expires_at: Timestamp,
}

/// A connection in the index.
#[derive(Debug, Serialize, Deserialize)]
pub struct IndexedConnection {
    /// Which.
    pub id: ConnectionId,
    /// Of which server token.
    pub fingerprint: KeyedHash,
    /// Where.
    pub provider: ProviderId,
    /// When its record ends.
    pub expires_at: Timestamp,
}

impl IndexedConnection {
    /// The entry of a connection for the server token of this kernel.
    #[must_use]
    pub fn of(connection: &Connection, kernel: &ServerIdentity, expires_at: Timestamp) -> Self {
        Self {
            id: connection.id.clone(),
            fingerprint: kernel.fingerprint,
            provider: connection.provider.clone(),
            expires_at,
        }
    }
}

/// How many sign-ins one hub user may open.
#[derive(Debug, Clone, Copy)]
pub struct OpenLimits {
    /// At the same time.
    pub open: usize,
    /// In any 60 seconds.
    pub per_minute: usize,
}

/// Why a hub user may not open another sign-in now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TooMany {
    /// So many are open; the first one ends in so long.
    Open(Duration),
    /// So many were opened within a minute; the next may be in so long.
    Created(Duration),
}

const MINUTE: Duration = Duration::from_mins(1);

impl UserIndex {
    /// Whether it may be this hub user's. One of who had the name before counts as none.
    #[must_use]
    pub fn may_be_of(&self, user: &HubUser) -> bool {
        self.of.as_ref().is_none_or(|of| of.may_be(user))
    }

    /// From now on it is this hub user's: empty, if it was another one's.
    pub fn belong_to(&mut self, user: &HubUser) {
        if !self.may_be_of(user) {
            *self = Self::default();
        }
        if user.created().is_some() {
            self.of = Some(user.clone());
        }
    }

    /// Forgets what has ended.
    pub fn prune(&mut self, now: Timestamp) {
        self.open.retain(|sign_in| sign_in.expires_at > now);
        self.connections
            .retain(|connection| connection.expires_at > now);
        self.created.retain(|at| at.after(MINUTE) > now);
    }

    /// Notes a new sign-in, if the limits permit.
    pub fn open(
        &mut self,
        sign_in: OpenSignIn,
        now: Timestamp,
        limits: OpenLimits,
    ) -> Result<(), TooMany> {
        self.prune(now);
        self.room(now, limits)?;
        self.created.push(now);
        self.open.push(sign_in);
        Ok(())
    }

    /// Whether one more sign-in may be opened.
    pub fn room(&self, now: Timestamp, limits: OpenLimits) -> Result<(), TooMany> {
        let lately = self.created.iter().filter(|at| at.after(MINUTE) > now);
        if lately.clone().count() >= limits.per_minute {
            let first = lately.min().copied().unwrap_or(now);
            return Err(TooMany::Created(now.until(first.after(MINUTE))));
        }
        let ends = self.open.iter().map(|open| open.expires_at);
        let ends = ends.filter(|end| *end > now);
        if ends.clone().count() >= limits.open {
            let first = ends.min().unwrap_or(now);
            return Err(TooMany::Open(now.until(first)));
        }
        Ok(())
    }

    /// Notes that a sign-in ended.
    pub fn ended(&mut self, nonce: &Nonce) {
        self.open.retain(|open| open.nonce != *nonce);
    }

    /// Notes a connection, once for each server.
    pub fn connected(&mut self, connection: IndexedConnection) {
        if self.connections.iter().all(|known| {
            known.id != connection.id || !known.fingerprint.matches(&connection.fingerprint)
        }) {
            self.connections.push(connection);
        }
    }

    /// Notes that a connection has ended.
    pub fn disconnected(&mut self, id: &ConnectionId) {
        self.connections.retain(|connection| connection.id != *id);
    }

    /// Notes that a connection has no other servers than these.
    pub fn left(&mut self, id: &ConnectionId, servers: &[KeyedHash]) {
        self.connections.retain(|entry| {
            entry.id != *id || servers.iter().any(|one| one.matches(&entry.fingerprint))
        });
    }

    /// Notes that a connection ends later.
    pub fn extended(&mut self, id: &ConnectionId, expires_at: Timestamp) {
        for connection in &mut self.connections {
            if connection.id == *id {
                connection.expires_at = expires_at;
            }
        }
    }

    /// The connections made with this very server token, newest first.
    pub fn connections_of<'a>(
        &'a self,
        kernel: &'a ServerIdentity,
    ) -> impl Iterator<Item = &'a IndexedConnection> {
        self.connections
            .iter()
            .rev()
            .filter(|entry| entry.fingerprint.matches(&kernel.fingerprint))
    }

    /// The other connections of a connection's server at its provider.
    #[must_use]
    pub fn others_there(&self, connection: &Connection) -> Vec<ConnectionId> {
        let others = self
            .connections_of(&connection.kernel)
            .filter(|entry| entry.provider == connection.provider && entry.id != connection.id);
        others.map(|entry| entry.id.clone()).collect()
    }

    /// The connections of all servers at a provider, newest first; one may stand there for each of its servers.
    pub fn connections_at<'a>(
        &'a self,
        provider: &'a ProviderId,
    ) -> impl Iterator<Item = &'a IndexedConnection> {
        let newest_first = self.connections.iter().rev();
        newest_first.filter(move |entry| entry.provider == *provider)
    }

    /// Each connection once, newest first.
    #[must_use]
    pub fn ids(&self) -> Vec<ConnectionId> {
        let mut ids: Vec<ConnectionId> = Vec::new();
        for entry in self.connections.iter().rev() {
            if !ids.contains(&entry.id) {
                ids.push(entry.id.clone());
            }
        }
        ids
    }

    /// The open sign-ins of this very server token at a provider.
    pub fn open_of<'a>(
        &'a self,
        kernel: &'a ServerIdentity,
        provider: &'a ProviderId,
    ) -> impl Iterator<Item = &'a OpenSignIn> {
        self.open.iter().filter(move |open| {
            open.provider == *provider && open.fingerprint.matches(&kernel.fingerprint)
        })
    }
}
