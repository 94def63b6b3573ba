//! The server's log: a file that is put aside when it has grown, so that there are two at most, and its reader.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use tracing_subscriber::fmt::MakeWriter;

/// A log beyond this is put aside; the one that was put aside before goes.
pub const LOG_BYTES: u64 = 32 << 20;

/// The log, open to add to it.
pub struct LogFile {
    path: PathBuf,
    most: u64,
    file: Mutex<(File, u64)>,
}

impl LogFile {
    /// Opens the log; one that has grown large is put aside first.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn open(path: &Path, most: u64) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        if std::fs::metadata(path).is_ok_and(|found| found.len() > most) {
            std::fs::rename(path, aside(path))?;
        }
        let file = append(path)?;
        let size = file.metadata()?.len();
        Ok(Self { path: path.to_owned(), most, file: Mutex::new((file, size)) })
    }

    /// Returns another handle on the file as it is now.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn handle(&self) -> io::Result<File> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner).0.try_clone()
    }
}

/// Returns where a log is put aside.
pub fn aside(path: &Path) -> PathBuf {
    path.with_extension("log.old")
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

impl Write for &LogFile {
    /// Adds whole lines: each call is one.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut held = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if held.1 > 0 && held.1 + line.len() as u64 > self.most {
            // Where it cannot be put aside, it grows: a log that is too long is better than none.
            std::fs::rename(&self.path, aside(&self.path)).ok();
            if !self.path.exists()
                && let Ok(fresh) = append(&self.path)
            {
                *held = (fresh, 0);
            }
        }
        held.0.write_all(line)?;
        held.1 += line.len() as u64;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LogFile {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> &'a Self {
        self
    }
}

/// Reads a log on and on, also when it is put aside meanwhile.
pub struct LogReader {
    path: PathBuf,
    open: Option<(File, u64)>,
    /// The beginning of a line whose end is not there yet.
    rest: Vec<u8>,
}

/// Bytes of the end of a log that are looked through for its last lines.
const TAIL: u64 = 8 << 20;

impl LogReader {
    /// Reads from the first of the last `lines` lines on, those of the log that was put aside included.
    pub fn last(path: &Path, lines: usize) -> (Self, Vec<String>) {
        let mut reader = Self { path: path.to_owned(), open: None, rest: Vec::new() };
        let mut found = reader.tail();
        if found.len() < lines {
            let mut before = Self { path: aside(path), open: None, rest: Vec::new() }.tail();
            before.append(&mut found);
            found = before;
        }
        let skipped = found.len().saturating_sub(lines);
        (reader, found.split_off(skipped))
    }

    fn tail(&mut self) -> Vec<String> {
        self.open = open(&self.path);
        let Some((file, _)) = &mut self.open else { return Vec::new() };
        let length = file.metadata().map_or(0, |found| found.len());
        let from = length.saturating_sub(TAIL);
        if file.seek(SeekFrom::Start(from)).is_err() {
            return Vec::new();
        }
        let mut lines = self.more();
        if from > 0 && !lines.is_empty() {
            lines.remove(0);
        }
        lines
    }

    /// Returns the lines that were added since, and goes on in the next file where this one was put aside.
    pub fn more(&mut self) -> Vec<String> {
        let mut lines = self.take();
        let now = std::fs::metadata(&self.path).ok().map(|found| found.ino());
        if now.is_some() && now != self.open.as_ref().map(|(_, inode)| *inode) {
            // What was added between the last look and the moment it was put aside comes first.
            lines.append(&mut self.take());
            self.open = open(&self.path);
            lines.append(&mut self.take());
        }
        lines
    }

    fn take(&mut self) -> Vec<String> {
        let Some((file, _)) = &mut self.open else { return Vec::new() };
        if file.read_to_end(&mut self.rest).is_err() {
            return Vec::new();
        }
        let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') else { return Vec::new() };
        let rest = self.rest.split_off(end + 1);
        let whole = std::mem::replace(&mut self.rest, rest);
        String::from_utf8_lossy(&whole).lines().map(str::to_owned).collect()
    }
}

fn open(path: &Path) -> Option<(File, u64)> {
    let file = File::open(path).ok()?;
    let inode = file.metadata().ok()?.ino();
    Some((file, inode))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(log: &LogFile, range: std::ops::Range<u32>) {
        range.for_each(|n| (&mut &*log).write_all(format!("line {n}\n").as_bytes()).unwrap());
    }

    #[test]
    fn a_log_has_two_files_at_most_and_its_reader_misses_nothing() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("run/server.log");
        let log = LogFile::open(&path, 100).unwrap();
        write(&log, 0..5);
        let (mut reader, last) = LogReader::last(&path, 2);
        assert_eq!(last, ["line 3", "line 4"]);
        write(&log, 5..16);
        let more = reader.more();
        assert_eq!(more, (5..16).map(|n| format!("line {n}")).collect::<Vec<_>>(), "across the change of files");
        write(&log, 16..1_000);
        let sizes: Vec<u64> = [aside(&path), path.clone()].map(|path| std::fs::metadata(path).unwrap().len()).into();
        assert!(sizes.iter().all(|size| *size <= 100), "{sizes:?}");
        assert_eq!(std::fs::read_dir(home.path().join("run")).unwrap().count(), 2);
        let (_, last) = LogReader::last(&path, 12);
        assert_eq!(last, (988..1_000).map(|n| format!("line {n}")).collect::<Vec<_>>(), "from both files");
    }
}
