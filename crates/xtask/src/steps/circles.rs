//! No two files of a crate need each other, neither directly nor by way of others (ADR 59).
//!
//! A file needs another one if it names something that is defined there, in `use` or in the middle of code, under whatever
//! name it is exported again. `mod child;` and `pub use` name nothing by themselves: they say where something is. Code
//! of tests does not count.

mod modules;
mod names;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use petgraph::{algo::tarjan_scc, graphmap::DiGraphMap};

use super::{Outcome, StepContext, budget::tracked};
use crate::report::Count;

/// Who needs whom, and what of it.
type Arrows = BTreeMap<(PathBuf, PathBuf), BTreeSet<String>>;

pub(crate) fn run(context: &StepContext) -> Outcome {
    let mut trouble = Vec::new();
    for root in roots(&tracked(context)?) {
        let arrows = arrows(context.root(), Path::new(&root))?;
        trouble.extend(circles(&arrows).iter().map(|circle| told(circle, &arrows)));
    }
    if trouble.is_empty() {
        return Ok(Count::ONE);
    }
    Err(anyhow::anyhow!(trouble.join("\n")).into())
}

/// The files in which libraries and programs begin.
fn roots(files: &[String]) -> Vec<String> {
    let is_root = |file: &&String| file.ends_with("src/lib.rs") || file.ends_with("src/main.rs");
    files.iter().filter(is_root).cloned().collect()
}

/// The arrows of the crate that begins in `root`, a path below `folder`.
fn arrows(folder: &Path, root: &Path) -> anyhow::Result<Arrows> {
    let read = |file: &Path| {
        let path = folder.join(file);
        std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))
    };
    let modules = modules::read(root, &read)?;
    let mut arrows = Arrows::new();
    for (from, to, name) in names::needed(&modules) {
        arrows.entry((from, to)).or_default().insert(name);
    }
    Ok(arrows)
}

/// Each set of files that need each other, in the order of their names.
fn circles(arrows: &Arrows) -> Vec<Vec<&Path>> {
    let graph: DiGraphMap<&Path, ()> = arrows
        .keys()
        .map(|(from, to)| (from.as_path(), to.as_path()))
        .collect();
    let mut circles: Vec<_> = tarjan_scc(&graph)
        .into_iter()
        .filter(|files| files.len() > 1)
        .collect();
    for circle in &mut circles {
        circle.sort_unstable();
    }
    circles.sort_unstable();
    circles
}

/// A circle with each of its arrows.
fn told(circle: &[&Path], arrows: &Arrows) -> String {
    let inside = |file: &PathBuf| circle.contains(&file.as_path());
    let lines = arrows
        .iter()
        .filter(|((from, to), _)| inside(from) && inside(to))
        .map(|((from, to), names)| {
            let names: Vec<_> = names.iter().map(String::as_str).collect();
            format!(
                "  {} needs {} of {}",
                from.display(),
                names.join(", "),
                to.display()
            )
        });
    let head = format!(
        "{} files need each other; move what they share into a file of its own:",
        circle.len()
    );
    std::iter::once(head)
        .chain(lines)
        .collect::<Vec<_>>()
        .join("\n")
}
