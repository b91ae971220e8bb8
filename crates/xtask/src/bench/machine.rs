//! Where and of what was measured.

use std::process::Command;

use hubkey_starters::process::checkout;
use serde::Serialize;

/// The machine, the moment and the version.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Machine {
    pub(crate) date: String,
    pub(crate) commit: String,
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) kernel: String,
    pub(crate) compiler: String,
    pub(crate) redis: String,
    /// The load average of the last minute: before the first measurement and after the last one.
    pub(crate) load: Vec<String>,
}

impl Machine {
    pub(crate) fn look() -> Self {
        let commit = said("git", &["rev-parse", "--short=12", "HEAD"]);
        let changed = !said("git", &["status", "--porcelain", "--untracked-files=no"]).is_empty();
        Self {
            date: said("date", &["-u", "+%Y-%m-%d %H:%M UTC"]),
            commit: if changed {
                format!("{commit} with changes")
            } else {
                commit
            },
            processor: processor(&read("/proc/cpuinfo")),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            kernel: said("uname", &["-sr"]),
            compiler: said("rustc", &["--version"]),
            redis: said("redis-server", &["--version"])
                .split_whitespace()
                .find_map(|word| word.strip_prefix("v="))
                .unwrap_or("unknown")
                .to_owned(),
            load: vec![load()],
        }
    }

    /// Notes how busy the machine is by now.
    pub(crate) fn look_again(&mut self) {
        self.load.push(load());
    }
}

fn load() -> String {
    let text = read("/proc/loadavg");
    text.split(' ').next().unwrap_or("unknown").to_owned()
}

fn processor(cpuinfo: &str) -> String {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"));
    let name = line.and_then(|line| line.split_once(':'));
    name.map_or("unknown", |(_, name)| name.trim()).to_owned()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// The first line that a program prints; empty where it cannot be run.
fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(checkout())
        .output();
    let text = output.map_or_else(|_| Vec::new(), |output| output.stdout);
    let text = String::from_utf8_lossy(&text);
    text.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::processor;

    #[test]
    fn the_processor_is_the_one_of_the_first_core() {
        let text =
            "processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\nprocessor\t: 1\nmodel name\t: x\n";
        assert_eq!(processor(text), "Some CPU @ 2 GHz");
        assert_eq!(processor(""), "unknown");
    }
}
