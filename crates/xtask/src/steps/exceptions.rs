//! Lints are silenced by `expect` with a reason, which ends when the reason ends, and tests are never skipped.

use super::budget::{read, tracked};
use super::{Outcome, StepContext};
use crate::report::Count;

/// Each pair is written in two halves, so that this file does not find itself.
const FORBIDDEN: [(&str, &str); 4] = [
    ("#[al", "low("),
    ("#![al", "low("),
    ("#[ig", "nore"),
    ("pytest.mark.", "skip"),
];

pub(crate) fn run(context: &StepContext) -> Outcome {
    let mut trouble = Vec::new();
    for file in tracked(context)? {
        if ![Some("rs"), Some("py")].contains(&file.rsplit_once('.').map(|(_, kind)| kind)) {
            continue;
        }
        let found = offences(&read(context, &file)?);
        trouble.extend(
            found
                .iter()
                .map(|(line, text)| format!("{file}:{line}: {text}")),
        );
    }
    if trouble.is_empty() {
        return Ok(Count::ONE);
    }
    Err(anyhow::anyhow!(trouble.join("\n")).into())
}

fn offences(text: &str) -> Vec<(usize, String)> {
    let forbidden = FORBIDDEN.map(|(first, second)| format!("{first}{second}"));
    let lines = text.lines().enumerate();
    lines
        .filter(|(_, line)| forbidden.iter().any(|word| line.contains(word.as_str())))
        .map(|(number, line)| (number + 1, line.trim().to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::offences;

    #[test]
    fn a_silenced_lint_and_a_skipped_test_are_found() {
        let text = ["#[al", "low(dead_code)]\nfn f() {}\n#[ig", "nore]\n"].concat();
        let lines: Vec<usize> = offences(&text).into_iter().map(|(line, _)| line).collect();
        assert_eq!(lines, [1, 3]);
        assert!(offences("#[expect(dead_code, reason = \"\")]").is_empty());
    }
}
