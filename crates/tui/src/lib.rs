//! The terminal: a fold of the same events, drawn.
//!
//! [`Screen::update`] is pure: an event or a fragment in, pieces of text out. Who prints them, and where, is the binary's
//! matter. The terminal's own scrollback keeps the conversation: what was printed is never drawn again, but for the few
//! rows of [`area`] at the bottom.

pub mod area;
mod editor;
mod lines;
mod markdown;
mod screen;
mod style;

pub use editor::{Edit, Editor};
pub use lines::Lines;
pub use screen::{Ended, Input, Piece, Screen, Waiting};
pub use style::{Colors, Style, paint};
