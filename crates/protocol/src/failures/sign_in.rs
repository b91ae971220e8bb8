//! Why a sign-in ended without a connection.

use serde::{Deserialize, Serialize};

use crate::{ErrorReference, table::closed_table};

use super::{Exit, PythonException as Python, Remedy};

/// What a cell and the command say of a sign-in that was cancelled by their own side.
pub const CANCELLED: &str = "the sign-in was cancelled.";
/// What they say of one that was refused or cancelled in the browser, whatever the reason was.
pub const DECLINED: &str = "the sign-in was refused or cancelled in the browser.";

/// A row of the table: why a sign-in ended without a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignInFailureRow {
    /// The member `reason` of the sign-in's state, and the label `outcome` in metrics.
    pub name: &'static str,
    /// Whether the kernel is told. It reads `denied` otherwise, since the reason could speak of another person.
    pub reported_to_kernel: bool,
    /// The event in the audit stream; its `reason` has the closer word.
    pub audit_event: &'static str,
    /// The page's HTTP status.
    pub page_status: u16,
    /// The page's title, around the provider's name.
    pub title: (&'static str, &'static str),
    /// What the page says happened.
    pub happened: &'static str,
    /// What the page says to do.
    pub advice: &'static str,
    /// What a cell and the command say happened, after "the sign-in failed: ".
    pub sentence: &'static str,
    /// What a cell and the command say to do.
    pub remedy: Remedy,
    /// How the command ends.
    pub exit: Exit,
    /// What Python raises.
    pub python: Python,
}

