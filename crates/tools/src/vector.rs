//! Writes an argument vector as a command line of which a shell makes that same vector, and nothing else.
//!
//! Invariant: every word is quoted as a whole, so no shell ever expands, splits or runs a part of it.

/// Bytes of a line: the kernel takes no argument of 128 KiB.
pub const LINE_BYTES: usize = 100 << 10;

/// Returns the line that becomes this program with these arguments, and with `input` to read where there is some (followed by
/// the end of a line).
///
/// # Errors
///
/// What no command line can hold.
pub fn exec_line(program: &str, arguments: &[String], input: Option<&str>) -> Result<String, String> {
    let mut line = format!("exec -- {}", quoted(program));
    for argument in arguments {
        line.push(' ');
        line.push_str(&quoted(argument));
    }
    if let Some(input) = input {
        line.push_str(" <<<");
        line.push_str(&quoted(input));
    }
    if line.contains('\0') {
        return Err("an argument has a NUL, which no command line can have".to_owned());
    }
    if line.len() > LINE_BYTES {
        return Err(format!("the arguments are longer than {LINE_BYTES} bytes together: put them into a file"));
    }
    Ok(line)
}

fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_line_can_hold_is_refused() {
        assert!(exec_line("a", &["b\0c".to_owned()], None).unwrap_err().contains("NUL"));
        assert!(exec_line("a", &["b".repeat(LINE_BYTES)], None).unwrap_err().contains("longer"));
        assert!(exec_line("a", &[], Some(&"'".repeat(LINE_BYTES / 3))).unwrap_err().contains("longer"));
    }
}
