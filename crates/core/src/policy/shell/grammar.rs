//! Lists, pipelines and simple commands.

use super::quotes::Raw;
use super::reader::{Read, Reader};
use super::{Dialect, Found, Part, Strange, Touch, Word, listed, names, unwrap};

/// Where a list ends; what ends it is not taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    Text,
    Parenthesis,
    /// Any of these reserved words.
    Words(&'static [&'static str]),
    /// `;;` and its kin, or `esac`.
    Case,
}

const RESERVED: &str = "\
    then elif else fi do done esac in } if while until for case { !";

/// Reads a whole text.
pub(super) fn program(found: &mut Found, text: &str, dialect: Dialect, depth: usize) -> Read<()> {
    let mut reader = Reader::new(found, text, dialect, depth)?;
    list(&mut reader, &End::Text)?;
    if !reader.pending.is_empty() {
        return Err(Strange("a here-document is not closed"));
    }
    if reader.is_at_end() { Ok(()) } else { Err(Strange("it is not understood as a command")) }
}

/// Reads commands up to the end.
pub(super) fn list(reader: &mut Reader<'_>, end: &End) -> Read<()> {
    loop {
        rest(reader)?;
        if is_end(reader, end)? {
            return Ok(());
        }
        pipeline(reader)?;
        blanks(reader);
        match reader.peek() {
            Some('\n') | None => {}
            Some(')') if *end == End::Parenthesis => return Ok(()),
            Some(';') if *end == End::Case && reader.ahead(1).is_some_and(|c| matches!(c, ';' | '&')) => return Ok(()),
            Some(';') if !reader.sees(";;") && !reader.sees(";&") => reader.skip(1),
            Some('&') if reader.takes("&&") => {}
            Some('&') if !reader.sees("&>") => reader.skip(1),
            Some('|') if reader.takes("||") => {}
            Some(_) => return Err(Strange("it is not understood as a command")),
        }
    }
}

/// Skips blanks, line ends and comments.
pub(super) fn rest(reader: &mut Reader<'_>) -> Read<()> {
    loop {
        blanks(reader);
        match reader.peek() {
            Some('\n') => reader.line_end()?,
            Some(_) | None => return Ok(()),
        }
    }
}

/// Skips blanks, continued lines, and a comment up to its line end.
pub(super) fn blanks(reader: &mut Reader<'_>) {
    while reader.takes(" ") || reader.takes("\t") || reader.takes("\\\n") {}
    if reader.sees("#") {
        reader.rest_of_line();
    }
}

fn is_end(reader: &mut Reader<'_>, end: &End) -> Read<bool> {
    Ok(match end {
        End::Text => reader.is_at_end(),
        End::Parenthesis => reader.sees(")"),
        End::Words(words) => reserved(reader)?.is_some_and(|word| words.contains(&word.as_str())),
        End::Case => [";;", ";&"].iter().any(|end| reader.sees(end)) || reserved(reader)?.as_deref() == Some("esac"),
    })
}

/// Returns the plain word that comes next, without taking it. What is found on the way is not kept.
pub(super) fn reserved(reader: &mut Reader<'_>) -> Read<Option<String>> {
    let begin = reader.position();
    let plain = reader.peek().is_some_and(|c| c.is_ascii_alphabetic() || matches!(c, '{' | '}' | '!' | '[' | '\\'));
    if !plain {
        return Ok(None);
    }
    // A word that is expanded is not reserved, and is read when its turn comes.
    let mut scratch = Found::default();
    let text: String = std::iter::from_fn(|| reader.next().filter(|c| !super::quotes::ends_word(*c))).collect();
    reader.back_to(begin);
    let mut ahead = Reader::new(&mut scratch, &text, Dialect::Bash, 0)?;
    Ok(ahead.word().ok().and_then(|raw| raw.plain()))
}

