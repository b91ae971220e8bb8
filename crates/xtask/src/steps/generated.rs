//! The parts of the texts that the programs print themselves: the settings reference, the OpenAPI document, and with
//! them the schema of the chart's values.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail, ensure};
use hubkey_e2e::servers;

use super::budget::read;
use super::{Bench, Outcome, chart};
use crate::report::Count;

/// What one program prints, and where it stands.
struct Part {
    program: &'static str,
    argument: &'static str,
    file: &'static str,
    /// Whether it is the whole file; else it stands between two comments that name the program.
    whole: bool,
}

const PARTS: [Part; 4] = [
    Part {
        program: "token-broker",
        argument: "reference",
        file: "docs/reference/settings-token-broker.md",
        whole: false,
    },
    Part {
        program: "callback-server",
        argument: "reference",
        file: "docs/reference/settings-callback-server.md",
        whole: false,
    },
    Part {
        program: "token-broker",
        argument: "openapi",
        file: "docs/reference/openapi.json",
        whole: true,
    },
    Part {
        program: "hubkey",
        argument: "reference",
        file: "docs/reference/command-line.md",
        whole: false,
    },
];

/// Checks that each part is what its program prints now.
pub(crate) fn run(bench: &Bench) -> Outcome {
    let programs = servers::build()?;
    for part in &PARTS {
        let text = read(bench, part.file)?;
        if part.put_into(&text, &part.print(&programs)?)? != text {
            let Part { program, file, .. } = part;
            let trouble = format!(
                "{file} is not what {program} prints now: run `cargo xtask docs` and commit what it changes"
            );
            return Err(anyhow::anyhow!(trouble).into());
        }
    }
    if read(bench, chart::SCHEMA)? != chart::schema(bench, &programs)? {
        let trouble = format!(
            "{} is not what k8s/schema makes of the settings now: run `cargo xtask docs` and commit what it changes",
            chart::SCHEMA
        );
        return Err(anyhow::anyhow!(trouble).into());
    }
    Ok(Count::ONE)
}

/// Writes each part anew.
pub(crate) fn write(bench: &Bench) -> anyhow::Result<()> {
    let programs = servers::build()?;
    for part in &PARTS {
        let text = if part.whole {
            String::new()
        } else {
            read(bench, part.file)?
        };
        let text = part.put_into(&text, &part.print(&programs)?)?;
        std::fs::write(bench.root().join(part.file), text)?;
    }
    let schema = chart::schema(bench, &programs)?;
    Ok(std::fs::write(bench.root().join(chart::SCHEMA), schema)?)
}

impl Part {
    fn print(&self, programs: &Path) -> anyhow::Result<String> {
        let output = Command::new(programs.join(self.program))
            .arg(self.argument)
            .output()
            .with_context(|| format!("starting {}", self.program))?;
        ensure!(
            output.status.success() && !output.stdout.is_empty(),
            "{} {} prints nothing",
            self.program,
            self.argument
        );
        Ok(String::from_utf8(output.stdout)?)
    }

    fn put_into(&self, text: &str, part: &str) -> anyhow::Result<String> {
        if self.whole {
            return Ok(part.to_owned());
        }
        let begin = format!(
            "<!-- printed by `{} {}`; written by `cargo xtask docs` -->\n",
            self.program, self.argument
        );
        let end = format!("<!-- end of what {} prints -->", self.program);
        let places = text
            .split_once(&begin)
            .and_then(|(before, rest)| Some((before, rest.split_once(&end)?.1)));
        let Some((before, after)) = places else {
            bail!("{} lacks the comments around {begin}", self.file);
        };
        Ok(format!("{before}{begin}\n{}\n\n{end}{after}", part.trim()))
    }
}

#[cfg(test)]
mod tests {
    use super::PARTS;

    #[test]
    fn a_part_is_replaced_and_nothing_else() {
        let [broker, ..] = &PARTS;
        let old = "a\n<!-- printed by `token-broker reference`; written by `cargo xtask docs` -->\nold\n\
            <!-- end of what token-broker prints -->\nb\n";
        let new = broker.put_into(old, "new\n\n").unwrap();
        assert!(
            new.starts_with("a\n<!--") && new.ends_with("-->\nb\n"),
            "{new}"
        );
        assert!(new.contains("\nnew\n") && !new.contains("old"), "{new}");
        assert_eq!(broker.put_into(&new, "new\n").unwrap(), new);
        assert!(broker.put_into("no comments", "new").is_err());
    }
}
