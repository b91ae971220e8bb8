//! `hubkey credential`: the protocols by which tools ask for credentials.

mod aws;
mod git;
mod google;
mod kubectl;

pub(crate) use aws::run as aws;

use crate::{Outcome, arguments::Dialect, environment::Environment, session::Session};

pub(crate) async fn run(session: &Session, dialect: Dialect, environment: &Environment) -> Outcome {
    match dialect {
        Dialect::Git(arguments) => git::run(session, arguments).await,
        Dialect::Kubectl(wish) => kubectl::run(session, &wish, environment).await,
        Dialect::Google(wish) => google::run(session, &wish, environment).await,
        Dialect::Aws(arguments) => aws(&arguments),
    }
}
