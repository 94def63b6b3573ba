//! Groups, subshells, loops, conditions: what runs in them is read as lists.

use super::grammar::{End, blanks, expect, list, reserved, rest};
use super::reader::{Read, Reader};
use super::{Strange, names};

/// Reads a compound command, if one comes next.
pub(super) fn read(reader: &mut Reader<'_>) -> Read<bool> {
    if reader.sees("((") {
        reader.bash_only()?;
        reader.skip(2);
        reader.arithmetic()?;
        return Ok(true);
    }
    if reader.takes("(") {
        list(reader, &End::Parenthesis)?;
        return closed(reader);
    }
    let Some(word) = reserved(reader)? else { return Ok(false) };
    match word.as_str() {
        "{" => body(reader, &["}"], "}")?,
        "if" => condition(reader)?,
        "while" | "until" => {
            reader.found.loops = true;
            body(reader, &["do"], "do")?;
            until(reader, &["done"], "done")?;
        }
        "for" => every(reader)?,
        "case" => cases(reader)?,
        "[[" => test(reader)?,
        "function" => function(reader)?,
        "select" | "coproc" => return Err(Strange("`select` and `coproc` are not understood")),
        _ => return Ok(false),
    }
    Ok(true)
}

fn closed(reader: &mut Reader<'_>) -> Read<bool> {
    if reader.takes(")") { Ok(true) } else { Err(Strange("a parenthesis is not closed")) }
}

/// Takes the word that begins it, then a list and the word that ends that.
fn body(reader: &mut Reader<'_>, ends: &'static [&'static str], end: &str) -> Read<()> {
    reader.word()?;
    until(reader, ends, end)
}

fn until(reader: &mut Reader<'_>, ends: &'static [&'static str], end: &str) -> Read<()> {
    list(reader, &End::Words(ends))?;
    expect(reader, end)
}

fn condition(reader: &mut Reader<'_>) -> Read<()> {
    loop {
        body(reader, &["then"], "then")?;
        list(reader, &End::Words(&["elif", "else", "fi"]))?;
        match reserved(reader)?.as_deref() {
            Some("elif") => {}
            Some("else") => return body(reader, &["fi"], "fi"),
            Some(_) | None => return expect(reader, "fi"),
        }
    }
}

fn every(reader: &mut Reader<'_>) -> Read<()> {
    reader.word()?;
    blanks(reader);
    let name = reader.name();
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(Strange("a `for` is not plain"));
    }
    names::set(reader.found, &[name], &[]);
    reader.found.loops = true;
    expect(reader, "in")?;
    loop {
        blanks(reader);
        let begin = reader.position();
        reader.word()?;
        if reader.position() == begin {
            break;
        }
    }
    if !reader.takes(";") && !reader.sees("\n") {
        return Err(Strange("a `for` is not plain"));
    }
    expect(reader, "do")?;
    until(reader, &["done"], "done")
}

fn cases(reader: &mut Reader<'_>) -> Read<()> {
    reader.word()?;
    blanks(reader);
    reader.word()?;
    expect(reader, "in")?;
    loop {
        rest(reader)?;
        if reserved(reader)?.as_deref() == Some("esac") {
            return expect(reader, "esac");
        }
        reader.takes("(");
        pattern(reader)?;
        list(reader, &End::Case)?;
        let ended = [";;&", ";;", ";&"].into_iter().find(|end| reader.takes(end));
        match ended {
            Some(";;") => {}
            Some(_) => reader.bash_only()?,
            None => return expect(reader, "esac"),
        }
    }
}

fn pattern(reader: &mut Reader<'_>) -> Read<()> {
    loop {
        blanks(reader);
        let begin = reader.position();
        reader.word()?;
        if reader.position() == begin {
            return Err(Strange("a pattern of a `case` is not plain"));
        }
        blanks(reader);
        if reader.takes(")") {
            return Ok(());
        }
        if !reader.takes("|") {
            return Err(Strange("a pattern of a `case` is not plain"));
        }
    }
}

/// `[[ … ]]`: words between operators.
fn test(reader: &mut Reader<'_>) -> Read<()> {
    reader.bash_only()?;
    reader.word()?;
    let mut computes = false;
    loop {
        while reader.takes(" ") || reader.takes("\t") || reader.takes("\\\n") {}
        if ["&&", "||", "(", ")", "<", ">"].into_iter().any(|operator| reader.takes(operator)) {
            continue;
        }
        let begin = reader.position();
        let raw = reader.word()?;
        if reader.position() == begin {
            return Err(Strange("a `[[` is not plain"));
        }
        match raw.plain().as_deref() {
            Some("]]") => break,
            Some("-eq" | "-ne" | "-lt" | "-le" | "-gt" | "-ge" | "-v" | "-R") => computes = true,
            Some(_) | None => {}
        }
    }
    if computes {
        reader.found.unknown("a `[[` evaluates what a variable holds, which can run commands");
    }
    Ok(())
}

fn function(reader: &mut Reader<'_>) -> Read<()> {
    reader.bash_only()?;
    reader.found.unknown("it defines a function");
    reader.word()?;
    blanks(reader);
    reader.word()?;
    blanks(reader);
    reader.takes("()");
    rest(reader)?;
    if read(reader)? { Ok(()) } else { Err(Strange("a function has no body that is understood")) }
}
