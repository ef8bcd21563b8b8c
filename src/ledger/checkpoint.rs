//! Checkpoints: a directory each, complete or not there at all.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{files, sync_directory, write_durably};

/// Where a run stands at the end of an optimizer step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// Optimizer steps done.
    pub step: u64,
    /// Micro-steps done; the data cursor.
    pub micro_steps: u64,
    /// Clock of the run, seconds.
    pub elapsed: f64,
    /// Progress at the last step's beginning.
    pub progress: f64,
    /// Evaluations that were due so far.
    pub evaluations: u64,
    /// A micro-step as it was last, seconds.
    pub micro_step_time: f64,
    /// An update as it was last, seconds.
    pub update_time: f64,
    /// Longest evaluation so far, seconds.
    pub evaluation_time: f64,
    /// Longest saving so far, seconds.
    pub saving_time: f64,
}

/// The checkpoints of a run.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    directory: PathBuf,
}

impl Checkpoints {
    /// The checkpoints in a directory, which need not be there yet.
    pub fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// Writes a checkpoint: `fill` puts its files, each synced, into a directory that takes its final name only when all of
    /// them are there. Then all but the last `keep` are removed.
    ///
    /// # Errors
    /// What `fill` fails with, or the disk.
    pub fn save<E: From<io::Error>>(
        &self,
        position: &Position,
        keep: u64,
        fill: impl FnOnce(&Path) -> Result<(), E>,
    ) -> Result<PathBuf, E> {
        if !self.directory.is_dir() {
            fs::create_dir_all(&self.directory)?;
            sync_directory(self.directory.parent().unwrap_or(Path::new(".")))?;
        }
        self.clear_unfinished()?;
        let name = format!("step-{}", position.step);
        let (temporary, target) = (self.directory.join(format!(".{name}.new")), self.directory.join(&name));
        fs::create_dir(&temporary)?;
        fill(&temporary)?;
        let json = serde_json::to_vec_pretty(position).map_err(io::Error::other)?;
        write_durably(&temporary.join(files::POSITION), &json)?;
        sync_directory(&temporary)?;
        if target.exists() {
            // Saved before at this very step (an interruption right after a checkpoint): the newer one replaces it.
            fs::rename(&target, self.directory.join(format!(".{name}.old")))?;
        }
        fs::rename(&temporary, &target)?;
        sync_directory(&self.directory)?;
        self.clear_unfinished()?;
        self.prune(keep)?;
        Ok(target)
    }

    /// The newest complete checkpoint and where it stands.
    ///
    /// # Errors
    /// Where the directory cannot be read.
    pub fn newest(&self) -> io::Result<Option<(PathBuf, Position)>> {
        Ok(self.all()?.pop())
    }

    /// All complete checkpoints, oldest first.
    ///
    /// # Errors
    /// Where the directory cannot be read.
    pub fn all(&self) -> io::Result<Vec<(PathBuf, Position)>> {
        let mut found: Vec<(PathBuf, Position)> = Vec::new();
        for (path, name) in self.entries()? {
            let ours = name.starts_with("step-") || replaced_name(&name).is_some();
            if ours && let Some(position) = position(&path) {
                found.push((path, position));
            }
        }
        // A replaced checkpoint (`.old`) sorts before the one that replaced it, and serves where that one is missing.
        found.sort_by(|(a, p), (b, q)| p.step.cmp(&q.step).then_with(|| a.cmp(b)));
        Ok(found)
    }

    fn entries(&self) -> io::Result<Vec<(PathBuf, String)>> {
        if !self.directory.exists() {
            return Ok(Vec::new());
        }
        let entries = fs::read_dir(&self.directory)?;
        entries.map(|entry| entry.map(|e| (e.path(), e.file_name().to_string_lossy().into_owned()))).collect()
    }

    /// Removes what a death in the middle of a save left behind.
    fn clear_unfinished(&self) -> io::Result<()> {
        for (path, name) in self.entries()? {
            let replaced = replaced_name(&name).is_some_and(|n| self.directory.join(n).exists());
            let unfinished = name.starts_with(".step-") && [".new", ".gone"].iter().any(|end| name.ends_with(end));
            if unfinished || replaced {
                fs::remove_dir_all(path)?;
            }
        }
        Ok(())
    }

    fn prune(&self, keep: u64) -> io::Result<()> {
        let all = self.all()?;
        let surplus = all.len().saturating_sub(keep.max(1) as usize);
        for (path, position) in &all[..surplus] {
            // Renamed first: a death in the middle of the removal leaves nothing that looks like a checkpoint.
            let gone = self.directory.join(format!(".step-{}.gone", position.step));
            fs::rename(path, &gone)?;
            fs::remove_dir_all(gone)?;
        }
        Ok(())
    }
}

/// The name that a checkpoint had before a newer one of the same step took its place.
fn replaced_name(name: &str) -> Option<&str> {
    name.strip_prefix('.')?.strip_suffix(".old").filter(|name| name.starts_with("step-"))
}

/// Where a checkpoint stands; nothing where it is not complete.
fn position(path: &Path) -> Option<Position> {
    let complete = [files::WEIGHTS, files::OPTIMIZER].iter().all(|name| path.join(name).is_file());
    let text = fs::read(path.join(files::POSITION)).ok()?;
    complete.then(|| serde_json::from_slice(&text).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(path: &Path) -> io::Result<()> {
        write_durably(&path.join(files::WEIGHTS), b"w")?;
        write_durably(&path.join(files::OPTIMIZER), b"o")
    }

    fn at(step: u64) -> Position {
        Position { step, elapsed: 0.1 + 0.2, ..Position::default() }
    }

    #[test]
    fn the_last_few_are_kept_and_the_newest_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::new(dir.path().join("c"));
        for step in [0, 5, 10, 100] {
            checkpoints.save(&at(step), 2, fill).unwrap();
        }
        let steps: Vec<u64> = checkpoints.all().unwrap().iter().map(|(_, p)| p.step).collect();
        assert_eq!((steps, checkpoints.newest().unwrap().unwrap().1), (vec![10, 100], at(100)));
    }

    #[test]
    fn a_death_in_the_middle_of_a_save_leaves_the_one_before() {
        let dir = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::new(dir.path().to_owned());
        checkpoints.save(&at(1), 2, fill).unwrap();
        let died = checkpoints.save(&at(2), 2, |path| {
            write_durably(&path.join(files::WEIGHTS), b"w")?;
            Err(io::Error::other("killed"))
        });
        assert!(died.is_err());
        assert_eq!(checkpoints.newest().unwrap().unwrap().1, at(1));
        checkpoints.save(&at(2), 2, fill).unwrap();
        assert_eq!(checkpoints.newest().unwrap().unwrap().1, at(2));
    }

    #[test]
    fn saving_twice_at_one_step_keeps_the_newer() {
        let dir = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::new(dir.path().to_owned());
        checkpoints.save(&at(1), 2, fill).unwrap();
        checkpoints.save(&Position { micro_steps: 7, ..at(1) }, 2, fill).unwrap();
        assert_eq!(checkpoints.all().unwrap().len(), 1);
        assert_eq!(checkpoints.newest().unwrap().unwrap().1.micro_steps, 7);
    }
}
