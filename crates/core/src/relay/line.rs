//! The command line of a state: a vector in which every word is quoted as a whole, so that no shell expands, splits or runs a
//! part of a value. A shell's own text stays as its author wrote it, and reads values as variables.

use std::collections::BTreeMap;

use super::definition::{Command, Run};
use crate::template::Values;

/// Bytes of a line: the kernel takes no argument of 128 KiB.
pub(crate) const LINE_BYTES: usize = 96 << 10;
/// What is said of values beyond it.
pub(crate) const TOO_LONG: &str = "are longer than 98304 bytes together: write them to a file, and name that";

/// Writes the line that runs a command with these values; `own` are the variables that every command gets.
///
/// # Errors
///
/// A value that is not there, and what no command line can hold.
pub fn line(run: &Run, command: &Command, own: &BTreeMap<&str, String>, values: &Values) -> Result<String, String> {
    let mut words = vec!["env".to_owned()];
    words.extend(own.iter().map(|(name, value)| format!("{name}={value}")));
    for (name, value) in &run.env {
        words.push(format!("{name}={}", values.fill(value).map_err(|why| format!("env.{name}: {why}"))?));
    }
    match command {
        Command::Shell(text) => words.extend(["bash".to_owned(), "-c".to_owned(), text.clone()]),
        Command::Argv(argv) => {
            for (at, word) in argv.iter().enumerate() {
                words.push(values.fill(word).map_err(|why| format!("command[{at}]: {why}"))?);
            }
        }
    }
    let cwd = run.cwd.as_ref().map(|cwd| values.fill(cwd).map_err(|why| format!("cwd: {why}"))).transpose()?;
    let quoted: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    let line = match cwd {
        Some(cwd) => format!("cd -- {} && {}", self::quoted(&cwd), quoted.join(" ")),
        None => quoted.join(" "),
    };
    if line.contains('\0') {
        return Err("a value has a NUL, which no command can be given".to_owned());
    }
    if line.len() > LINE_BYTES {
        return Err(format!("its values {TOO_LONG}"));
    }
    Ok(line)
}

/// A word that needs no quotes stays as it is, for people to read.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./:@%+,".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Says whether this may be the name of a variable that an author gives to a command.
#[must_use]
pub fn is_variable(name: &str) -> bool {
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    begins
        && !name.starts_with("RELAY_")
        && name.len() <= 128
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
