//! User names in log lines.

use std::fmt::{self, Write as _};

/// The longest part of a name that is shown.
const SHOWN: usize = 64;

/// Shows a name that somebody else chose: at most 64 characters, with control characters escaped, so that it cannot
/// forge a line or flood the log.
#[derive(Debug, Clone, Copy)]
pub struct UserName<'a>(
    /// The name as it is.
    pub &'a str,
);

impl fmt::Display for UserName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars().take(SHOWN) {
            if is_confusing(character) {
                write!(f, "{}", character.escape_unicode())?;
            } else {
                f.write_char(character)?;
            }
        }
        if self.0.chars().nth(SHOWN).is_some() {
            f.write_char('…')?;
        }
        Ok(())
    }
}

/// Control characters, and those that change the direction of the text around them.
fn is_confusing(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}'
        )
}
