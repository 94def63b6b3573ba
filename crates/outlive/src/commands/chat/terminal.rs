//! The terminal while a conversation holds it: keys come one by one, nothing is echoed, pasted text is told apart.
//!
//! Invariant: however this program ends, short of SIGKILL, the terminal is as the shell left it.

use std::io::Write as _;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::terminal::{disable_raw_mode, enable_raw_mode, size};
use outlive_tui::{Frame, Painter, Piece};

use crate::show;

/// Pasted text comes in brackets.
const ENTER: &str = "\x1b[?2004h";
const LEAVE: &str = "\x1b[?2026l\x1b[?2004l\x1b[?25h";
static HELD: AtomicBool = AtomicBool::new(false);
static HOOK: Once = Once::new();

/// The terminal, held.
pub struct Terminal {
    painter: Painter,
    size: (usize, usize),
}

impl Terminal {
    /// Takes it.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn hold() -> std::io::Result<Self> {
        HOOK.call_once(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                if HELD.load(Ordering::SeqCst) {
                    put("\x1b[J\r\n").ok();
                }
                give_back();
                before(panic);
            }));
        });
        let mut terminal = Self { painter: Painter::new(show::colors()), size: (80, 24) };
        terminal.take()?;
        Ok(terminal)
    }

    fn take(&mut self) -> std::io::Result<()> {
        HELD.store(true, Ordering::SeqCst);
        enable_raw_mode()?;
        self.measure();
        put(ENTER)
    }

    fn measure(&mut self) {
        // A terminal that does not know its size says zero.
        if let Ok((width, height)) = size()
            && width > 0
            && height > 0
        {
            self.size = (usize::from(width), usize::from(height));
        }
    }

    /// Takes note of another size.
    pub fn resize(&mut self) {
        let before = self.size;
        self.measure();
        if before != self.size {
            self.painter.resize(self.size.0);
        }
    }

    /// Prints finished lines and draws below them.
    ///
    /// # Errors
    ///
    /// The terminal is gone.
    pub fn draw(&mut self, above: &[Vec<Piece>], frame: impl FnOnce(usize, usize) -> Frame) -> std::io::Result<()> {
        let (width, height) = self.size;
        put(&self.painter.paint(above, frame(width, height), width))
    }

    /// Clears the screen; what is in the scrollback stays.
    ///
    /// # Errors
    ///
    /// The terminal is gone.
    pub fn clear(&mut self) -> std::io::Result<()> {
        self.measure();
        self.painter.forget();
        put("\x1b[2J\x1b[H")
    }

    /// Gives it to the shell until this program is told to go on.
    ///
    /// # Errors
    ///
    /// The terminal is gone.
    pub fn suspend(&mut self) -> std::io::Result<()> {
        put(&self.painter.clear())?;
        give_back();
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TSTP)?;
        self.take()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if HELD.load(Ordering::SeqCst) {
            put(&self.painter.clear()).ok();
        }
        give_back();
    }
}

fn give_back() {
    if HELD.swap(false, Ordering::SeqCst) {
        put(LEAVE).ok();
        disable_raw_mode().ok();
    }
}

fn put(text: &str) -> std::io::Result<()> {
    if text.is_empty() {
        return Ok(());
    }
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
