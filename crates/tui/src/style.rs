//! How pieces look: a few styles, as ANSI sequences where the terminal has colours.

use crate::clean::{drives, sign};

/// Whether escape sequences are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colors {
    /// A terminal.
    On,
    /// A file, a pipe, or `NO_COLOR`.
    Off,
}

/// How a piece looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// What was said.
    Plain,
    /// Emphasis and headings.
    Bold,
    /// Code.
    Code,
    /// What a person is asked to allow.
    Command,
    /// Notes.
    Dim,
    /// What a tool prints.
    Output,
    /// A model's reasoning.
    Thought,
    /// What a person said.
    Person,
    /// A call that runs.
    Call,
    /// It went well.
    Good,
    /// It did not.
    Bad,
    /// A person is needed, or a restart is told of.
    Notice,
}

impl Style {
    fn code(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Bold | Self::Command => Some("1"),
            Self::Code => Some("36"),
            Self::Dim | Self::Output => Some("2"),
            Self::Thought => Some("2;3"),
            Self::Person => Some("1;34"),
            Self::Call => Some("35"),
            Self::Good => Some("32"),
            Self::Bad => Some("31"),
            Self::Notice => Some("33"),
        }
    }
}

/// Returns text in a style. Control characters of the text itself are made visible: no output can drive the terminal.
#[must_use]
pub fn paint(colors: Colors, style: Style, text: &str) -> String {
    let safe: String = text.chars().map(|c| if drives(c) && c != '\n' && c != '\t' { sign(c) } else { c }).collect();
    match (colors, style.code()) {
        (Colors::On, Some(code)) => format!("\x1b[{code}m{safe}\x1b[0m"),
        (Colors::On, None) | (Colors::Off, _) => safe,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_output_can_drive_the_terminal() {
        assert_eq!(paint(Colors::Off, Style::Plain, "a\x1b[2Jb\rc"), "a␛[2Jb␍c");
    }
}
