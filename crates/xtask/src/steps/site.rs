//! Builds the documentation site. A warning fails the step, and so do a page outside the navigation and a page that loads
//! anything from another host.

use std::path::{Path, PathBuf};
use std::process::Command;

use hubkey_starters::tools;

use super::budget::{read, tracked};
use super::{Outcome, StepContext};
use crate::report::{Count, Failure};

const CONFIGURATION: &str = "zensical.toml";
/// `site_dir` of the configuration.
const OUTPUT: &str = "target/site";
/// The index of decisions lists its pages itself.
const DECISIONS: &str = "docs/adr/0";

pub(crate) fn run(context: &StepContext) -> Outcome {
    tools::require(&["zensical"])?;
    let mut command = Command::new(tools::site::command("zensical"));
    command
        .args([
            "build",
            "--strict",
            "--clean",
            "--config-file",
            CONFIGURATION,
        ])
        .env("NO_COLOR", "1")
        .current_dir(context.root());
    context
        .check("zensical", command)
        .map_err(|failure| said(context, failure))?;
    let mut trouble = outside_navigation(&read(context, CONFIGURATION)?, &tracked(context)?);
    trouble.extend(loaded_from_elsewhere(&context.root().join(OUTPUT))?);
    if trouble.is_empty() {
        return Ok(Count::ONE);
    }
    Err(anyhow::anyhow!(trouble.join("\n")).into())
}

/// What Zensical complains of, without colours and without the stack of its own code.
fn said(context: &StepContext, failure: Failure) -> Failure {
    let Ok(log) = std::fs::read_to_string(context.log("zensical")) else {
        return failure;
    };
    let complaints = log.split("Traceback").next().unwrap_or_default();
    Failure {
        trouble: plain(complaints),
        ..failure
    }
}

/// A text without the escape sequences that colour it.
fn plain(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        text + part.split_once('m').map_or(part, |(_, rest)| rest)
    })
}

/// The pages that the navigation of the configuration does not name.
fn outside_navigation(configuration: &str, files: &[String]) -> Vec<String> {
    let pages = files.iter().filter_map(|file| {
        let page = file.strip_prefix("docs/")?;
        (has_kind(Path::new(page), "md") && !file.starts_with(DECISIONS)).then_some(page)
    });
    let missing = pages.filter(|page| !configuration.contains(&format!("\"{page}\"")));
    missing
        .map(|page| format!("{CONFIGURATION}: `nav` lacks \"{page}\""))
        .collect()
}

/// What the pages of a built site load from other hosts.
fn loaded_from_elsewhere(site: &Path) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    for page in pages(site)? {
        let text = std::fs::read_to_string(&page)?;
        let foreign = loads(&text).filter(|address| is_foreign(address));
        found.extend(foreign.map(|address| format!("{} loads {address}", page.display())));
    }
    Ok(found)
}

/// The HTML files of a folder and of those below it.
fn pages(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in folder.read_dir()? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(pages(&path)?);
        } else if has_kind(&path, "html") {
            found.push(path);
        }
    }
    Ok(found)
}

fn has_kind(file: &Path, kind: &str) -> bool {
    file.extension().is_some_and(|found| found == kind)
}

/// The addresses that a browser loads to show a page: those of scripts, images, frames and style sheets, not of links.
fn loads(page: &str) -> impl Iterator<Item = &str> {
    page.split('<').filter_map(|tag| {
        let name = tag.split(|c: char| !c.is_ascii_alphanumeric()).next()?;
        let attribute = match name {
            "script" | "img" | "iframe" | "source" | "video" | "audio" => "src=",
            "link" if !tag.contains("rel=\"canonical\"") => "href=",
            _ => return None,
        };
        let value = tag.split_once(attribute)?.1;
        let value = value.trim_start_matches(['"', '\'']);
        value.split(['"', '\'', ' ', '>']).next()
    })
}

fn is_foreign(address: &str) -> bool {
    address.starts_with("//") || address.contains("://")
}

#[cfg(test)]
mod tests {
    use super::{is_foreign, loads, outside_navigation, plain};

    #[test]
    fn a_page_outside_the_navigation_is_found() {
        let files = [
            "docs/a.md",
            "docs/b/c.md",
            "docs/adr/0001-x.md",
            "README.md",
        ];
        let files = files.map(str::to_owned);
        let found = outside_navigation("nav = [{ \"A\" = \"a.md\" }]", &files);
        assert_eq!(found, ["zensical.toml: `nav` lacks \"b/c.md\""]);
    }

    #[test]
    fn colours_are_taken_out() {
        assert_eq!(plain("a\u{1b}[38;5;246mb\u{1b}[0mc"), "abc");
    }

    #[test]
    fn what_a_page_loads_from_elsewhere_is_found() {
        let page = "<a href=\"https://example.org\">x</a><script src=https://cdn.example/x.js></script>\
            <link rel=\"stylesheet\" href=\"//fonts.example/y.css\"><link rel=\"canonical\" href=\"https://z\">\
            <img src=\"../images/card.png\">";
        let foreign: Vec<&str> = loads(page).filter(|address| is_foreign(address)).collect();
        assert_eq!(
            foreign,
            ["https://cdn.example/x.js", "//fonts.example/y.css"]
        );
    }
}
