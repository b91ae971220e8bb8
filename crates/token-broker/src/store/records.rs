//! Which type is stored under which purpose.

use super::{Purpose, typed::Stored};
use crate::domain::{
    connection::Connection,
    flow::{Flow, StateRecord, TicketRecord},
    login::{LoginIndex, UsedLogout},
    pin::{Owner, Pin},
    renewal::{Lease, Recovery},
    sign_in::SignIn,
    target::Targets,
    user_index::UserIndex,
};

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
    Targets => Targets,
    UserIndex => UserIndex,
    Pin => Pin,
    Owner => Owner,
    LoginIndex => Logins,
    UsedLogout => UsedLogout,
    Recovery => Recovery,
}
