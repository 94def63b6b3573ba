//! Front matter: YAML between two lines of `---`, before the text of a Markdown file.

use serde::de::DeserializeOwned;

use crate::yaml::YamlError;

/// Parts a file into its front matter and its text. Lines of the front matter keep their numbers.
pub(super) fn parted(text: &str) -> (Option<String>, &str) {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let Some(rest) = text.strip_prefix("---\n").or_else(|| text.strip_prefix("---\r\n")) else { return (None, text) };
    let mut at = 0;
    for line in rest.split_inclusive('\n') {
        if line.trim_end() == "---" {
            let (front, body) = rest.split_at(at);
            return (Some(format!("\n{front}")), &body[line.len()..]);
        }
        at += line.len();
    }
    (None, text)
}

/// Reads a file's front matter; the usual values where it has none.
pub(super) fn read<'a, T: DeserializeOwned + Default>(text: &'a str, file: &str) -> Result<(T, &'a str), YamlError> {
    let (front, body) = parted(text);
    match front.filter(|front| !front.trim().is_empty()) {
        Some(front) => Ok((crate::yaml::read(&front, file)?, body)),
        None => Ok((T::default(), body)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn front_matter_stands_between_its_lines() {
        assert_eq!(parted("---\na: 1\n---\nb\n---\n"), (Some("\na: 1\n".to_owned()), "b\n---\n"));
        assert_eq!(parted("\u{feff}---\r\na: 1\r\n---\r\nb"), (Some("\na: 1\r\n".to_owned()), "b"));
        assert_eq!(parted("---\n---"), (Some("\n".to_owned()), ""));
        assert_eq!(parted("---\nnever ends"), (None, "---\nnever ends"));
        assert_eq!(parted("b\n---\na: 1\n---\n"), (None, "b\n---\na: 1\n---\n"));
    }
}
