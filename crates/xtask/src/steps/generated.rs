//! The parts of the texts that come from the code: settings, OpenAPI document and command line, which the programs print
//! themselves, what is made of the OpenAPI document and of the Python package, and with them the schema of the chart's
//! values.

mod bounds;
mod decisions;
mod failures;
mod http;
mod plot;
mod reasons;
mod rules;
mod tables;

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail, ensure};
use hubkey_e2e::stack::servers;
use hubkey_starters::tools;

use super::budget::read;
use super::{Outcome, StepContext, chart};
use crate::report::Count;

const OPENAPI: &str = "docs/reference/openapi.json";
const MEASUREMENTS: &str = "docs/explanation/bench.json";
const PYTHON: &str = "e2e/tools/python_reference.py";
const PACKAGE: &str = "crates/python-shim/python";

/// What makes a part.
enum Maker {
    /// A program of ours with this argument.
    Program(&'static str, &'static str),
    /// The OpenAPI document.
    OpenApi,
    /// The table of failures in `hubkey-protocol`.
    Failures,
    /// The table of bounds there.
    Bounds,
    /// The table of rules there.
    Rules,
    /// The source of the Python package.
    Python,
    /// What `cargo xtask bench` measured.
    Measurements,
    /// A file of YAML, as it is.
    Yaml(&'static str),
}

/// A part of a page, and where it stands.
struct Part {
    maker: Maker,
    file: &'static str,
    /// Whether it is the whole file; else it stands between two comments that name the maker.
    whole: bool,
}

/// In the order in which they are made: the second needs the first one that is whole.
const PARTS: [Part; 11] = [
    Part {
        maker: Maker::Program("token-broker", "openapi"),
        file: OPENAPI,
        whole: true,
    },
    Part {
        maker: Maker::OpenApi,
        file: "docs/reference/http-api.md",
        whole: false,
    },
    Part {
        maker: Maker::Failures,
        file: "docs/reference/errors.md",
        whole: false,
    },
    Part {
        maker: Maker::Bounds,
        file: "docs/reference/limits.md",
        whole: false,
    },
    Part {
        maker: Maker::Rules,
        file: "docs/reference/provider-rules.md",
        whole: false,
    },
    Part {
        maker: Maker::Program("token-broker", "reference"),
        file: "docs/reference/settings-token-broker.md",
        whole: false,
    },
    Part {
        maker: Maker::Program("callback-server", "reference"),
        file: "docs/reference/settings-callback-server.md",
        whole: false,
    },
    Part {
        maker: Maker::Program("hubkey", "reference"),
        file: "docs/reference/command-line.md",
        whole: false,
    },
    Part {
        maker: Maker::Python,
        file: "docs/reference/python-api.md",
        whole: false,
    },
    Part {
        maker: Maker::Measurements,
        file: "docs/images/token-reads.svg",
        whole: true,
    },
    Part {
        maker: Maker::Yaml("k8s/hubkey/values.yaml"),
        file: "docs/reference/chart-values.md",
        whole: false,
    },
];

/// Checks that each part is what its maker makes now.
pub(crate) fn run(context: &StepContext) -> Outcome {
    tools::require(&["zensical"])?;
    let programs = servers::build()?;
    for part in &PARTS {
        if let Some(complaint) = part.complaint(context, &programs)? {
            return Err(anyhow::anyhow!(complaint).into());
        }
    }
    if read(context, chart::SCHEMA)? != chart::schema(context, &programs)? {
        let trouble = format!(
            "{} is not what k8s/schema makes of the settings now: run `cargo xtask docs` and commit what it changes",
            chart::SCHEMA
        );
        return Err(anyhow::anyhow!(trouble).into());
    }
    Ok(Count::ONE)
}

/// What is not current of that which no program of ours prints.
pub(super) fn stale(context: &StepContext) -> anyhow::Result<Vec<String>> {
    tools::require(&["zensical"])?;
    let mut found = tables::stale(context)?;
    let made_here = PARTS
        .iter()
        .filter(|part| !matches!(part.maker, Maker::Program(..)));
    for part in made_here {
        found.extend(part.complaint(context, Path::new(""))?);
    }
    found.extend(decisions::stale(context)?);
    found.extend(reasons::missing(context)?);
    Ok(found)
}

/// Writes each part anew, the tables of names and the index of decisions.
pub(crate) fn write(context: &StepContext) -> anyhow::Result<()> {
    tools::require(&["zensical"])?;
    let programs = servers::build()?;
    for part in &PARTS {
        let text = if part.whole {
            String::new()
        } else {
            read(context, part.file)?
        };
        let text = part.put_into(&text, &part.make(context, &programs)?)?;
        std::fs::write(context.root().join(part.file), text)?;
    }
    tables::write(context)?;
    decisions::write(context)?;
    let schema = chart::schema(context, &programs)?;
    Ok(std::fs::write(context.root().join(chart::SCHEMA), schema)?)
}

impl Maker {
    /// What the comments around a part call it.
    fn name(&self) -> String {
        match self {
            Self::Program(program, argument) => format!("{program} {argument}"),
            Self::OpenApi => "openapi.json".to_owned(),
            Self::Failures => "the table of failures".to_owned(),
            Self::Bounds => "the table of bounds".to_owned(),
            Self::Rules => "the table of rules".to_owned(),
            Self::Python => "python_reference.py".to_owned(),
            Self::Measurements => "bench.json".to_owned(),
            Self::Yaml(file) => (*file).to_owned(),
        }
    }
}

impl Part {
    /// Says so where the part is not what its maker makes now.
    fn complaint(&self, context: &StepContext, programs: &Path) -> anyhow::Result<Option<String>> {
        let text = read(context, self.file)?;
        if self.put_into(&text, &self.make(context, programs)?)? == text {
            return Ok(None);
        }
        Ok(Some(format!(
            "{} is not what {} makes now: run `cargo xtask docs` and commit what it changes",
            self.file,
            self.maker.name()
        )))
    }

