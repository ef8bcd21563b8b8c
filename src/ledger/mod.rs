//! What a run leaves behind: its directory, an append-only record of events, checkpoints, and the outcome.
//!
//! Invariant: nothing here knows the language, the plan or burn; a run that was killed at any instant can be read.

mod checkpoint;
mod event;
mod outcome;

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

pub use checkpoint::{Checkpoints, Position};
pub use event::{Event, Journal, Recorded, gap, recorded_steps};
pub use outcome::{Compared, Outcome, Reason};

/// The directory of one run, locked while a process works in it.
#[derive(Debug)]
pub struct RunDirectory {
    path: PathBuf,
    _lock: File,
}

/// Names of the files in a run's directory.
pub mod files {
    /// The recipe as the user wrote it.
    pub const RECIPE: &str = "recipe.ron";
    /// The plan that is run.
    pub const PLAN: &str = "plan.ron";
    /// One JSON object a line for each event.
    pub const METRICS: &str = "metrics.jsonl";
    /// What was done when, as trace events.
    pub const TRACE: &str = "trace.json";
    /// The tokenizer.
    pub const TOKENIZER: &str = "tokenizer.json";
    /// The weights.
    pub const WEIGHTS: &str = "weights.safetensors";
    /// The moments of the optimizer.
    pub const OPTIMIZER: &str = "optimizer.safetensors";
    /// Where the run stands.
    pub const POSITION: &str = "position.json";
    /// What came of it.
    pub const OUTCOME: &str = "outcome.json";
    /// Checkpoints, one directory each.
    pub const CHECKPOINTS: &str = "checkpoints";
    /// Held by the process that works here.
    pub const LOCK: &str = ".lock";
}

impl RunDirectory {
    /// Makes `<parent>/<name>`, or `<name>-2` and so on where that is there already.
    ///
    /// # Errors
    /// Where the directory cannot be made or locked.
    pub fn create(parent: &Path, name: &str) -> io::Result<Self> {
        fs::create_dir_all(parent)?;
        for n in 1u32.. {
            let path = parent.join(if n == 1 { name.to_owned() } else { format!("{name}-{n}") });
            match fs::create_dir(&path) {
                Ok(()) => {
                    sync_directory(parent)?;
                    return Self::open(&path);
                }
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(e),
            }
        }
        Err(io::Error::other("no free name"))
    }

    /// Opens a run's directory.
    ///
    /// # Errors
    /// Where it is not there, or another process works in it ([`io::ErrorKind::WouldBlock`]).
    pub fn open(path: &Path) -> io::Result<Self> {
        let lock = File::options().create(true).append(true).open(path.join(files::LOCK))?;
        lock.try_lock().map_err(io::Error::from)?;
        sync_directory(path)?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of a file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Its checkpoints.
    pub fn checkpoints(&self) -> Checkpoints {
        Checkpoints::new(self.file(files::CHECKPOINTS))
    }
}

/// Writes a file so that at every instant either the old content or the new one is there, also after a crash.
///
/// # Errors
/// Where the disk refuses.
pub fn write_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let Some(name) = path.file_name().filter(|_| !path.is_dir()) else { return Err(io::ErrorKind::IsADirectory.into()) };
    let temporary = path.with_file_name(format!(".{}.new", name.to_string_lossy()));
    let write = || {
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    };
    if let Err(error) = write() {
        // Nothing is left behind; that this fails too would only hide why.
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    sync_directory(path.parent().unwrap_or(Path::new(".")))
}

/// Makes a directory's entries durable.
///
/// # Errors
/// Where the disk refuses.
pub fn sync_directory(path: &Path) -> io::Result<()> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_run_of_one_name_gets_a_number() {
        let parent = tempfile::tempdir().unwrap();
        let first = RunDirectory::create(parent.path(), "a").unwrap();
        let second = RunDirectory::create(parent.path(), "a").unwrap();
        assert_eq!((first.path(), second.path()), (parent.path().join("a").as_path(), parent.path().join("a-2").as_path()));
    }

    #[test]
    fn a_directory_in_use_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        let first = RunDirectory::create(parent.path(), "a").unwrap();
        assert_eq!(RunDirectory::open(first.path()).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn a_file_written_durably_replaces_the_old_one() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("x");
        write_durably(&path, b"old").unwrap();
        write_durably(&path, b"new").unwrap();
        assert_eq!((fs::read(&path).unwrap(), fs::read_dir(parent.path()).unwrap().count()), (b"new".to_vec(), 1));
    }
}
