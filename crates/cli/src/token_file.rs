//! A file that holds one token, for its owner only.

use std::{
    fs, io,
    io::Write as _,
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::{Path, PathBuf},
};

use hubkey_protocol::secret::AccessToken;

use crate::{
    failure::{Exit, Failure},
    output::line_of,
};

/// The file. It is removed when this is dropped, unless somebody has put another one in its place.
pub(crate) struct TokenFile {
    path: PathBuf,
    /// Device and inode of what was written last.
    written: Option<(u64, u64)>,
}

impl TokenFile {
    /// Nothing is written yet.
    pub(crate) fn at(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            written: None,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Puts a token there, in one step: who reads sees the old one or the new one. No newline follows it.
    pub(crate) fn write(&mut self, token: &AccessToken) -> Result<(), Failure> {
        let token = line_of(token)?;
        self.replace(token.as_bytes())
            .map_err(|error| self.cannot(&error))
    }

    /// Fails where no file could be put. To be known before a person is asked to sign in for it.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let there = fs::symlink_metadata(&self.path);
        let is_folder = there.is_ok_and(|there| there.is_dir());
        if is_folder || self.path.as_os_str().as_bytes().ends_with(b"/") {
            return Err(self.cannot(&io::ErrorKind::IsADirectory.into()));
        }
        self.beside().map(drop).map_err(|error| self.cannot(&error))
    }

    fn cannot(&self, error: &io::Error) -> Failure {
        let reason = match error.kind() {
            io::ErrorKind::NotFound => "its folder does not exist".to_owned(),
            kind => kind.to_string(),
        };
        let said = format!("{} cannot be written: {reason}.", self.path.display());
        Failure::new(Exit::Failed, said)
    }

    /// Created for its owner only, under a name that nobody knows and that did not exist.
    fn beside(&self) -> io::Result<tempfile::NamedTempFile> {
        let folder = self
            .path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        tempfile::Builder::new()
            .prefix(".hubkey-")
            .tempfile_in(folder.unwrap_or(Path::new(".")))
    }

    fn replace(&mut self, content: &[u8]) -> io::Result<()> {
        let mut file = self.beside()?;
        file.write_all(content)?;
        let identity = identity(&file.as_file().metadata()?);
        file.persist(&self.path).map_err(|error| error.error)?;
        self.written = Some(identity);
        Ok(())
    }

    fn is_ours(&self) -> bool {
        let there = fs::symlink_metadata(&self.path).map(|found| identity(&found));
        there.is_ok_and(|found| Some(found) == self.written)
    }
}

impl Drop for TokenFile {
    fn drop(&mut self) {
        if self.is_ours() {
            // Whoever removed its folder has removed it too.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(file: &fs::Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn only_its_owner_can_read_it_and_it_is_replaced_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let mut file = TokenFile::at(&path);
        for token in ["one", "another"] {
            file.write(&AccessToken::new(token)).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), token);
            assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
        }
        assert_eq!(folder.path().read_dir().unwrap().count(), 1);
        drop(file);
        assert!(!path.exists());
    }

    #[test]
    fn a_link_is_replaced_and_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (path, target) = (folder.path().join("token"), folder.path().join("target"));
        fs::write(&target, "mine").unwrap();
        symlink(&target, &path).unwrap();
        let mut file = TokenFile::at(&path);
        file.write(&AccessToken::new("secret")).unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "mine");
        assert!(fs::symlink_metadata(&path).unwrap().is_file());
    }

    #[test]
    fn a_file_of_somebody_else_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let mut file = TokenFile::at(&path);
        file.write(&AccessToken::new("secret")).unwrap();
        let other = folder.path().join("other");
        fs::write(&other, "theirs").unwrap();
        fs::rename(&other, &path).unwrap();
        drop(file);
        assert_eq!(fs::read_to_string(&path).unwrap(), "theirs");
    }

    #[test]
    fn where_no_file_can_be_is_told_before_there_is_a_token() {
        let folder = tempfile::tempdir().unwrap();
        let text = folder.path().to_str().unwrap();
        for (path, reason) in [
            ("/nowhere/token".to_owned(), "its folder does not exist"),
            (text.to_owned(), "is a directory"),
            (format!("{text}/new/"), "is a directory"),
        ] {
            let file = TokenFile::at(&path);
            let failure = file.check().unwrap_err();
            assert_eq!(failure.exit(), Exit::Failed);
            let said = failure.said();
            assert!(said.contains(&path) && said.contains(reason), "{said}");
        }
        assert!(TokenFile::at(folder.path().join("token")).check().is_ok());
        assert_eq!(folder.path().read_dir().unwrap().count(), 0);
    }

    #[test]
    fn what_cannot_be_written_is_told_without_the_token() {
        let mut file = TokenFile::at("/nowhere/token");
        let failure = file.write(&AccessToken::new("canary-token")).unwrap_err();
        assert_eq!(failure.exit(), Exit::Failed);
        assert!(failure.said().contains("/nowhere/token") && !failure.said().contains("canary"));
    }
}
