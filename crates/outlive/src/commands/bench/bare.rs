//! The references: what the disk itself gives.
#![expect(clippy::disallowed_methods, reason = "a reference measures the bare system: its files and its clock")]

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::thread::JoinHandle;
use std::time::Instant;

use outlive_core::event::Line;
use tokio::sync::{mpsc, oneshot};

use crate::exit::Failure;

/// Returns milliseconds since a moment that the first call sets.
pub(super) fn ms() -> f64 {
    static BEGAN: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    BEGAN.get_or_init(Instant::now).elapsed().as_secs_f64() * 1_000.0
}

/// Bytes of a zero-filled file, as of a recycled segment; beyond them it is written from its beginning again.
const FILE_BYTES: u64 = 64 << 20;

/// A zero-filled file that is written, and synced after each write.
pub(super) struct BareFile {
    file: File,
    at: u64,
}

impl BareFile {
    /// Makes it.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub(super) fn make(dir: &Path) -> Result<Self, Failure> {
        let mut file = File::create(dir.join("bare"))?;
        let zeros = vec![0; 1 << 20];
        for _ in 0..FILE_BYTES / zeros.len() as u64 {
            file.write_all(&zeros)?;
        }
        file.sync_all()?;
        Ok(Self { file, at: 0 })
    }

    /// Writes once and syncs once; returns the milliseconds that it took.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub(super) fn write(&mut self, bytes: &[u8]) -> std::io::Result<f64> {
        let began = ms();
        if self.at + bytes.len() as u64 > FILE_BYTES {
            self.at = 0;
        }
        self.file.write_all_at(bytes, self.at)?;
        self.file.sync_data()?;
        self.at += bytes.len() as u64;
        Ok(ms() - began)
    }
}

/// The bare group commit: one thread takes what is waiting, writes it with one write, syncs once, answers all.
pub(super) struct BareLog {
    /// Takes a line; answers once it is durable.
    pub(super) requests: mpsc::Sender<(Line, oneshot::Sender<()>)>,
    /// Ends once all senders are gone; returns how often it synced.
    pub(super) thread: JoinHandle<std::io::Result<u64>>,
}

impl BareLog {
    /// Starts it on this file.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub(super) fn start(mut file: BareFile) -> Result<Self, Failure> {
        let (requests, mut waiting) = mpsc::channel::<(Line, oneshot::Sender<()>)>(1_024);
        let thread = std::thread::Builder::new().name("bare".to_owned()).spawn(move || {
            let (mut buffer, mut replies, mut syncs) = (Vec::new(), Vec::<oneshot::Sender<()>>::new(), 0);
            while let Some(first) = waiting.blocking_recv() {
                buffer.clear();
                let mut next = Some(first);
                while let Some((line, reply)) = next {
                    buffer.extend_from_slice(line.as_str().as_bytes());
                    buffer.push(b'\n');
                    replies.push(reply);
                    next = waiting.try_recv().ok();
                }
                file.write(&buffer)?;
                syncs += 1;
                for reply in replies.drain(..) {
                    reply.send(()).ok();
                }
            }
            Ok(syncs)
        })?;
        Ok(Self { requests, thread })
    }
}

/// A table of SQLite whose rows are inserted one a transaction, with synchronous FULL.
pub(super) struct Sqlite(rusqlite::Connection);

impl Sqlite {
    /// Makes it.
    ///
    /// # Errors
    ///
    /// What SQLite says.
    pub(super) fn make(dir: &Path) -> Result<Self, Failure> {
        let database = rusqlite::Connection::open(dir.join("reference.db")).map_err(Failure::failed)?;
        database
            .execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE event (body TEXT)")
            .map_err(Failure::failed)?;
        Ok(Self(database))
    }

    /// Inserts this row so many times; returns rows a second.
    ///
    /// # Errors
    ///
    /// What SQLite says.
    pub(super) fn rate(&self, body: &str, rows: usize) -> Result<f64, Failure> {
        let began = ms();
        for _ in 0..rows {
            self.0.execute("INSERT INTO event VALUES (?1)", [body]).map_err(Failure::failed)?;
        }
        Ok(rows as f64 * 1_000.0 / (ms() - began))
    }
}

/// What a process has used so far. Its children are not counted.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Used {
    /// Milliseconds of processor time.
    pub(super) cpu_ms: f64,
    /// Bytes given to write calls, those to sockets too.
    pub(super) written: f64,
    /// Bytes in memory now.
    pub(super) memory: f64,
    /// Files that are open now.
    pub(super) files: f64,
    /// How often a thread of it waited and was woken.
    pub(super) wakes: f64,
}

/// Reads what a process has used, from `/proc`.
pub(super) fn used(pid: u32) -> Used {
    let read = |name: &str| std::fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default();
    let stat = read("stat");
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
    let number = |text: &str, key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
        line.trim().split(' ').next().and_then(|word| word.parse::<f64>().ok()).unwrap_or(0.0)
    };
    let entries = |name: &str| std::fs::read_dir(format!("/proc/{pid}/{name}")).into_iter().flatten().flatten();
    let wakes = |thread: std::fs::DirEntry| {
        let status = std::fs::read_to_string(thread.path().join("status")).unwrap_or_default();
        number(&status, "voluntary_ctxt_switches:")
    };
    Used {
        // The kernel counts in hundredths of a second.
        cpu_ms: (ticks(11) + ticks(12)) * 10.0,
        written: number(&read("io"), "wchar:"),
        memory: number(&read("status"), "VmRSS:") * 1_024.0,
        files: entries("fd").count() as f64,
        wakes: entries("task").map(wakes).sum(),
    }
}
