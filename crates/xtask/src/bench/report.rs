//! What was measured, as JSON for programs and as a page of tables for people.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::machine::Machine;

/// What one measurement found.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Section {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    /// How it was measured.
    pub(crate) about: String,
    pub(crate) columns: Vec<&'static str>,
    pub(crate) rows: Vec<Vec<String>>,
    pub(crate) targets: Vec<Target>,
    /// Every number, unrounded.
    pub(crate) data: Value,
}

/// What was to be reached.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Target {
    pub(crate) what: String,
    pub(crate) wanted: String,
    pub(crate) measured: String,
    pub(crate) met: bool,
}

impl Target {
    /// At most so much.
    pub(crate) fn at_most(what: &str, limit: f64, measured: f64, unit: &str) -> Self {
        Self {
            what: what.to_owned(),
            wanted: format!("≤ {limit}{unit}"),
            measured: format!("{measured:.2}{unit}"),
            met: measured <= limit,
        }
    }

    /// At least so much.
    pub(crate) fn at_least(what: &str, limit: f64, measured: f64, unit: &str) -> Self {
        Self {
            what: what.to_owned(),
            wanted: format!("≥ {limit}{unit}"),
            measured: format!("{measured:.2}{unit}"),
            met: measured >= limit,
        }
    }
}

/// All of a run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) sections: Vec<Section>,
}

impl Report {
    pub(crate) fn json(&self) -> anyhow::Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    /// The page.
    pub(crate) fn page(&self) -> String {
        let mut page = format!("{}\n{}\n", HEAD.trim_start(), self.circumstances());
        page.push_str("\n## Targets\n\n");
        let targets = self.sections.iter().flat_map(|section| &section.targets);
        let rows = targets.map(|target| {
            let met = if target.met { "yes" } else { "**no**" };
            let texts = [&target.what, &target.wanted, &target.measured];
            let mut row: Vec<String> = texts.into_iter().cloned().collect();
            row.push(met.to_owned());
            row
        });
        page.push_str(&table(&["what", "target", "measured", "met"], rows));
        for section in &self.sections {
            // Writing to a String cannot fail.
            let _ = write!(page, "\n## {}\n\n{}\n\n", section.title, section.about);
            page.push_str(&table(&section.columns, section.rows.iter().cloned()));
        }
        page
    }

    fn circumstances(&self) -> String {
        let Machine {
            date,
            commit,
            processor,
            cores,
            kernel,
            compiler,
            redis,
            load,
        } = &self.machine;
        format!(
            "Measured on {date} of commit {commit}: {processor}, {cores} cores, {kernel}, {compiler}, Redis {redis} on \
             loopback. Load average before the first measurement and after the last one: {}.\n",
            load.join(" and ")
        )
    }
}

const HEAD: &str = "
<!-- written by `cargo xtask bench`, with `docs/explanation/bench.json`; change neither by hand -->

# Speed and memory

`cargo xtask bench` measures this and writes this page. Everything runs on one machine and shares its cores: the broker,
Redis, the peers and what asks them; a machine of its own for each gives other absolute numbers. Peers are measured in
turns within the same run, several rounds each; a table shows the median and in brackets the lowest and highest round. The
broker is the program of a release build (with symbols, which change no code) with JSON logs, metrics and the audit
stream on, as in production, at a real Redis that appends every write to a file.

![Token reads a second: hubkey beside bare axum, tornado, the Hub and Redis](../images/token-reads.svg)
";

fn table(columns: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut text = line(columns.iter().map(ToString::to_string));
    text.push_str(&line(columns.iter().map(|_| "---".to_owned())));
    for row in rows {
        text.push_str(&line(row.into_iter()));
    }
    text
}

fn line(cells: impl Iterator<Item = String>) -> String {
    let cells: Vec<String> = cells.collect();
    format!("| {} |\n", cells.join(" | "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Machine, Report, Section, Target};

    fn report() -> Report {
        let section = Section {
            name: "one",
            title: "One thing",
            about: "How it was done.".to_owned(),
            columns: vec!["who", "how many"],
            rows: vec![vec!["we".to_owned(), "3".to_owned()]],
            targets: vec![
                Target::at_most("time", 10.0, 9.99, " ms"),
                Target::at_least("ratio", 0.75, 0.7, "×"),
            ],
            data: json!({ "n": 3 }),
        };
        Report {
            machine: Machine::look(),
            sections: vec![section],
        }
    }

    #[test]
    fn the_page_says_which_targets_were_missed() {
        let page = report().page();
        assert!(
            page.contains("| time | ≤ 10 ms | 9.99 ms | yes |"),
            "{page}"
        );
        assert!(
            page.contains("| ratio | ≥ 0.75× | 0.70× | **no** |"),
            "{page}"
        );
        assert!(page.contains(
            "## One thing\n\nHow it was done.\n\n| who | how many |\n| --- | --- |\n| we | 3 |"
        ));
    }

    #[test]
    fn the_json_has_every_number() {
        let text = report().json().unwrap();
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json["sections"][0]["data"]["n"], 3);
        assert_eq!(json["sections"][0]["targets"][1]["met"], false);
        assert!(json["machine"]["cores"].as_u64() > Some(0));
    }
}
