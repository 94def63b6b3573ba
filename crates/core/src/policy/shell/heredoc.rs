//! Here-documents: text after the line that asks for it, in which substitutions run unless its mark is quoted.

use super::Strange;
use super::quotes::Within;
use super::reader::{Read, Reader};

/// One whose text is still to come.
#[derive(Debug)]
pub(super) struct Pending {
    mark: String,
    strips_tabs: bool,
    is_quoted: bool,
}

impl Reader<'_> {
    /// Reads the mark after `<<` or `<<-`.
    pub(super) fn here_document(&mut self, strips_tabs: bool) -> Read<()> {
        while self.takes(" ") || self.takes("\t") {}
        let quote = self.peek().filter(|c| matches!(c, '\'' | '"' | '\\'));
        self.skip(usize::from(quote.is_some()));
        let mut mark = String::new();
        while let Some(letter) = self.peek().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')) {
            mark.push(letter);
            self.skip(1);
        }
        let closed = match quote {
            Some(quote @ ('\'' | '"')) => self.next() == Some(quote),
            Some(_) | None => true,
        };
        let ended = self.peek().is_none_or(super::quotes::ends_word);
        if mark.is_empty() || !closed || !ended {
            return Err(Strange("the mark of a here-document is not plain"));
        }
        self.pending.push(Pending { mark, strips_tabs, is_quoted: quote.is_some() });
        Ok(())
    }

    /// Takes a line end, and the here-documents that begin after it.
    pub(super) fn line_end(&mut self) -> Read<()> {
        self.skip(1);
        for owed in std::mem::take(&mut self.pending) {
            self.text_of(&owed)?;
        }
        Ok(())
    }

    fn text_of(&mut self, owed: &Pending) -> Read<()> {
        let mut text = String::new();
        loop {
            if self.is_at_end() {
                return Err(Strange("a here-document is not closed"));
            }
            let line = self.rest_of_line();
            self.takes("\n");
            let shown = if owed.strips_tabs { line.trim_start_matches('\t') } else { &line };
            if shown == owed.mark {
                break;
            }
            // Another version of bash, or one that reads a substitution as text, could see its end here.
            if shown.starts_with(&owed.mark) {
                return Err(Strange("a here-document is not plain"));
            }
            text.push_str(shown);
            text.push('\n');
        }
        if owed.is_quoted { Ok(()) } else { self.run_in(&text) }
    }

    fn run_in(&mut self, text: &str) -> Read<()> {
        let mut reader = Reader::new(self.found, text, self.dialect, self.depth + 1)?;
        while let Some(letter) = reader.next() {
            match letter {
                '$' => {
                    reader.dollar(Within::Quotes)?;
                }
                '`' => reader.backquoted(Within::Quotes)?,
                '\\' if reader.peek() == Some('\n') => return Err(Strange("a here-document has continued lines")),
                '\\' => reader.skip(1),
                _ => {}
            }
        }
        Ok(())
    }
}
