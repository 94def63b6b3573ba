//! The words as a SQLite file: what is written to it. Every call blocks.
//!
//! Invariant: a session's words and its position change together.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use outlive_core::context::{MessageItem, MessageRole, fold_messages};
use outlive_core::event::{Entry, Event, Line};
use outlive_core::id::{Seq, SessionId};
use rusqlite::{Connection, OptionalExtension as _, Statement, Transaction, params};

use super::text;
use crate::follow::Kept;
use crate::sqlite::{self, AfterCrash, FileError, Kind, Writes};

const KIND: Kind = Kind {
    application: 0x6f75_7477,
    version: 2,
    schema: SCHEMA,
    cache_kib: 4_096,
    after_crash: AfterCrash::Trust,
    writes: Writes::Once,
};

/// Keys of messages grow with time, so that the newest come first by them. What is deleted leaves the index at once, not
/// when it is merged. Between the first and the last message of a session are those of others: an index that says which are
/// its own would be written for each of them, and only a removal would read it.
const SCHEMA: &str = "
    CREATE TABLE sessions (
        key INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, agent TEXT NOT NULL, position INTEGER NOT NULL,
        first INTEGER, last INTEGER
    ) STRICT;
    CREATE TABLE messages (
        key INTEGER PRIMARY KEY, session INTEGER NOT NULL, seq INTEGER NOT NULL, at INTEGER NOT NULL, role INTEGER NOT NULL
    ) STRICT;
    CREATE VIRTUAL TABLE words USING fts5 (text, tokenize = 'unicode61 remove_diacritics 2');
    INSERT INTO words (words, rank) VALUES ('secure-delete', 1);
";

/// The keys of a session's messages.
const OWN: &str = "SELECT m.key FROM sessions AS s JOIN messages AS m ON m.key BETWEEN s.first AND s.last
    WHERE s.key = ?1 AND m.session = ?1";

/// The words of a session's messages as the index has them: in memory, and only while it is removed.
const SAID: &str = "
    CREATE VIRTUAL TABLE temp.said USING fts5 (
        text, content = '', columnsize = 0, detail = none, tokenize = 'unicode61 remove_diacritics 2'
    );
    CREATE VIRTUAL TABLE temp.said_words USING fts5vocab (said, row);
";
const UNSAID: &str = "DROP TABLE temp.said_words; DROP TABLE temp.said;";

/// What follows a session's position.
pub(crate) struct News {
    pub(super) session: SessionId,
    /// Known from its first event.
    pub(super) agent: Option<String>,
    pub(super) messages: Vec<MessageItem>,
    /// The position that it follows.
    pub(super) after: Seq,
    /// Of the last line that was read.
    pub(super) position: Seq,
}

pub(crate) struct Table {
    pub(super) connection: Connection,
}

impl Kept for Table {
    const FILE: &'static str = "search.db";
    type News = News;

    fn open(path: &Path) -> Result<Self, FileError> {
        let opened = match sqlite::open(path, &KIND) {
            Err(FileError::Unfit(why)) => {
                tracing::warn!(%why, "search.db set aside: begun anew");
                sqlite::set_aside(path);
                sqlite::open(path, &KIND)
            }
            other => other,
        };
        Ok(Self { connection: opened? })
    }

    fn restore(&mut self, path: &Path) -> Result<(), FileError> {
        if sqlite::is_there(path) { Ok(()) } else { sqlite::restore(&mut self.connection, path, &KIND) }
    }

    fn positions(&self) -> Result<Vec<(SessionId, Seq)>, FileError> {
        let mut statement = self.connection.prepare("SELECT id, position FROM sessions")?;
        let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))?;
        let rows: Vec<(String, i64)> = rows.collect::<Result<_, _>>()?;
        Ok(rows.into_iter().filter_map(|(id, at)| Some((id.parse().ok()?, u64::try_from(at).ok()?))).collect())
    }

    fn position(&self, session: SessionId) -> Result<Seq, FileError> {
        position(&self.connection, session)
    }

    fn add(&mut self, news: &[News]) -> Result<(), FileError> {
        let transaction = self.connection.transaction()?;
        let mut adding = Adding::prepare(&transaction)?;
        let mut said = Vec::new();
        for one in news {
            if position(&transaction, one.session)? == one.after {
                let session = adding.session(one)?;
                said.extend(one.messages.iter().map(|item| (session, item)));
            }
        }
        said.sort_by_key(|(_, item)| item.at);
        adding.messages(&said)?;
        drop(adding);
        Ok(transaction.commit()?)
    }

    fn erase(&mut self, session: SessionId) -> Result<(), FileError> {
        // What changes may be the whole index: it need not fit into memory.
        self.connection.execute_batch("PRAGMA cache_spill = ON")?;
        let erased = self.take_out(session);
        self.connection.execute_batch("PRAGMA cache_spill = OFF")?;
        erased
    }

    fn news(session: SessionId, after: Seq, lines: &[Line]) -> News {
        // A line that this version cannot read says nothing to it.
        let entries: Vec<Entry> = lines.iter().filter_map(|line| line.read().ok()).collect();
        let mut messages = fold_messages(&entries);
        messages.retain(|message| !message.content.is_empty());
        let position = lines.last().map_or(after, Line::seq);
        News { session, agent: entries.first().and_then(agent), messages, after, position }
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "only the first event says whose session it is")]
fn agent(first: &Entry) -> Option<String> {
    match &first.event {
        Event::SessionCreated(created) => Some(created.agent.to_string()),
        _other => None,
    }
}