closed_table! {
    /// Why a sign-in ended without a connection.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
    #[serde(rename_all = "snake_case")]
    pub enum SignInFailure: SignInFailureRow {
        /// The person pressed Cancel on a page of hubkey.
        Cancelled {
            name: "cancelled",
            reported_to_kernel: false,
            audit_event: "account_confirmation_cancelled",
            page_status: 200,
            title: ("You cancelled the sign-in to ", ""),
            happened: "Nothing was connected, and your notebook knows.",
            advice: "You can close this tab. To try again, run the cell again.",
            sentence: "it was cancelled in the browser.",
            remedy: Remedy::TryAgain,
            exit: Exit::Denied,
            python: Python::SignInDenied,
        }
        /// The account belongs to another hub user, or does not fit this one.
        AccountRefused {
            name: "account_refused",
            reported_to_kernel: false,
            audit_event: "account_link_conflict",
            page_status: 403,
            title: ("This account at ", " cannot be used here"),
            happened: "It does not fit your name on this hub. Nothing was connected.",
            advice: "Sign out there or choose another account, then run the cell again. If it is the right account, \
                     give the reference below to your hub’s operators.",
            sentence: "that account cannot be used here.",
            remedy: Remedy::TryAgain,
            exit: Exit::Denied,
            python: Python::SignInDenied,
        }
        /// The account is not the one that the notebook asked for.
        AccountDiffers {
            name: "account_differs",
            reported_to_kernel: false,
            audit_event: "account_link_conflict",
            page_status: 403,
            title: ("Your notebook asked for another account at ", ""),
            happened: "You signed in there with a different one. Nothing was connected.",
            advice: "Sign out there or choose the account that the cell names, then run the cell again.",
            sentence: "it was another account than the one that was asked for.",
            remedy: Remedy::TryAgain,
            exit: Exit::Denied,
            python: Python::SignInDenied,
        }
        /// The provider or the person at it refused: `access_denied`, `consent_required`, `login_required` and
        /// `account_selection_required`, since hubkey never asks without showing anything (RFC 6749 section 4.1.2.1,
        /// OpenID Connect Core section 3.1.2.6).
        AccessDenied {
            name: "access_denied",
            reported_to_kernel: true,
            audit_event: "provider_failed",
            page_status: 200,
            title: ("", " did not let you in"),
            happened: "Your account was refused there, or you chose not to go on. Nothing was connected.",
            advice: "To try again, run the cell again. If it is refused again, ask there whether your account may be \
                     used.",
            sentence: "the provider did not let this account in, or you declined there.",
            remedy: Remedy::TryAgain,
            exit: Exit::Denied,
            python: Python::SignInDenied,
        }
        /// The provider wants something of the person first: `interaction_required`.
        InteractionRequired {
            name: "interaction_required",
            reported_to_kernel: true,
            audit_event: "provider_failed",
            page_status: 200,
            title: ("", " wants something from you first"),
            happened: "You have to do something there before a notebook can use your account. Nothing was connected.",
            advice: "Sign in there in a tab of its own, do what it asks for, then run the cell again.",
            sentence: "the provider wants something from you first. Sign in there in a tab of its own and do what it \
                       asks for.",
            remedy: Remedy::ActFirst,
            exit: Exit::Denied,
            python: Python::SignInDenied,
        }
        /// The code, or the pushed request, had run out when it was used: `invalid_grant` (RFC 6749 section 5.2),
        /// `invalid_request_uri` (RFC 9126 section 4).
        CodeExpired {
            name: "code_expired",
            reported_to_kernel: true,
            audit_event: "provider_failed",
            page_status: 200,
            title: ("The sign-in at ", " took too long"),
            happened: "What it gave your browser was no longer valid when it arrived. Nothing was connected.",
            advice: "Run the cell again and go on without a long pause. If this page comes back at once, give the \
                     reference below to your hub’s operators.",
            sentence: "it took too long: what the provider gave your browser was no longer valid when it arrived.",
            remedy: Remedy::TryAgain,
            exit: Exit::Transient,
            python: Python::SignInFailed,
        }
        /// The provider does not offer what was asked for: `invalid_scope`, `invalid_target`.
        NotOffered {
            name: "not_offered",
            reported_to_kernel: true,
            audit_event: "provider_failed",
            page_status: 200,
            title: ("", " does not offer what was asked for"),
            happened: "The notebook asked for something that is not to be had there. Nothing was connected.",
            advice: "Check what the cell asks for and run it again. If it is right, give the reference below to your \
                     hub’s operators.",
            sentence: "the provider does not offer what was asked for. Check scopes, audience and resource; if they are \
                       right, tell the operator of this JupyterHub.",
            remedy: Remedy::ActFirst,
            exit: Exit::Denied,
            python: Python::SignInFailed,
        }
        /// The provider could not be reached or says that it has trouble.
        ProviderUnavailable {
            name: "provider_unavailable",
            reported_to_kernel: true,
            audit_event: "provider_failed",
            page_status: 200,
            title: ("", " does not answer right now"),
            happened: "The sign-in could not be finished there. Nothing was connected.",
            advice: "Wait a few minutes, then run the cell again.",
            sentence: "the provider did not answer.",
            remedy: Remedy::TryLater,
            exit: Exit::Transient,
            python: Python::SignInFailed,
        }
        /// The Hub did not say who the browser is.
        HubUnavailable {
            name: "hub_unavailable",
            reported_to_kernel: true,
            audit_event: "hub_unavailable",
            page_status: 200,
            title: ("Your hub did not answer when you came back from ", ""),
            happened: "So nobody could check that you are still signed in to the hub. Nothing was connected.",
            advice: "Wait a few minutes, then run the cell again.",
            sentence: "the JupyterHub did not say who had signed in.",
            remedy: Remedy::TryLater,
            exit: Exit::Transient,
            python: Python::SignInFailed,
        }
        /// The store failed before it had what the provider granted.
        StoreUnavailable {
            name: "store_unavailable",
            reported_to_kernel: true,
            audit_event: "request_failed",
            page_status: 200,
            title: ("Your sign-in to ", " could not be kept"),
            happened: "hubkey could not store it. Nothing was connected, and what came of the sign-in was given back.",
            advice: "Wait a few minutes, then run the cell again.",
            sentence: "its result could not be stored, and was given back.",
            remedy: Remedy::TryLater,
            exit: Exit::Transient,
            python: Python::SignInFailed,
        }
        /// The provider's answer to the code was lost.
        OutcomeUnknown {
            name: "outcome_unknown",
            reported_to_kernel: true,
            audit_event: "provider_failed",
            page_status: 200,
            title: ("The answer of ", " got lost"),
            happened: "Nobody knows whether the sign-in succeeded there. Nothing was connected here.",
            advice: "Run the cell again; that is safe.",
            sentence: "the provider's answer got lost, so its outcome is not known. To try again is safe.",
            remedy: Remedy::TryAgain,
            exit: Exit::Transient,
            python: Python::SignInFailed,
        }
        /// hubkey's registration at the provider and the settings do not fit together.
        ProviderMisconfigured {
            name: "provider_misconfigured",
            reported_to_kernel: true,
            audit_event: "provider_failed",
            page_status: 200,
            title: ("This hub is not set up well for ", ""),
            happened: "The sign-in was refused because of that, not because of you. Nothing was connected.",
            advice: "You cannot mend this yourself: give the reference below to your hub’s operators.",
            sentence: "this JupyterHub is not set up well for the provider.",
            remedy: Remedy::TellOperator,
            exit: Exit::Denied,
            python: Python::SignInFailed,
        }
        /// The provider uses something that hubkey does not support, such as an encrypted ID token.
        NotSupported {
            name: "not_supported",
            reported_to_kernel: true,
            audit_event: "provider_failed",
            page_status: 200,
            title: ("hubkey does not support the way in which ", " signs its answers"),
            happened: "They are encrypted, or signed with an algorithm that is not supported here. Nothing was connected.",
            advice: "You cannot mend this yourself: give the reference below to your hub’s operators.",
            sentence: "the provider encrypts or signs its answers in a way that is not supported here.",
            remedy: Remedy::TellOperator,
            exit: Exit::Denied,
            python: Python::SignInFailed,
        }
        /// What the provider sent broke a rule of the protocol.
        ProviderProtocolError {
            name: "provider_protocol_error",
            reported_to_kernel: true,
            audit_event: "provider_failed",
            page_status: 200,
            title: ("The answer of ", " cannot be trusted"),
            happened: "It broke a rule that protects your account. Nothing was connected.",
            advice: "Run the cell again. If this page comes back, give the reference below to your hub’s operators.",
            sentence: "the provider's answer broke a rule that protects your account. If that happens again, tell the \
                       operator of this JupyterHub.",
            remedy: Remedy::TryAgain,
            exit: Exit::Denied,
            python: Python::SignInFailed,
        }
        /// What came back from the provider was longer than hubkey takes.
        AnswerTooLong {
            name: "answer_too_long",
            reported_to_kernel: true,
            audit_event: "provider_failed",
            page_status: 200,
            title: ("The answer of ", " is too long"),
            happened: "It sent back more than this hub takes, such as a list of very many groups. Nothing was connected.",
            advice: "Running the cell again will not help: give the reference below to your hub’s operators.",
            sentence: "what came back from the provider was longer than hubkey takes.",
            remedy: Remedy::TellOperator,
            exit: Exit::Denied,
            python: Python::SignInFailed,
        }
        /// The browser sent more cookies of this site than hubkey takes.
        CookiesTooLong {
            name: "cookies_too_long",
            reported_to_kernel: true,
            audit_event: "provider_failed",
            page_status: 200,
            title: ("Your browser sent too many cookies on its way back from ", ""),
            happened: "This site has more of them in your browser than this hub takes. Nothing was connected.",
            advice: "Delete the cookies of this site, sign in to the hub again, then run the cell again.",
            sentence: "your browser sent more cookies of this site than hubkey takes. Delete them and sign in to the \
                       hub again.",
            remedy: Remedy::ActFirst,
            exit: Exit::Denied,
            python: Python::SignInFailed,
        }
        /// Whose the account is was sealed with a key that is held no more; the operator was told.
        OwnerUnreadable {
            name: "owner_unreadable",
            reported_to_kernel: true,
            audit_event: "owner_unreadable",
            page_status: 403,
            title: ("Your hub’s operators have to act before you use this account at ", ""),
            happened: "hubkey cannot read any more whose it is, since one of its keys was taken out. Nothing was \
                       connected, and what came of the sign-in was given back.",
            advice: "They were told. Give them the reference below, and run the cell again when they say so.",
            sentence: "hubkey cannot read any more whose this account is, since a key was taken out.",
            remedy: Remedy::AwaitOperator,
            exit: Exit::Denied,
            python: Python::SignInFailed,
        }
    }
}

impl SignInFailure {
    /// What a cell says after the provider's name: what happened, what to do, and by what the operator finds it.
    #[must_use]
    pub fn in_cell(self, reference: &ErrorReference) -> String {
        self.sentence(&self.row().remedy.in_cell(), reference)
    }

    /// What the command says.
    #[must_use]
    pub fn in_command(self, reference: &ErrorReference) -> String {
        self.sentence(&self.row().remedy.in_command(), reference)
    }

    fn sentence(self, remedy: &str, reference: &ErrorReference) -> String {
        format!(
            "the sign-in failed: {} {remedy} Reference: {reference}.",
            self.row().sentence,
            reference = reference.as_str()
        )
    }
}
