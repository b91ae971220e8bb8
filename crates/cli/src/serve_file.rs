//! `hubkey serve-file`: a file that holds a fresh token as long as the command runs.

use crate::{
    Outcome, Then, arguments::ServeFileArguments, fresh, listing::announce, session::Session,
    signals::Signals, token_file::TokenFile,
};

pub(crate) async fn run(session: &Session, arguments: ServeFileArguments) -> Outcome {
    let mut file = TokenFile::at(arguments.path);
    file.check()?;
    let grant = session.grant(&arguments.wish).await?;
    // Heard from before there is a file that would have to be removed.
    let mut signals = Signals::asking_to_end()?;
    file.write(&grant.token.access_token)?;
    announce(
        &grant,
        &format!(
            "a fresh token is kept in {} until this ends.",
            file.path().display()
        ),
    );
    tokio::select! {
        failure = fresh::keep(session, &grant, &mut file) => Err(failure),
        // To be ended is how this ends.
        _ = signals.next() => Ok(Then::DONE),
    }
}
