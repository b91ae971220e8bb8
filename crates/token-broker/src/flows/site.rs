//! callback-server asks for what it shows by itself.

use hubkey_protocol::internal::Site;

use super::Flows;

impl Flows {
    /// Names and look of the pages, and the keys that are published.
    #[must_use]
    pub fn site(&self) -> Site {
        let key_sets = self.providers.iter().filter_map(|provider| {
            let set = provider.key_set()?;
            Some((provider.config().id.clone(), set.clone()))
        });
        Site {
            key_sets: key_sets.collect(),
            ..self.rules.site.clone()
        }
    }
}
