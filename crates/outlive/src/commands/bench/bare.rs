//! The references: what the disk itself gives.
#![expect(clippy::disallowed_methods, reason = "a reference measures the bare system: its files and its clock")]

use std::io::{Seek as _, Write as _};
use std::path::Path;
use std::time::Instant;

use crate::exit::Failure;

/// Returns milliseconds since a moment that the first call sets.
pub(super) fn ms() -> f64 {
    static BEGAN: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    BEGAN.get_or_init(Instant::now).elapsed().as_secs_f64() * 1_000.0
}

/// Writes and syncs so many bytes, so many times, into a zero-filled file; returns the milliseconds of each.
///
/// # Errors
///
/// What the system says.
pub(super) fn synced_writes(dir: &Path, bytes: usize, times: usize) -> Result<Vec<f64>, Failure> {
    let mut file = std::fs::File::create(dir.join("bare"))?;
    let zeros = vec![0; 1 << 20];
    for _ in 0..(bytes * times).div_ceil(zeros.len()).max(1) {
        file.write_all(&zeros)?;
    }
    file.sync_all()?;
    file.rewind()?;
    let record = vec![b'x'; bytes];
    let mut each = Vec::with_capacity(times);
    for _ in 0..times {
        let began = ms();
        file.write_all(&record)?;
        file.sync_data()?;
        each.push(ms() - began);
    }
    Ok(each)
}

/// Inserts rows into SQLite, one a transaction, with synchronous FULL; returns rows a second.
///
/// # Errors
///
/// What SQLite says.
pub(super) fn sqlite_full(dir: &Path, bytes: usize, rows: usize) -> Result<f64, Failure> {
    let database = rusqlite::Connection::open(dir.join("reference.db")).map_err(Failure::failed)?;
    database
        .execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE event (body TEXT)")
        .map_err(Failure::failed)?;
    let body = "x".repeat(bytes);
    let began = ms();
    for _ in 0..rows {
        database.execute("INSERT INTO event VALUES (?1)", [&body]).map_err(Failure::failed)?;
    }
    Ok(rows as f64 * 1_000.0 / (ms() - began))
}

/// What a process has used so far.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Used {
    /// Milliseconds of processor time.
    pub(super) cpu_ms: f64,
    /// Bytes given to write calls.
    pub(super) written: f64,
    /// Bytes in memory now.
    pub(super) memory: f64,
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
    Used {
        // The kernel counts in hundredths of a second.
        cpu_ms: (ticks(11) + ticks(12)) * 10.0,
        written: number(&read("io"), "wchar:"),
        memory: number(&read("status"), "VmRSS:") * 1_024.0,
    }
}
