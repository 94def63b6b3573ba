//! Folders, files and lines of others: opened to be read, never through a link, never more than the bounds.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use outlive_core::digest::Digest;
use outlive_core::import::{Damage, Read, Records};
use outlive_core::limits::RECORD_BYTES;
use sha2::{Digest as _, Sha256};

/// Files and folders that are looked at under one path.
const ENTRIES: usize = 2_000_000;
/// Folders deep.
const DEPTH: usize = 16;
/// Bytes of one file that is read line by line.
const FILE_BYTES: u64 = 4 << 30;

/// A file of theirs.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) path: PathBuf,
    /// Its path below the folder that was walked.
    pub(super) shown: String,
}

/// What is under a folder.
#[derive(Debug, Default)]
pub(super) struct Walked {
    pub(super) files: Vec<Found>,
    pub(super) skipped: Vec<Damage>,
}

/// Lists all files under a folder, sorted.
pub(super) fn walk(root: &Path) -> io::Result<Walked> {
    let (mut walked, mut seen) = (Walked::default(), 0);
    let mut folders = vec![(root.to_owned(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if folder == root => return Err(error),
            Err(error) => {
                walked.skip(root, &folder, &error.to_string());
                continue;
            }
        };
        for entry in entries {
            seen += 1;
            if seen > ENTRIES {
                let why =
                    format!("there are more than {ENTRIES} files under {}: name a folder below it", root.display());
                return Err(io::Error::other(why));
            }
            match entry.and_then(|entry| Ok((entry.path(), entry.file_type()?))) {
                Ok((path, kind)) if kind.is_symlink() => walked.skip(root, &path, "is a link: links are not followed"),
                Ok((path, kind)) if kind.is_dir() && depth >= DEPTH => walked.skip(root, &path, "is too deep"),
                Ok((path, kind)) if kind.is_dir() => folders.push((path, depth + 1)),
                Ok((path, kind)) if kind.is_file() => walked.files.push(Found { shown: shown(root, &path), path }),
                Ok(_) => {}
                Err(error) => walked.skip(root, &folder, &error.to_string()),
            }
        }
    }
    walked.files.sort_by(|a, b| a.shown.cmp(&b.shown));
    walked.skipped.sort_by(|a, b| a.file.cmp(&b.file));
    Ok(walked)
}

impl Walked {
    fn skip(&mut self, root: &Path, path: &Path, why: &str) {
        self.skipped.push(Damage { file: shown(root, path), line: 0, reason: why.to_owned() });
    }
}

/// A path below a folder, for people.
pub(super) fn shown(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).to_string_lossy().into_owned()
}

/// Says whether a path below the canonical one that was given is a folder, and no link leads to it.
pub(super) fn is_plain_folder(path: &Path) -> bool {
    path.is_dir() && path.canonicalize().is_ok_and(|canonical| canonical == path)
}

/// Opens a file to read it: no link, no pipe, no device.
pub(super) fn open(path: &Path) -> io::Result<(File, u64)> {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).unwrap_or_default();
    let file = std::fs::OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let meta = file.metadata()?;
    if meta.is_file() { Ok((file, meta.len())) } else { Err(io::Error::other("is not a file")) }
}

/// Reads a whole file of at most so many bytes; `None` for a longer one.
pub(super) fn whole(path: &Path, most: usize) -> io::Result<Option<Vec<u8>>> {
    let (file, _) = open(path)?;
    let mut bytes = Vec::new();
    file.take(most as u64 + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() <= most).then_some(bytes))
}

/// Reads files line by line, one after the other.
pub(super) fn records(paths: &[PathBuf], mut reader: Box<dyn Records>) -> io::Result<Read> {
    let mut hasher = Sha256::new();
    for path in paths {
        lines(path, &mut hasher, reader.as_mut())?;
    }
    Ok(reader.finish(digest(hasher)))
}

/// Returns the digest of what was hashed.
pub(super) fn digest(hasher: Sha256) -> Digest {
    let hex: String = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    // 64 hex digits are always a digest.
    Digest::parse(&hex).unwrap_or_else(|| Digest::of(b""))
}

/// Reads what a file has now: what is added meanwhile is for the next time.
pub(super) fn lines(path: &Path, hasher: &mut Sha256, reader: &mut dyn Records) -> io::Result<()> {
    let (file, bytes) = open(path)?;
    if bytes > FILE_BYTES {
        return Err(io::Error::other(format!("has {bytes} bytes, of {FILE_BYTES} that are read of a file")));
    }
    let mut file = BufReader::with_capacity(1 << 16, file.take(bytes));
    let (mut line, mut number, mut is_long) = (Vec::new(), 1, false);
    loop {
        let chunk = file.fill_buf()?;
        if chunk.is_empty() {
            break;
        }
        let (piece, used, is_end) = match chunk.iter().position(|byte| *byte == b'\n') {
            Some(end) => (chunk.get(..end).unwrap_or_default(), end + 1, true),
            None => (chunk, chunk.len(), false),
        };
        hasher.update(chunk.get(..used).unwrap_or_default());
        is_long |= line.len() + piece.len() > RECORD_BYTES;
        if !is_long {
            line.extend_from_slice(piece);
        }
        file.consume(used);
        if is_end {
            tell(reader, number, &line, is_long);
            (number, is_long) = (number + 1, false);
            line.clear();
        }
    }
    if is_long || !line.is_empty() {
        tell(reader, number, &line, is_long);
    }
    Ok(())
}

fn tell(reader: &mut dyn Records, number: u64, line: &[u8], is_long: bool) {
    if is_long { reader.too_long(number) } else { reader.line(number, line) }
}
