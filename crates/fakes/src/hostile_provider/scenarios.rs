//! The usual lies, by the row of the security rules that each tests.
//!
//! A test of a row loops over its cases: `for case in id_token::of("p21") { provider.next_id_token(case.alter); … }`.

pub mod authorization;
pub mod id_token;
pub mod jwks;
pub mod metadata;
pub mod reply;
pub mod token_response;

/// One lie.
#[derive(Debug)]
pub struct Case<T: 'static> {
    /// The row, lower case: `p21`.
    pub row: &'static str,
    /// What is wrong, for the message of a failed test.
    pub name: &'static str,
    /// Whether it must be refused; a few are odd and right.
    pub refused: bool,
    /// The change.
    pub alter: fn(&mut T),
}

impl<T> Clone for Case<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Case<T> {}

const fn bad<T>(row: &'static str, name: &'static str, alter: fn(&mut T)) -> Case<T> {
    Case {
        row,
        name,
        refused: true,
        alter,
    }
}

const fn odd<T>(row: &'static str, name: &'static str, alter: fn(&mut T)) -> Case<T> {
    Case {
        row,
        name,
        refused: false,
        alter,
    }
}

fn of_row<T>(cases: &'static [Case<T>], row: &str) -> Vec<Case<T>> {
    cases
        .iter()
        .filter(|case| case.row == row)
        .copied()
        .collect()
}

#[cfg(test)]
mod tests;
