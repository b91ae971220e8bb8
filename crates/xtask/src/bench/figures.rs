//! The arithmetic of measurements.

use serde::Serialize;

/// The value below which so many per cent of the samples are (nearest rank); 0 where there are none.
pub(crate) fn percentile(samples: &[f64], percent: f64) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let count = u32::try_from(sorted.len()).map_or(f64::INFINITY, f64::from);
    let rank = (percent / 100.0 * count).ceil().max(1.0);
    // The nearest rank: the first sample that has so many at or below it.
    let found = (1_u32..)
        .zip(&sorted)
        .find(|(number, _)| f64::from(*number) >= rank);
    found
        .map(|(_, sample)| *sample)
        .or(sorted.last().copied())
        .unwrap_or(0.0)
}

/// What several rounds gave: the middle one, and how far apart the others are.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) low: f64,
    pub(crate) median: f64,
    pub(crate) high: f64,
}

impl Spread {
    pub(crate) fn of(rounds: impl IntoIterator<Item = f64>) -> Self {
        let rounds: Vec<f64> = rounds.into_iter().collect();
        Self {
            low: percentile(&rounds, 0.0),
            median: percentile(&rounds, 50.0),
            high: percentile(&rounds, 100.0),
        }
    }

    /// With so many digits after the point: `12.3 (11.9–12.8)`.
    pub(crate) fn show(&self, digits: usize) -> String {
        let Self { low, median, high } = self;
        format!("{median:.digits$} ({low:.digits$}–{high:.digits$})")
    }
}

#[cfg(test)]
mod tests {
    use super::{Spread, percentile};

    #[test]
    fn percentiles_are_samples_by_nearest_rank() {
        let hundred: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        let found = [0.0, 50.0, 99.0, 100.0].map(|percent| percentile(&hundred, percent));
        let found = found.map(|sample| format!("{sample}"));
        assert_eq!(found, ["1", "50", "99", "100"]);
        assert!((percentile(&[7.0], 99.0) - 7.0).abs() < f64::EPSILON);
        assert!(percentile(&[], 50.0).abs() < f64::EPSILON);
        assert!((percentile(&[1.0, 2.0, 3.0], 99.0) - 3.0).abs() < f64::EPSILON);
    }

    #[test]
    fn a_spread_names_the_middle_round_and_the_ends() {
        let spread = Spread::of([3.0, 1.0, 2.0]);
        assert_eq!(spread.show(1), "2.0 (1.0–3.0)");
    }
}