impl Table {
    fn take_out(&mut self, session: SessionId) -> Result<(), FileError> {
        let words = self.forget(session)?;
        if self.begins_page(&words)? {
            // Only of two segments a new one is made.
            self.connection.execute_batch(
                "BEGIN; INSERT INTO words (rowid, text) VALUES (0, 'a'); INSERT INTO words (words) VALUES ('optimize');
                 DELETE FROM words WHERE rowid = 0; COMMIT;",
            )?;
        }
        Ok(())
    }

    /// Says whether one of these words, which no message has any more, is what a page of the index is found by: that is
    /// the beginning of its first word when the page was made, which may be a whole one.
    fn begins_page(&self, words: &HashSet<String>) -> Result<bool, FileError> {
        let mut pages = self.connection.prepare("SELECT term FROM words_idx")?;
        let mut said = self.connection.prepare("SELECT 1 FROM words WHERE words MATCH ?1 LIMIT 1")?;
        let mut rows = pages.query([])?;
        while let Some(row) = rows.next()? {
            let term = row.get_ref(0)?.as_bytes().unwrap_or_default();
            let word = term.get(1..).and_then(|term| str::from_utf8(term).ok()).filter(|word| words.contains(*word));
            if let Some(word) = word
                && !said.exists([format!("\"{word}\"")])?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Takes a session out, and returns its words as the index had them.
    fn forget(&mut self, session: SessionId) -> Result<HashSet<String>, FileError> {
        let transaction = self.connection.transaction()?;
        let id = session.to_string();
        let key = transaction.query_row("SELECT key FROM sessions WHERE id = ?1", [&id], |row| row.get::<_, i64>(0));
        let Some(key) = key.optional()? else { return Ok(HashSet::new()) };
        transaction.execute_batch(SAID)?;
        let said = format!("INSERT INTO temp.said (rowid, text) SELECT rowid, text FROM words WHERE rowid IN ({OWN})");
        transaction.execute(&said, [key])?;
        let found = {
            let mut statement = transaction.prepare("SELECT term FROM temp.said_words")?;
            statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?
        };
        transaction.execute_batch(UNSAID)?;
        transaction.execute(&format!("DELETE FROM words WHERE rowid IN ({OWN})"), [key])?;
        transaction.execute(&format!("DELETE FROM messages WHERE key IN ({OWN})"), [key])?;
        transaction.execute("DELETE FROM sessions WHERE key = ?1", [key])?;
        transaction.commit()?;
        Ok(found)
    }
}

fn position(connection: &Connection, session: SessionId) -> Result<Seq, FileError> {
    let mut statement = connection.prepare("SELECT position FROM sessions WHERE id = ?1")?;
    let found: Option<i64> = statement.query_row([session.to_string()], |row| row.get(0)).optional()?;
    Ok(found.and_then(|at| u64::try_from(at).ok()).unwrap_or(0))
}

/// The statements that add what is new.
struct Adding<'a> {
    session: Statement<'a>,
    message: Statement<'a>,
    words: Statement<'a>,
    range: Statement<'a>,
}

impl<'a> Adding<'a> {
    fn prepare(transaction: &'a Transaction<'_>) -> Result<Self, FileError> {
        Ok(Self {
            session: transaction.prepare(
                "INSERT INTO sessions (id, agent, position) VALUES (?1, coalesce(?2, ''), ?3)
                 ON CONFLICT (id) DO UPDATE SET agent = coalesce(?2, agent), position = ?3 RETURNING key",
            )?,
            message: transaction.prepare("INSERT INTO messages (session, seq, at, role) VALUES (?1, ?2, ?3, ?4)")?,
            words: transaction.prepare("INSERT INTO words (rowid, text) VALUES (?1, ?2)")?,
            range: transaction.prepare("UPDATE sessions SET first = coalesce(first, ?2), last = ?3 WHERE key = ?1")?,
        })
    }

    /// Sets a session to its new position; returns its key.
    fn session(&mut self, news: &News) -> Result<i64, FileError> {
        let position = i64::try_from(news.position).unwrap_or(i64::MAX);
        let values = params![news.session.to_string(), news.agent, position];
        Ok(self.session.query_row(values, |row| row.get(0))?)
    }

    /// Adds messages, oldest first, each with its session's key.
    fn messages(&mut self, said: &[(i64, &MessageItem)]) -> Result<(), FileError> {
        let mut ranges: HashMap<i64, (i64, i64)> = HashMap::new();
        for (session, item) in said {
            let seq = i64::try_from(item.seq).unwrap_or(i64::MAX);
            for piece in text::pieces(&item.content) {
                let row = self.message.insert(params![session, seq, item.at.micros(), number(item.role)])?;
                self.words.execute(params![row, text::prepared(piece)])?;
                ranges.entry(*session).or_insert((row, row)).1 = row;
            }
        }
        for (session, (first, last)) in ranges {
            self.range.execute(params![session, first, last])?;
        }
        Ok(())
    }
}

/// A role as the file has it.
pub(super) fn number(role: MessageRole) -> i64 {
    match role {
        MessageRole::User => 0,
        MessageRole::Assistant => 1,
        MessageRole::Tool => 2,
    }
}

/// A role that the file has.
pub(super) fn role(number: i64) -> MessageRole {
    match number {
        0 => MessageRole::User,
        1 => MessageRole::Assistant,
        _ => MessageRole::Tool,
    }
}