    fn make(&self, context: &StepContext, programs: &Path) -> anyhow::Result<String> {
        match &self.maker {
            Maker::Program(program, argument) => {
                printed(Command::new(programs.join(program)).arg(argument))
            }
            Maker::Measurements => plot::token_reads(&read(context, MEASUREMENTS)?),
            Maker::Yaml(file) => Ok(format!("```yaml\n{}\n```", read(context, file)?.trim_end())),
            Maker::Failures => Ok(failures::reference()),
            Maker::Bounds => Ok(bounds::reference()),
            Maker::Rules => Ok(rules::reference()),
            Maker::OpenApi => http::reference(&read(context, OPENAPI)?),
            Maker::Python => {
                let mut command = Command::new(tools::site::command("python"));
                let script = context.root().join(PYTHON);
                printed(command.arg(script).arg(context.root().join(PACKAGE)))
            }
        }
    }

    fn put_into(&self, text: &str, part: &str) -> anyhow::Result<String> {
        if self.whole {
            return Ok(part.to_owned());
        }
        let name = self.maker.name();
        let begin = format!("<!-- made by `{name}`; written by `cargo xtask docs` -->\n");
        let end = format!("<!-- end of what `{name}` makes -->");
        let places = text
            .split_once(&begin)
            .and_then(|(before, rest)| Some((before, rest.split_once(&end)?.1)));
        let Some((before, after)) = places else {
            bail!("{} lacks the comments around {begin}", self.file);
        };
        Ok(format!("{before}{begin}\n{}\n\n{end}{after}", part.trim()))
    }
}

/// What a program prints.
fn printed(command: &mut Command) -> anyhow::Result<String> {
    let program = command.get_program().display().to_string();
    let output = command
        .output()
        .with_context(|| format!("starting {program}"))?;
    ensure!(
        output.status.success() && !output.stdout.is_empty(),
        "{program} prints nothing: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?)
}

#[cfg(test)]
mod tests {
    use super::{Maker, Part};

    #[test]
    fn a_part_is_replaced_and_nothing_else() {
        let broker = Part {
            maker: Maker::Program("token-broker", "reference"),
            file: "docs/reference/settings-token-broker.md",
            whole: false,
        };
        let old = "a\n<!-- made by `token-broker reference`; written by `cargo xtask docs` -->\nold\n\
            <!-- end of what `token-broker reference` makes -->\nb\n";
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
