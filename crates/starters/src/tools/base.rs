//! What every tool is looked for and installed with.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

/// The cache folder of hubkey's developers: `$XDG_CACHE_HOME/hubkey` or `~/.cache/hubkey`.
#[must_use]
pub fn cache_folder() -> PathBuf {
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_else(|| "/tmp".into()));
    let base = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute());
    base.unwrap_or_else(|| home().join(".cache")).join("hubkey")
}

/// Where a program is, on the PATH or in the folders that root's PATH has.
#[must_use]
pub fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/bin", "/usr/sbin", "/usr/local/bin"].map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// Where a program is, or a sentence that names it.
pub fn program(name: &str) -> anyhow::Result<PathBuf> {
    on_path(name).with_context(|| format!("{name} is missing; `cargo xtask test` installs it"))
}

/// What a program prints, both streams, if it can be run and succeeds.
pub(super) fn output_of(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(on_path(program)?)
        .args(arguments)
        .output()
        .ok()?;
    output.status.success().then(|| {
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.push_str(&String::from_utf8_lossy(&output.stderr));
        text
    })
}

/// The log file of an installation.
pub(super) fn log(name: &str) -> anyhow::Result<PathBuf> {
    let folder = cache_folder().join("logs");
    std::fs::create_dir_all(&folder)?;
    Ok(folder.join(format!("{name}.log")))
}

/// The first characters of the SHA-256 of some bytes, for names of folders.
#[must_use]
pub fn short_hash(parts: &[&[u8]]) -> String {
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    for part in parts {
        context.update(part);
    }
    hex(context.finish().as_ref())[..12].to_owned()
}

/// Bytes as lower-case hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Does some work while no other process of this user does the same, then leaves the mark that it is done.
pub(super) fn once(folder: &Path, work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
    let _one_at_a_time = lock(folder)?;
    if is_complete(folder) {
        return Ok(());
    }
    if folder.exists() {
        std::fs::remove_dir_all(folder)?;
    }
    std::fs::create_dir_all(folder)?;
    work()?;
    mark_complete(folder)
}

/// Waits until no other process of this user works on the folder; the lock ends when the file is dropped.
pub fn lock(folder: &Path) -> anyhow::Result<std::fs::File> {
    std::fs::create_dir_all(folder.parent().unwrap_or(folder))?;
    let mut name = folder.as_os_str().to_owned();
    name.push(".lock");
    let lock = std::fs::File::create(name)?;
    lock.lock()?;
    Ok(lock)
}

const COMPLETE: &str = ".complete";

/// Whether the work on a folder was finished, whoever did it.
#[must_use]
pub fn is_complete(folder: &Path) -> bool {
    folder.join(COMPLETE).exists()
}

/// Leaves the mark that the work on a folder is finished.
pub fn mark_complete(folder: &Path) -> anyhow::Result<()> {
    Ok(std::fs::write(folder.join(COMPLETE), "")?)
}
