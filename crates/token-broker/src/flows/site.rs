//! callback-server asks for names and look.

use hubkey_protocol::internal::Site;

use super::Flows;

impl Flows {
    /// Names and look of the pages.
    #[must_use]
    pub fn site(&self) -> Site {
        self.rules.site.clone()
    }
}
