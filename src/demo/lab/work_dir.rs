//! A directory for logs, sockets and kubeconfigs that goes when the laboratory goes.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs, process};

use super::error::{LabError, Result};

/// A directory of one's own, removed when this is dropped.
#[derive(Debug)]
pub struct WorkDir(PathBuf);

impl WorkDir {
    /// Makes one in the place for temporary files.
    pub fn create() -> Result<Self> {
        Self::create_in(&env::temp_dir())
    }

    /// Makes one in `place`.
    pub fn create_in(place: &Path) -> Result<Self> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let path = place.join(format!("vipcast-lab-{}-{number}", process::id()));
        fs::create_dir(&path).map_err(naming(&path))?;
        Ok(Self(path))
    }

    /// The path of a file in it.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a file in it.
    pub fn write(&self, name: &str, content: &str) -> Result<PathBuf> {
        let path = self.file(name);
        fs::write(&path, content).map_err(naming(&path))?;
        Ok(path)
    }
}

impl Drop for WorkDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn naming(path: &Path) -> impl FnOnce(std::io::Error) -> LabError {
    let path = path.display().to_string();
    move |source| LabError::File { path, source }
}
