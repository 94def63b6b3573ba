//! The terminal: a fold of the same events, drawn.
//!
//! [`Screen::update`] is pure: an event or a fragment in, pieces of text out. Who prints them, and where, is the binary's
//! matter. The terminal's own scrollback keeps the conversation: what was printed is never drawn again.

mod clean;
mod earlier;
mod editor;
mod history;
mod lines;
mod markdown;
mod painter;
mod screen;
mod style;
mod talk;
mod view;
mod wrap;

pub use clean::{label, visible};
pub use earlier::{Before, Page, hint};
pub use history::{History, KEPT};
pub use painter::Painter;
pub use screen::{Activity, Ended, Input, Later, Piece, Screen, Sleep, Waiting, left, mark};
pub use style::{Colors, Style, paint};
pub use talk::{Happened, Talk, Who, Wish};
pub use view::{Frame, spent, view};
pub use wrap::{columns, wrap};
