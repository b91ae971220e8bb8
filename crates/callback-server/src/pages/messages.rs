//! What the pages say when a sign-in goes no further: what happened, then what to do. None of these words names a
//! person, and none of them comes from outside.

use hubkey_protocol::{SignInFailure, internal::Refusal};

use super::untrusted_text::UntrustedText;

/// The message of a page that needs nothing from outside.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Message {
    pub(crate) title: &'static str,
    pub(crate) happened: &'static str,
    /// What to do, each with the case it is for; a single one needs no case.
    pub(crate) advice: &'static [(&'static str, &'static str)],
    /// Whether nothing went wrong.
    pub(crate) calm: bool,
}

const INVALID_LINK: Message = Message {
    title: "This sign-in link does not work",
    happened: "It is too old, was used already, or was made for somebody else.",
    advice: &[
        (
            "From your own notebook",
            "Run the cell again and open the new link in this browser, where you are signed in to the hub.",
        ),
        (
            "From a message or another person",
            "Do not use it. Such a link can be an attempt to use your account.",
        ),
    ],
    calm: false,
};

const FORBIDDEN: Message = Message {
    title: "This sign-in cannot go on here",
    happened: "It is finished already, or was started in another browser, or the person who is signed in to the hub has \
               changed. This page changed nothing.",
    advice: &[
        (
            "If your notebook goes on",
            "Close this tab. You came back to a step that is over.",
        ),
        (
            "If your notebook still waits",
            "Run the cell again and open the new link in the browser in which you use the hub.",
        ),
        ("If you did not start it", "Close this tab."),
    ],
    calm: false,
};

const MALFORMED: Message = Message {
    title: "This address is not complete",
    happened: "A part of it is missing, or stands there twice.",
    advice: &[(
        "",
        "Go back to your notebook, run the cell again and click on the new link.",
    )],
    calm: false,
};

const TOO_LONG: Message = Message {
    title: "What your browser sent is too long",
    happened: "The address, or the cookies of this site, hold more than this hub takes. Nothing was connected.",
    advice: &[
        (
            "If you came back from signing in",
            "Run the cell again. If this page comes back, give the reference below to your hub’s operators.",
        ),
        (
            "If every page of this site says so",
            "Delete the cookies of this site in your browser, sign in to the hub again, and run the cell again.",
        ),
    ],
    calm: false,
};

const RATE_LIMITED: Message = Message {
    title: "Too many tries in a short time",
    happened: "Signing in is paused for a moment.",
    advice: &[(
        "",
        "Wait a minute, then load this page again. If it does not go on, open the link in your notebook once more.",
    )],
    calm: false,
};

const UNAVAILABLE: Message = Message {
    title: "Signing in does not work right now",
    happened: "A part of this hub does not answer. Nothing was connected.",
    advice: &[(
        "",
        "Wait a minute, then open the link in your notebook again. If the link has run out by then, run the cell again.",
    )],
    calm: false,
};

/// For a request that no person made by clicking on a link or a button.
pub(crate) const NOT_A_NAVIGATION: Message = Message {
    title: "This page opens only in a tab of its own",
    happened: "It was asked for by another page, by a program, or ahead of time. Nothing was done.",
    advice: &[("", "Click on the link in your notebook.")],
    calm: false,
};

/// For a path that leads nowhere.
pub(crate) const NOT_FOUND: Message = Message {
    title: "There is no page here",
    happened: "The address is wrong, or belongs to something else.",
    advice: &[("", "Go back to your notebook and click on the link there.")],
    calm: false,
};

/// For a path that takes other methods.
pub(crate) const WRONG_METHOD: Message = Message {
    title: "This page cannot be opened this way",
    happened: "It belongs to a step of a sign-in. Nothing was done.",
    advice: &[("", "Go back to your notebook and click on the link there.")],
    calm: false,
};

/// For a request that does not arrive as browsers send it.
pub(crate) const UNREADABLE: Message = Message {
    title: "What arrived here could not be read",
    happened: "It came in a form that browsers do not send, or only in part: the connection may have been cut. Nothing was \
               done.",
    advice: &[(
        "",
        "Load this page again. If that does not help, go back to your notebook, run the cell again and click on the new link.",
    )],
    calm: false,
};

/// For a fault of ours.
pub(crate) const INTERNAL_ERROR: Message = Message {
    title: "Something went wrong on our side",
    happened: "This page could not be made.",
    advice: &[(
        "",
        "Run the cell again. If this page comes back, give the reference below to your hub’s operators.",
    )],
    calm: false,
};

/// For those who come without a link.
pub(crate) const HOME: Message = Message {
    title: "Your notebooks sign in here",
    happened: "When a notebook needs an account of yours at another service, it shows a link that leads to this place. \
               You sign in at the service itself, and the notebook goes on.",
    advice: &[(
        "",
        "There is nothing to do on this page. Go back to your notebook and click on the link there.",
    )],
    calm: true,
};

/// The message for a refusal.
pub(crate) fn refused(refusal: Refusal) -> Message {
    match refusal {
        Refusal::InvalidLink => INVALID_LINK,
        Refusal::Forbidden => FORBIDDEN,
        Refusal::Malformed => MALFORMED,
        Refusal::TooLong => TOO_LONG,
        Refusal::RateLimited => RATE_LIMITED,
        Refusal::Unavailable => UNAVAILABLE,
    }
}

/// The message of a page that says why a sign-in ended without a connection.
#[derive(Debug)]
pub(crate) struct EndedMessage {
    /// Around the provider's name.
    pub(crate) title: (&'static str, &'static str),
    pub(crate) name: UntrustedText,
    pub(crate) happened: &'static str,
    pub(crate) advice: &'static str,
    /// Whether nothing went wrong.
    pub(crate) calm: bool,
}

/// The message for an end.
pub(crate) fn ended(reason: SignInFailure, name: UntrustedText) -> EndedMessage {
    let row = reason.row();
    EndedMessage {
        title: row.title,
        name,
        happened: row.happened,
        advice: row.advice,
        calm: reason == SignInFailure::Cancelled,
    }
}
