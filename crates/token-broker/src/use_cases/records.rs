//! Records in the store: one type for each kind, which alone reads and writes it.

pub(crate) mod connections;
pub(crate) mod derived_tokens;
pub(crate) mod provider_sessions;
pub(crate) mod sign_ins;
pub(crate) mod user_indexes;

use crate::use_cases::base::Base;
use std::sync::Arc;

use crate::use_cases::records::{
    connections::ConnectionRecords, derived_tokens::DerivedTokenRecords,
    provider_sessions::ProviderSessions, sign_ins::SignInRecords, user_indexes::UserIndexes,
};

/// Each kind of record has one reader and writer.
pub(crate) struct Records {
    pub(crate) sign_ins: Arc<SignInRecords>,
    pub(crate) indexes: Arc<UserIndexes>,
    pub(crate) sessions: Arc<ProviderSessions>,
    pub(crate) connections: Arc<ConnectionRecords>,
    pub(crate) derived: Arc<DerivedTokenRecords>,
}

impl Records {
    pub(crate) fn new(base: &Base) -> Self {
        Self {
            sign_ins: Arc::new(SignInRecords::new(base)),
            indexes: Arc::new(UserIndexes::new(base)),
            sessions: Arc::new(ProviderSessions::new(base)),
            connections: Arc::new(ConnectionRecords::new(base)),
            derived: Arc::new(DerivedTokenRecords::new(base)),
        }
    }
}
