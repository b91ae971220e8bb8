//! What may happen next.

use proptest::{collection::vec, prelude::*};

/// An index into what there is so far; the newest is meant most often.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pick(usize);

impl Pick {
    pub(crate) const NEWEST: Self = Self(usize::MAX);

    pub(crate) fn of(self, count: usize) -> Option<usize> {
        match (count, self.0) {
            (0, _) => None,
            (_, usize::MAX) => Some(count - 1),
            (_, any) => Some(any % count),
        }
    }
}

/// One action. Kernels are 0 to 3 (alice's two servers, mallory's two), browsers 0 and 1 (alice's and mallory's).
#[derive(Debug, Clone, Copy)]
pub(crate) enum Action {
    /// A kernel asks for a connection.
    Open(usize),
    /// A browser opens a link.
    Start(usize, Pick),
    /// A browser does what is next for it.
    Go(usize),
    /// The same, three times at once.
    Rush(usize),
    /// A browser's step from earlier comes again; with its cookie, without, or with another one.
    Replay(Pick, Option<Pick>, bool),
    /// A browser opens a redirect that any browser got.
    Forward(usize, Pick),
    /// A person cancels on the page that the browser shows.
    Decline(usize),
    /// Link to end in the right browser, then the poll: each step so many times at once, one of them (or none) without
    /// the Hub.
    Whole(usize, usize, usize),
    /// A kernel, a sign-in, and whose poll secret.
    Poll(usize, Pick, Pick),
    Acknowledge(usize, Pick, Pick),
    Cancel(usize, Pick, Pick),
    /// A kernel lists its connections and draws from all that anybody knows of.
    Draw(usize),
    Pass(u64),
    LogOut(usize),
    Restart(usize),
    HubIsUp(bool),
    /// The Hub is down while a browser does what is next for it.
    Outage(usize),
    ProviderIsUp(bool),
    StoreIsUp(bool),
    /// After so many commits one is lost, or only its answer.
    LoseCommit(usize, bool),
    /// Who is signed in at the provider.
    Account(usize),
}

fn pick() -> impl Strategy<Value = Pick> {
    prop_oneof![3 => Just(Pick(usize::MAX)), 2 => (0..64_usize).prop_map(Pick)]
}

/// Mostly good, now and then not.
fn up() -> impl Strategy<Value = bool> {
    prop_oneof![2 => Just(true), 1 => Just(false)]
}

fn action() -> impl Strategy<Value = Action> {
    let kernel = || 0..4_usize;
    let browser = || 0..2_usize;
    let people = prop_oneof![
        4 => kernel().prop_map(Action::Open),
        3 => (browser(), pick()).prop_map(|(browser, link)| Action::Start(browser, link)),
        16 => browser().prop_map(Action::Go),
        8 => browser().prop_map(Action::Rush),
        2 => browser().prop_map(Action::Decline),
        4 => (kernel(), prop_oneof![Just(1), Just(3)], 0..12_usize)
            .prop_map(|(kernel, times, dark)| Action::Whole(kernel, times, dark)),
    ];
    let attacks = prop_oneof![
        4 => (pick(), proptest::option::of(pick()), any::<bool>())
            .prop_map(|(step, cookie, keep)| Action::Replay(step, cookie, keep)),
        2 => (browser(), pick()).prop_map(|(browser, url)| Action::Forward(browser, url)),
        4 => (kernel(), pick(), pick()).prop_map(|(kernel, one, two)| Action::Poll(kernel, one, two)),
        1 => (kernel(), pick(), pick()).prop_map(|(kernel, one, two)| Action::Acknowledge(kernel, one, two)),
        1 => (kernel(), pick(), pick()).prop_map(|(kernel, one, two)| Action::Cancel(kernel, one, two)),
        2 => kernel().prop_map(Action::Draw),
    ];
    let circumstances = prop_oneof![
        2 => prop_oneof![Just(20), Just(290), Just(601)].prop_map(Action::Pass),
        1 => browser().prop_map(Action::LogOut),
        1 => kernel().prop_map(Action::Restart),
        1 => up().prop_map(Action::HubIsUp),
        8 => browser().prop_map(Action::Outage),
        1 => up().prop_map(Action::ProviderIsUp),
        1 => up().prop_map(Action::StoreIsUp),
        1 => (0..4_usize, any::<bool>()).prop_map(|(after, lost)| Action::LoseCommit(after, lost)),
        2 => (0..3_usize).prop_map(Action::Account),
    ];
    prop_oneof![6 => people, 3 => attacks, 2 => circumstances]
}

/// A whole scenario.
pub(crate) fn actions() -> impl Strategy<Value = Vec<Action>> {
    vec(action(), 20..70)
}
