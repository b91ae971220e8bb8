//! Mutations of what the provider sends: of every object, or of the next one only.

use std::collections::VecDeque;
use std::fmt;

type Always<T> = Box<dyn Fn(&mut T) + Send>;
type Once<T> = Box<dyn FnOnce(&mut T) + Send>;

/// Changes for every object, and for the next ones in turn.
pub(super) struct Mutations<T> {
    always: Vec<Always<T>>,
    next: VecDeque<Once<T>>,
}

impl<T> Default for Mutations<T> {
    fn default() -> Self {
        Self {
            always: Vec::new(),
            next: VecDeque::new(),
        }
    }
}

impl<T> fmt::Debug for Mutations<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Mutations({} always, {} next)",
            self.always.len(),
            self.next.len()
        )
    }
}

impl<T> Mutations<T> {
    pub(super) fn always(&mut self, alter: impl Fn(&mut T) + Send + 'static) {
        self.always.push(Box::new(alter));
    }

    pub(super) fn next(&mut self, alter: impl FnOnce(&mut T) + Send + 'static) {
        self.next.push_back(Box::new(alter));
    }

    pub(super) fn apply(&mut self, object: &mut T) {
        for alter in &self.always {
            alter(object);
        }
        if let Some(alter) = self.next.pop_front() {
            alter(object);
        }
    }
}
