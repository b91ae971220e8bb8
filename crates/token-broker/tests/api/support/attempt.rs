//! A sign-in that was opened in a world of its own, and what must be left of it where somebody interfered.

use super::{
    audit::AuditTrail,
    browser::{Reply, TestBrowser},
    kernel::{Opened, TestKernel},
    outcome::{assert_refused, assert_told, exchanges},
    world::{World, WorldOptions},
};

/// A sign-in that a kernel has opened.
pub(crate) struct Attempt {
    pub(crate) trail: AuditTrail,
    pub(crate) world: World,
    pub(crate) kernel: TestKernel,
    pub(crate) sign_in: Opened,
}

/// What a refused step must leave behind.
#[derive(Clone, Copy)]
pub(crate) struct Refused<'a> {
    /// The kind of the refusal that the browser gets.
    pub(crate) refusal: &'a str,
    /// The sign-in's state as its kernel sees it.
    pub(crate) state: &'a str,
    /// Of the audit stream.
    pub(crate) event: &'a str,
}

impl Attempt {
    /// A sign-in of this user's default server in the usual world.
    pub(crate) async fn begin(user: &str) -> Self {
        Self::begin_with(WorldOptions::default(), user).await
    }

    /// The same in another world.
    pub(crate) async fn begin_with(options: WorldOptions, user: &str) -> Self {
        let trail = AuditTrail::begin();
        let world = World::with(options).await;
        let kernel = world.kernel(user, "");
        let sign_in = kernel.open().await;
        Self {
            trail,
            world,
            kernel,
            sign_in,
        }
    }

    /// The parts, for a test that has no use for the whole.
    pub(crate) fn into_parts(self) -> (AuditTrail, World, TestKernel, Opened) {
        (self.trail, self.world, self.kernel, self.sign_in)
    }

    /// A browser in which this user is logged in at the Hub.
    pub(crate) fn browser(&self, user: &str) -> TestBrowser<'_> {
        self.world.browser(user)
    }

    /// The browser was refused and has nothing that authenticates it, no code was sent, the kernel learns the state and
    /// the audit stream tells the event.
    pub(crate) async fn assert_refused(&self, reply: &Reply, refused: Refused<'_>) {
        assert_refused(reply, refused.refusal);
        assert_eq!(exchanges(&self.world), 0);
        assert_eq!(self.kernel.state(&self.sign_in).await, refused.state);
        assert_told(&self.trail, refused.event);
    }

    /// As [`Self::assert_refused`], and the sign-in goes on.
    pub(crate) async fn assert_unharmed(&self, reply: &Reply, event: &str) {
        let (refusal, state) = ("forbidden", "pending");
        let refused = Refused {
            refusal,
            state,
            event,
        };
        self.assert_refused(reply, refused).await;
    }

    /// As [`Self::assert_refused`], and the sign-in has ended.
    pub(crate) async fn assert_denied(&self, reply: &Reply, event: &str) {
        let (refusal, state) = ("forbidden", "denied");
        let refused = Refused {
            refusal,
            state,
            event,
        };
        self.assert_refused(reply, refused).await;
    }
}

/// The parts of [`Attempt::begin`] but for the audit stream.
pub(crate) async fn opened_by(user: &str) -> (World, TestKernel, Opened) {
    let attempt = Attempt::begin(user).await;
    (attempt.world, attempt.kernel, attempt.sign_in)
}
