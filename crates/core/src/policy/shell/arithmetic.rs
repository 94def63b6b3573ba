//! Arithmetic: bash evaluates what the variables in it hold, and subscripts in that can run commands.

use super::Strange;
use super::quotes::Within;
use super::reader::{Read, Reader};

impl Reader<'_> {
    /// Reads up to the closing `))`. Only numbers are believed.
    pub(super) fn arithmetic(&mut self) -> Read<()> {
        let (mut open, mut plain) = (0_u32, true);
        loop {
            match self.within()? {
                '(' => open += 1,
                ')' if open > 0 => open -= 1,
                ')' if self.takes(")") => break,
                ')' => return Err(Strange("it could be arithmetic, or a command in two pairs of parentheses")),
                '$' => {
                    plain = false;
                    self.dollar(Within::Quotes)?;
                }
                '`' => {
                    plain = false;
                    self.backquoted(Within::Quotes)?;
                }
                '\'' | '"' | '\\' | '#' | '{' | '}' | ';' | '\n' | '[' | ']' => {
                    return Err(Strange("its arithmetic is not plain"));
                }
                letter => plain &= letter.is_ascii_digit() || " \t+-*/%<>=!&|^~?:,".contains(letter),
            }
        }
        if !plain {
            self.found.unknown("arithmetic evaluates what a variable holds, which can run commands");
        }
        Ok(())
    }
}
