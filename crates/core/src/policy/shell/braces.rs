//! Brace expansion: one word that bash makes several of.

use super::reader::Read;
use super::{Strange, Word};

/// Steps in which one word is expanded: those that leave no word, `{,}`, count too, or they would double without end.
const STEPS: usize = 128;

/// A piece of a word with unquoted braces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mark {
    Piece(Word),
    Open,
    Comma,
    Close,
}

impl Mark {
    fn shown(&self) -> Word {
        match self {
            Self::Piece(word) => word.clone(),
            Self::Open => Word::of("{"),
            Self::Comma => Word::of(","),
            Self::Close => Word::of("}"),
        }
    }
}

/// Returns the words that these marks are.
pub(super) fn expand(marks: Vec<Mark>) -> Read<Vec<Word>> {
    if marks.is_empty() {
        return Ok(Vec::new());
    }
    let opens = marks.iter().filter(|mark| **mark == Mark::Open).count();
    let closes = marks.iter().filter(|mark| **mark == Mark::Close).count();
    if opens == 0 || closes == 0 {
        return Ok(vec![joined(&marks)]);
    }
    let ranges = marks.iter().any(|mark| matches!(mark, Mark::Piece(word) if has_dots(word)));
    if !ranges && !marks.contains(&Mark::Comma) {
        return Ok(vec![joined(&marks)]);
    }
    if opens != closes {
        return Err(Strange("its braces do not match"));
    }
    if ranges {
        return Ok(vec![begun(&marks)]);
    }
    let mut words = Vec::new();
    all(&marks, &mut words, &mut { STEPS })?;
    Ok(words)
}

/// Returns any words that begin as these marks do: what a range makes, or a pattern with brackets.
pub(super) fn begun(marks: &[Mark]) -> Word {
    let mut word = match marks.first() {
        Some(Mark::Piece(word)) => word.before('['),
        Some(Mark::Open | Mark::Comma | Mark::Close) | None => Word::default(),
    };
    word.append(&Word::any());
    word
}

/// A range is written `..`; a gap could hold nothing that makes one, since braces are expanded first.
fn has_dots(word: &Word) -> bool {
    word.bits().iter().any(|bit| matches!(bit, super::word::Bit::Text(text) if text.contains("..")))
}

fn joined(marks: &[Mark]) -> Word {
    let mut word = Word::default();
    marks.iter().for_each(|mark| word.append(&mark.shown()));
    word
}

/// Expands the first group that has a comma, then what that made.
fn all(marks: &[Mark], into: &mut Vec<Word>, left: &mut usize) -> Read<()> {
    *left = left.checked_sub(1).ok_or(Strange("its braces make too many words"))?;
    let Some((open, commas, close)) = group(marks)? else {
        // Nothing at all, not even quotes, is no word: `{,x}` is `x`.
        into.extend(Some(joined(marks)).filter(|word| !word.bits().is_empty()));
        return Ok(());
    };
    let mut begin = open + 1;
    for end in commas.into_iter().chain([close]) {
        let pieces = [marks.get(..open), marks.get(begin..end), marks.get(close + 1..)];
        let one: Vec<Mark> = pieces.into_iter().flatten().flatten().cloned().collect();
        all(&one, into, left)?;
        begin = end + 1;
    }
    Ok(())
}

/// Returns the first group with a comma of its own: where it opens, its commas, where it closes.
fn group(marks: &[Mark]) -> Read<Option<(usize, Vec<usize>, usize)>> {
    let mut open: Vec<(usize, Vec<usize>)> = Vec::new();
    for (n, mark) in marks.iter().enumerate() {
        match mark {
            Mark::Piece(_) => {}
            Mark::Open => open.push((n, Vec::new())),
            Mark::Comma => {
                if let Some((_, commas)) = open.last_mut() {
                    commas.push(n);
                }
            }
            Mark::Close => match open.pop() {
                None => return Err(Strange("its braces do not match")),
                // Groups in groups: the order of what they make is bash's own.
                Some(_) if !open.is_empty() => return Err(Strange("it has braces in braces")),
                Some((begin, commas)) if !commas.is_empty() => return Ok(Some((begin, commas, n))),
                Some(_) => {}
            },
        }
    }
    Ok(None)
}
