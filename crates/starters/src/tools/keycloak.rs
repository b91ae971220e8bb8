//! Keycloak's own distribution, fetched by Maven and checked before it is unpacked.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

use super::base::{cache_folder, hex, is_complete, log, on_path, once, short_hash};
use crate::console;

const VERSION: &str = "26.7.3";
const SHA_256: &str = "27a6535553c3cdcd083872ba40629efafb3475e3b758e0c6f691395561dd0f1f";

fn folder() -> PathBuf {
    cache_folder().join(format!("keycloak-{VERSION}"))
}

/// The unpacked distribution. It is a template: runs work on copies.
#[must_use]
pub fn distribution() -> PathBuf {
    folder().join(format!("keycloak-{VERSION}"))
}

/// The folder of the built Keycloak that has imported a realm, whether it is there yet or not.
#[must_use]
pub fn template(realm: &str) -> PathBuf {
    let hash = short_hash(&[VERSION.as_bytes(), realm.as_bytes()]);
    cache_folder().join(format!("keycloak-built-{hash}"))
}

pub(super) fn fetched() -> bool {
    is_complete(&folder())
}

pub(super) fn fetch() -> anyhow::Result<()> {
    let folder = folder();
    once(&folder, || {
        let archive = folder.join(format!("keycloak-quarkus-dist-{VERSION}.zip"));
        let maven = on_path("mvn").context("mvn is missing")?;
        let mut command = Command::new(maven);
        command
            .args(["--batch-mode", "dependency:copy"])
            .arg(format!(
                "-Dartifact=org.keycloak:keycloak-quarkus-dist:{VERSION}:zip"
            ))
            .arg(format!("-DoutputDirectory={}", folder.display()))
            .current_dir(&folder);
        console::run("mvn dependency:copy", &mut command, &log("mvn")?)?;
        check(&archive)?;
        let python = on_path("python3").context("python3 is missing")?;
        let mut unpack = Command::new(python);
        unpack
            .args(["-m", "zipfile", "-e"])
            .arg(&archive)
            .arg(&folder);
        console::run("unpack", &mut unpack, &log("unpack")?)?;
        std::fs::remove_file(&archive)?;
        Ok(())
    })
}

fn check(archive: &Path) -> anyhow::Result<()> {
    let bytes = std::fs::read(archive)
        .with_context(|| format!("Maven did not bring {}", archive.display()))?;
    let found = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &bytes);
    let found = hex(found.as_ref());
    if found != SHA_256 {
        bail!("Keycloak's archive has the SHA-256 {found}, not {SHA_256}: it was not unpacked.");
    }
    Ok(())
}
