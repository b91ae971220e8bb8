//! Which type is stored under which purpose.

use hubkey_domain::{
    account_link::{AccountLink, AccountOwner},
    connection::Connection,
    derived_token::DerivedTokenSet,
    flow::{Flow, StateRecord, TicketRecord},
    provider_session::{ConsumedLogoutToken, ProviderSessionIndex},
    refresh_state::{Lease, Recovery},
    sign_in::SignIn,
    user_index::UserIndex,
};

use crate::{Purpose, typed::Stored};

macro_rules! stored {
    ($($record:ty => $purpose:ident),* $(,)?) => {
        $(impl Stored for $record {
            const PURPOSE: Purpose = Purpose::$purpose;
        })*
    };
}

stored! {
    SignIn => SignIn,
    TicketRecord => Ticket,
    Flow => Flow,
    StateRecord => State,
    Connection => Connection,
    Lease => Lease,
    DerivedTokenSet => Targets,
    UserIndex => UserIndex,
    AccountLink => AccountLink,
    AccountOwner => Owner,
    ProviderSessionIndex => Logins,
    ConsumedLogoutToken => UsedLogout,
    Recovery => Recovery,
}