/// Takes a reserved word, which must come next.
pub(super) fn expect(reader: &mut Reader<'_>, word: &str) -> Read<()> {
    rest(reader)?;
    if reserved(reader)?.as_deref() != Some(word) {
        return Err(Strange("it is not understood as a command"));
    }
    reader.word().map(|_word| ())
}

fn pipeline(reader: &mut Reader<'_>) -> Read<()> {
    loop {
        while let Some(word) = reserved(reader)?.filter(|word| matches!(word.as_str(), "!" | "time")) {
            reader.word()?;
            blanks(reader);
            while word == "time" && (reader.takes("-p ") || reader.takes("-- ")) {
                blanks(reader);
            }
        }
        reader.deeper(command)?;
        blanks(reader);
        if reader.sees("||") || !reader.sees("|") {
            return Ok(());
        }
        if reader.takes("|&") {
            reader.bash_only()?;
        } else {
            reader.skip(1);
        }
        rest(reader)?;
    }
}

fn command(reader: &mut Reader<'_>) -> Read<()> {
    if super::compound::read(reader)? {
        return redirections(reader);
    }
    simple(reader)
}

/// Reads what may follow a compound command.
fn redirections(reader: &mut Reader<'_>) -> Read<()> {
    loop {
        blanks(reader);
        if !redirection(reader)? {
            return Ok(());
        }
    }
}

fn simple(reader: &mut Reader<'_>) -> Read<()> {
    let (mut words, mut sets): (Vec<Word>, Vec<String>) = (Vec::new(), Vec::new());
    let begin = reader.position();
    loop {
        blanks(reader);
        if redirection(reader)? {
            continue;
        }
        if words.is_empty()
            && let Some(name) = assignment(reader)?
        {
            sets.push(name);
            continue;
        }
        let before = reader.position();
        let raw = reader.word()?;
        if reader.position() == before {
            break;
        }
        if words.is_empty() && raw.plain().is_some_and(|word| listed(RESERVED, word.as_str())) {
            return Err(Strange("it is not understood as a command"));
        }
        if words.is_empty() && sets.is_empty() && reader.sees("(") {
            return function(reader, &raw);
        }
        array_argument(reader, &raw)?;
        // `12>` and `{name}>` belong to the redirection.
        let before_arrow = reader.sees("<") || reader.sees(">");
        if before_arrow && raw.plain().is_some_and(|text| text.starts_with(|c: char| c.is_ascii_digit() || c == '{')) {
            return Err(Strange("a redirection is not plain"));
        }
        words.extend(raw.words()?);
    }
    if reader.position() == begin {
        return Err(Strange("it is not understood as a command"));
    }
    names::set(reader.found, &sets, &words);
    if !words.is_empty() {
        unwrap::command(reader.found, words, reader.depth);
    }
    Ok(())
}

/// `declare a=(…)`: what is in it is read for what runs.
fn array_argument(reader: &mut Reader<'_>, raw: &Raw) -> Read<()> {
    if !reader.sees("(") {
        return Ok(());
    }
    if raw.plain().is_some_and(|text| text.ends_with('=')) {
        reader.found.unknown("an array is set by an argument");
        return array(reader);
    }
    Err(Strange("it is not understood as a command"))
}

fn function(reader: &mut Reader<'_>, name: &Raw) -> Read<()> {
    if name.plain().is_none() || !reader.takes("()") {
        return Err(Strange("it is not understood as a command"));
    }
    reader.found.unknown("it defines a function");
    rest(reader)?;
    command(reader)
}

/// Reads `NAME=…` in front of a command, and returns the name.
fn assignment(reader: &mut Reader<'_>) -> Read<Option<String>> {
    let begin = reader.position();
    let name = reader.name();
    let is_name = name.chars().next().is_some_and(|c| !c.is_ascii_digit());
    if is_name && reader.sees("[") {
        return subscripted(reader, begin, name);
    }
    if !is_name || !(reader.takes("=") || reader.takes("+=")) {
        reader.back_to(begin);
        return Ok(None);
    }
    if reader.sees("(") {
        array(reader)?;
    } else {
        reader.word()?;
    }
    Ok(Some(name))
}

