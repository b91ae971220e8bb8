//! Every sequence of choices up to a number of deviations, one after the other.

/// Answers the questions of one run after the other. The first option of a question is what happens if nothing is
/// unusual; any other is a deviation, of which a run may hold so many.
#[derive(Debug)]
pub(crate) struct Choices {
    deviations: usize,
    /// What was chosen, out of how many, in this run; its beginning is given.
    path: Vec<(usize, usize)>,
    asked: usize,
    left: usize,
}

impl Choices {
    pub(crate) fn new(deviations: usize) -> Self {
        Self {
            deviations,
            path: Vec::new(),
            asked: 0,
            left: deviations,
        }
    }

    /// The answer to the next question of this run.
    pub(crate) fn choose(&mut self, options: usize) -> usize {
        let options = if self.left == 0 { 1 } else { options };
        if self.asked == self.path.len() {
            self.path.push((0, options));
        }
        let (chosen, known) = self.path[self.asked];
        assert_eq!(known, options, "the same choices led elsewhere");
        self.asked += 1;
        self.left -= usize::from(chosen > 0);
        chosen
    }

    /// Goes on to the next run, unless this was the last.
    pub(crate) fn next_play(&mut self) -> bool {
        self.path.truncate(self.asked);
        while let Some((chosen, options)) = self.path.pop() {
            if chosen + 1 < options {
                self.path.push((chosen + 1, options));
                break;
            }
        }
        (self.asked, self.left) = (0, self.deviations);
        !self.path.is_empty()
    }

    /// How often something was unusual in this run.
    pub(crate) fn deviations(&self) -> usize {
        self.deviations - self.left
    }
}

#[cfg(test)]
mod tests {
    use super::Choices;

    #[test]
    fn every_sequence_comes_once() {
        let mut choices = Choices::new(2);
        let mut runs = Vec::new();
        loop {
            runs.push([choices.choose(2), choices.choose(3), choices.choose(2)]);
            if !choices.next_play() {
                break;
            }
        }
        let all = (0..2).flat_map(|a| (0..3).flat_map(move |b| (0..2).map(move |c| [a, b, c])));
        let permitted: Vec<_> = all
            .filter(|run| run.iter().filter(|chosen| **chosen > 0).count() <= 2)
            .collect();
        assert_eq!(runs, permitted);
    }
}
