//! Both indexes of words: what is put in, what is taken out, and that nothing is left of what went.
//!
//! What is deleted leaves the pages of an index at once. A word may stand in one more place: the index finds each page by the
//! beginning of the first word that stood on it. Where that says something that is said nowhere any more, new pages are made, of
//! that index alone.

use std::collections::BTreeSet;

use rusqlite::{OptionalExtension as _, Transaction, params};

use crate::search::prepared;
use crate::sqlite::FileError;

/// How words are told apart in the index of words, and in that of their parts.
pub(super) const WORDS: &str = "porter unicode61 remove_diacritics 2";
pub(super) const PARTS: &str = "trigram";

struct Index {
    name: &'static str,
    tokens: &'static str,
    /// A word that is there while new pages are made: only of two segments a new one is.
    word: &'static str,
    /// A text as this index is told it.
    told: fn(&str) -> String,
}

const INDEXES: [Index; 2] = [
    Index { name: "words", tokens: WORDS, word: "a", told: prepared },
    Index { name: "parts", tokens: PARTS, word: "aaa", told: str::to_owned },
];

pub(super) fn add(file: &Transaction<'_>, key: i64, text: &str) -> Result<(), FileError> {
    for Index { name, told, .. } in INDEXES {
        let sql = format!("INSERT INTO {name} (rowid, text) VALUES (?1, ?2)");
        file.prepare(&sql)?.execute(params![key, told(text)])?;
    }
    Ok(())
}

/// Takes a row's words out: the indexes are told what it said.
pub(super) fn take_out(file: &Transaction<'_>, key: i64, said: &str) -> Result<(), FileError> {
    for Index { name, told, .. } in INDEXES {
        let sql = format!("INSERT INTO {name} ({name}, rowid, text) VALUES ('delete', ?1, ?2)");
        file.prepare(&sql)?.execute(params![key, told(said)])?;
    }
    Ok(())
}

/// Sees to it that no word of these texts, which were taken out, is left that is said nowhere any more.
pub(super) fn settle(file: &Transaction<'_>, gone: &[String]) -> Result<(), FileError> {
    if gone.is_empty() {
        return Ok(());
    }
    for index in INDEXES {
        let Index { name, word, .. } = index;
        file.execute(&format!("INSERT INTO {name} ({name}) VALUES ('flush')"), [])?;
        if index.finds_pages_by(file, &index.terms(file, gone)?)? {
            file.execute_batch(&format!(
                "INSERT INTO {name} (rowid, text) VALUES (0, '{word}'); INSERT INTO {name} ({name}) VALUES ('optimize');
                 INSERT INTO {name} ({name}, rowid, text) VALUES ('delete', 0, '{word}');"
            ))?;
        }
    }
    Ok(())
}

impl Index {
    /// Returns what these texts are to it, as an index of the same kind says that is in memory alone.
    fn terms(&self, file: &Transaction<'_>, texts: &[String]) -> Result<BTreeSet<Vec<u8>>, FileError> {
        file.execute_batch(&format!(
            "CREATE VIRTUAL TABLE temp.gone USING fts5 (text, content = '', tokenize = '{}');
             CREATE VIRTUAL TABLE temp.gone_terms USING fts5vocab (temp, gone, row);",
            self.tokens
        ))?;
        for text in texts {
            file.prepare("INSERT INTO temp.gone (text) VALUES (?1)")?.execute([(self.told)(text)])?;
        }
        let mut statement = file.prepare("SELECT term FROM temp.gone_terms")?;
        let terms = statement.query_map([], |row| Ok(row.get_ref(0)?.as_bytes()?.to_vec()))?;
        let terms = terms.collect::<Result<_, _>>()?;
        drop(statement);
        file.execute_batch("DROP TABLE temp.gone_terms; DROP TABLE temp.gone;")?;
        Ok(terms)
    }

    /// Says whether a page is found by the beginning of one of these that begins nothing that is there.
    fn finds_pages_by(&self, file: &Transaction<'_>, gone: &BTreeSet<Vec<u8>>) -> Result<bool, FileError> {
        let name = self.name;
        file.execute_batch(&format!(
            "CREATE VIRTUAL TABLE IF NOT EXISTS temp.{name}_terms USING fts5vocab (main, {name}, row)"
        ))?;
        // The first byte says of which kind the page is.
        let mut statement = file.prepare(&format!("SELECT substr(term, 2) FROM {name}_idx WHERE length(term) > 1"))?;
        let begins = statement.query_map([], |row| Ok(row.get_ref(0)?.as_bytes()?.to_vec()))?;
        let begins: BTreeSet<Vec<u8>> = begins.collect::<Result<_, _>>()?;
        let first = |terms: &BTreeSet<Vec<u8>>, begin: &Vec<u8>| terms.range(begin.clone()..).next().cloned();
        for begin in begins {
            if first(gone, &begin).is_none_or(|term| !term.starts_with(&begin)) {
                continue;
            }
            let sql =
                format!("SELECT term FROM temp.{name}_terms WHERE term >= CAST(?1 AS TEXT) ORDER BY term LIMIT 1");
            let term = |row: &rusqlite::Row<'_>| Ok(row.get_ref(0)?.as_bytes()?.to_vec());
            let there: Option<Vec<u8>> = file.prepare(&sql)?.query_row([&begin], term).optional()?;
            if there.is_none_or(|term| !term.starts_with(&begin)) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