/// `a[…]=…`, where the subscript is a number; a command that is called `a[…]` can be no allowed one.
fn subscripted(reader: &mut Reader<'_>, begin: usize, name: String) -> Read<Option<String>> {
    reader.skip(1);
    let digits = reader.name();
    let plain = !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit());
    if plain && reader.takes("]=") && !reader.sees("(") {
        reader.word()?;
        return Ok(Some(name));
    }
    reader.back_to(begin);
    Err(Strange("the subscript of an array is not a number"))
}

fn array(reader: &mut Reader<'_>) -> Read<()> {
    reader.bash_only()?;
    reader.skip(1);
    loop {
        rest(reader)?;
        if reader.takes(")") {
            let ended = reader.peek().is_none_or(super::quotes::ends_word);
            return if ended { Ok(()) } else { Err(Strange("an array is not plain")) };
        }
        let begin = reader.position();
        let raw = reader.word()?;
        if reader.position() == begin {
            return Err(Strange("an array is not plain"));
        }
        // `[…]=` has a subscript, which is arithmetic.
        if raw.words()?.iter().any(|word| word.beginning().starts_with('[') || word.splits()) {
            reader.found.unknown("an array is not plain");
        }
    }
}

const OPERATORS: [(&str, Option<Touch>); 12] = [
    ("&>>", Some(Touch::Write)),
    ("&>", Some(Touch::Write)),
    ("<<<", None),
    ("<<-", None),
    ("<<", None),
    ("<>", Some(Touch::Write)),
    ("<&", None),
    (">&", Some(Touch::Write)),
    (">>", Some(Touch::Write)),
    (">|", Some(Touch::Write)),
    (">", Some(Touch::Write)),
    ("<", Some(Touch::Read)),
];

/// Reads a redirection, if one comes next.
fn redirection(reader: &mut Reader<'_>) -> Read<bool> {
    let begin = reader.position();
    let digit = reader.peek().filter(|c| c.is_ascii_digit() && matches!(reader.ahead(1), Some('<' | '>')));
    reader.skip(usize::from(digit.is_some()));
    if reader.sees("<(") || reader.sees(">(") {
        reader.back_to(begin);
        return if digit.is_some() { Err(Strange("a redirection is not plain")) } else { Ok(false) };
    }
    let Some((operator, touch)) = OPERATORS.iter().find(|(operator, _)| reader.takes(operator)) else {
        reader.back_to(begin);
        return Ok(false);
    };
    match *operator {
        "<<" | "<<-" => return reader.here_document(*operator == "<<-").map(|()| true),
        "&>" | "&>>" | "<<<" => reader.bash_only()?,
        _ => {}
    }
    while reader.takes(" ") || reader.takes("\t") || reader.takes("\\\n") {}
    let start = reader.position();
    let word = reader.word()?.single()?;
    if reader.position() == start {
        return Err(Strange("a redirection leads nowhere"));
    }
    if let Some(touch) = touch {
        target(reader.found, *touch, &word, *operator == ">&");
    } else if *operator == "<&" && !is_descriptor(&word) {
        reader.found.unknown("a redirection is not plain");
    }
    Ok(true)
}

/// What may be written and read by everyone.
const FREE: [&str; 3] = ["/dev/null", "/dev/stdout", "/dev/stderr"];

fn is_descriptor(word: &Word) -> bool {
    word.literal().is_some_and(|text| {
        let digits = text.strip_suffix('-').unwrap_or(text);
        digits.len() <= 2 && digits.chars().all(|c| c.is_ascii_digit())
    })
}

fn target(found: &mut Found, touch: Touch, word: &Word, duplicates: bool) {
    if duplicates && is_descriptor(word) {
        return;
    }
    let path = word.literal().filter(|path| !path.is_empty()).map(str::to_owned);
    if !path.as_deref().is_some_and(|path| FREE.contains(&path)) {
        found.push(Part::Path { touch, path });
    }
}
