//! Colours, as far as the operator's accent needs them: every text keeps a contrast of 4.5:1 (WCAG 2.2, 1.4.3).

use std::fmt;

/// What text needs.
pub(crate) const TEXT_CONTRAST: f64 = 4.5;

/// A colour in sRGB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Colour([u8; 3]);

impl Colour {
    pub(crate) const BLACK: Self = Self([0; 3]);
    pub(crate) const WHITE: Self = Self([255; 3]);

    /// Reads `#rrggbb`, and nothing else: the value goes into a style sheet.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('#')?;
        if digits.len() != 6 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let [_, red, green, blue] = u32::from_str_radix(digits, 16).ok()?.to_be_bytes();
        Some(Self([red, green, blue]))
    }

    /// The contrast of two colours, 1 to 21.
    pub(crate) fn contrast(self, other: Self) -> f64 {
        let (a, b) = (self.luminance(), other.luminance());
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    /// This colour, moved towards `goal` no further than each of `grounds` needs.
    pub(crate) fn readable_on(self, grounds: &[Self], goal: Self) -> Self {
        (0..=20)
            .map(|twentieths| self.mixed(goal, twentieths))
            .find(|colour| {
                grounds
                    .iter()
                    .all(|ground| colour.contrast(*ground) >= TEXT_CONTRAST)
            })
            .unwrap_or(goal)
    }

    /// Black or white, whichever is easier to read on this colour.
    pub(crate) fn ink(self) -> Self {
        if self.contrast(Self::WHITE) >= self.contrast(Self::BLACK) {
            Self::WHITE
        } else {
            Self::BLACK
        }
    }

    /// This colour with so many twentieths of another.
    pub(crate) fn mixed(self, other: Self, twentieths: u16) -> Self {
        let mix =
            |a: u8, b: u8| (u16::from(a) * (20 - twentieths) + u16::from(b) * twentieths) / 20;
        Self(std::array::from_fn(|i| {
            u8::try_from(mix(self.0[i], other.0[i])).unwrap_or(u8::MAX)
        }))
    }

    /// WCAG's relative luminance.
    fn luminance(self) -> f64 {
        let [red, green, blue] = self.0.map(|channel| {
            let channel = f64::from(channel) / 255.0;
            if channel <= 0.04045 {
                channel / 12.92
            } else {
                ((channel + 0.055) / 1.055).powf(2.4)
            }
        });
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }
}

impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [red, green, blue] = self.0;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contrasts_are_those_of_wcag() {
        assert!((Colour::BLACK.contrast(Colour::WHITE) - 21.0).abs() < 1e-9);
        let grey = Colour::parse("#767676").unwrap();
        assert!((grey.contrast(Colour::WHITE) - 4.54).abs() < 0.01);
    }

    #[test]
    fn only_six_hexadecimal_digits_are_a_colour() {
        for text in [
            "",
            "#fff",
            "0b6b62",
            "#0b6b6g",
            "#0b6b62;}",
            "red",
            "#+b6b62",
            "#é6b62",
        ] {
            assert_eq!(Colour::parse(text), None, "{text}");
        }
        assert_eq!(Colour::parse("#0B6b62").unwrap().to_string(), "#0b6b62");
    }
}
