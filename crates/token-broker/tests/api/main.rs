//! The broker through its real routers, against a scripted Hub and a provider that is honest until told otherwise.

#[cfg(test)]
mod accounts;
#[cfg(test)]
mod acknowledge;
#[cfg(test)]
mod answers;
#[cfg(test)]
mod asker;
#[cfg(test)]
mod audience;
#[cfg(test)]
mod audit;
#[cfg(test)]
mod backchannel_logout;
#[cfg(test)]
mod browser;
#[cfg(test)]
mod callback;
#[cfg(test)]
mod cancel;
#[cfg(test)]
mod channel;
#[cfg(test)]
mod cluster;
#[cfg(test)]
mod confirm;
#[cfg(test)]
mod connections;
#[cfg(test)]
mod r#continue;
#[cfg(test)]
mod create_sign_in;
#[cfg(test)]
mod exchange;
#[cfg(test)]
mod failover;
#[cfg(test)]
mod failover_stage;
#[cfg(test)]
mod features;
#[cfg(test)]
mod first_aid_f1;
#[cfg(test)]
mod first_aid_f2;
#[cfg(test)]
mod given_back;
#[cfg(test)]
mod happy;
#[cfg(test)]
mod hub_callback;
#[cfg(test)]
mod kernel;
#[cfg(test)]
mod kernel_identity;
#[cfg(test)]
mod key_stage;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod my_connections;
#[cfg(test)]
mod name_given_again;
#[cfg(test)]
mod odd_claims;
#[cfg(test)]
mod one_session;
#[cfg(test)]
mod openapi;
#[cfg(test)]
mod outage;
#[cfg(test)]
mod outcome;
#[cfg(test)]
mod plain;
#[cfg(test)]
mod probe;
#[cfg(test)]
mod providers;
#[cfg(test)]
mod refresh;
#[cfg(test)]
mod refresh_answers;
#[cfg(test)]
mod refresh_faults;
#[cfg(test)]
mod refresh_stage;
#[cfg(test)]
mod repetition;
#[cfg(test)]
mod resurrection;
#[cfg(test)]
mod retired_keys;
#[cfg(test)]
mod scoped_token;
#[cfg(test)]
mod server_ended;
#[cfg(test)]
mod sharing;
#[cfg(test)]
mod sign_in_status;
#[cfg(test)]
mod sign_out;
#[cfg(test)]
mod sizes;
#[cfg(test)]
mod start;
#[cfg(test)]
mod store_faults;
#[cfg(test)]
mod stored_token;
#[cfg(test)]
mod suspended;
#[cfg(test)]
mod token;
#[cfg(test)]
mod unverified;
#[cfg(test)]
mod userinfo;
#[cfg(test)]
mod view;
#[cfg(test)]
mod wakeup;
#[cfg(test)]
mod world;
