use super::*;
use crate::Style;

fn line(text: &str) -> Vec<Piece> {
    vec![Piece::new(Style::Plain, text)]
}

fn frame(rows: &[&str], cursor: Option<(usize, usize)>) -> Frame {
    Frame { rows: rows.iter().map(|row| line(row)).collect(), cursor }
}

/// A terminal of 20 columns and 6 rows, with a scrollback.
struct Terminal(vt100::Parser);

impl Terminal {
    fn new() -> Self {
        Self(vt100::Parser::new(6, 20, 100))
    }

    fn write(&mut self, text: &str) {
        self.0.process(text.as_bytes());
    }

    fn screen(&self) -> String {
        self.0.screen().contents()
    }

    fn cursor(&self) -> (u16, u16) {
        self.0.screen().cursor_position()
    }

    /// All that was ever printed and is still to be seen by scrolling up.
    fn all(&mut self) -> Vec<String> {
        self.0.screen_mut().set_scrollback(usize::MAX);
        let above = self.0.screen().scrollback();
        let mut rows = Vec::new();
        for back in (1..=above).rev() {
            self.0.screen_mut().set_scrollback(back);
            rows.extend(self.0.screen().rows(0, 20).next());
        }
        self.0.screen_mut().set_scrollback(0);
        rows.extend(self.0.screen().rows(0, 20));
        rows
    }
}

#[test]
fn finished_lines_go_above_and_the_frame_stays_below() {
    let (mut terminal, mut painter) = (Terminal::new(), Painter::new(Colors::On));
    terminal.write("$ outlive chat\r\n");
    terminal.write(&painter.paint(&[], frame(&["----", "> ab", "idle"], Some((1, 4))), 20));
    assert_eq!(terminal.screen(), "$ outlive chat\n----\n> ab\nidle");
    assert_eq!(terminal.cursor(), (2, 4));
    terminal.write(&painter.paint(&[line("one"), line("two")], frame(&["----", ">", "busy"], Some((1, 2))), 20));
    assert_eq!(terminal.screen(), "$ outlive chat\none\ntwo\n----\n>\nbusy");
    terminal.write(&painter.paint(&[line("three"), line("four")], frame(&["----", ">"], None), 20));
    assert_eq!(terminal.screen(), "one\ntwo\nthree\nfour\n----\n>");
    assert!(terminal.0.screen().hide_cursor());
    terminal.write(&painter.clear());
    assert_eq!(terminal.screen(), "one\ntwo\nthree\nfour");
    assert_eq!(terminal.cursor(), (4, 0));
    assert!(!terminal.0.screen().hide_cursor());
}

#[test]
fn what_was_printed_stays_in_the_scrollback_once() {
    let (mut terminal, mut painter) = (Terminal::new(), Painter::new(Colors::Off));
    for n in 0..30 {
        let rows = ["----", "> x", "idle"];
        terminal.write(&painter.paint(
            &[line(&format!("line {n}"))],
            frame(&rows[..1 + n % 3], Some((n % 2 % (1 + n % 3), 1))),
            20,
        ));
    }
    terminal.write(&painter.clear());
    let printed: Vec<String> = terminal.all().into_iter().filter(|row| !row.trim().is_empty()).collect();
    assert_eq!(printed, (0..30).map(|n| format!("line {n}")).collect::<Vec<_>>());
}

#[test]
fn a_frame_that_is_drawn_is_not_drawn_again() {
    let mut painter = Painter::new(Colors::On);
    assert_ne!(painter.paint(&[], frame(&["a"], None), 20), "");
    assert_eq!(painter.paint(&[], frame(&["a"], None), 20), "");
    assert_ne!(painter.paint(&[], frame(&["b"], None), 20), "");
    painter.resize(10);
    assert_ne!(painter.paint(&[], frame(&["b"], None), 10), "");
}

#[test]
fn nothing_in_the_text_moves_the_cursor() {
    let (mut terminal, mut painter) = (Terminal::new(), Painter::new(Colors::On));
    let bad = line("a\x1b[2Jb\r\nc\x1b]0;x\x07");
    terminal.write(&painter.paint(std::slice::from_ref(&bad), Frame { rows: vec![bad.clone()], cursor: None }, 40));
    assert!(terminal.screen().starts_with("a␛[2Jb␍ c␛]0;x␇"), "{:?}", terminal.screen());
}

#[test]
fn wide_characters_and_long_lines_keep_the_frame_in_its_place() {
    let (mut terminal, mut painter) = (Terminal::new(), Painter::new(Colors::On));
    terminal.write(&painter.paint(&[line(&"字".repeat(15))], frame(&["> 字", "idle"], Some((0, 4))), 20));
    assert_eq!(terminal.screen(), format!("{}\n{}\n> 字\nidle", "字".repeat(9), "字".repeat(6)));
    assert_eq!(terminal.cursor(), (2, 4));
}

#[test]
fn an_empty_line_leaves_nothing_of_what_was_drawn_there() {
    let (mut terminal, mut painter) = (Terminal::new(), Painter::new(Colors::Off));
    terminal.write(&painter.paint(&[], frame(&["----", "> typed", "idle"], Some((1, 2))), 20));
    terminal.write(&painter.paint(&[line(""), line(""), line("")], frame(&["", ">"], None), 20));
    assert_eq!(terminal.screen(), "\n\n\n\n>");
}

#[test]
fn after_a_resize_the_cursor_is_where_the_terminal_put_it() {
    let mut painter = Painter::new(Colors::Off);
    painter.paint(&[], frame(&[&"-".repeat(19), "> 45678901234", "idle"], Some((1, 13))), 20);
    // 19 columns are two rows of ten, 13 columns are in the second one of theirs.
    painter.resize(10);
    assert_eq!(painter.row, 3);
    painter.paint(&[], frame(&["---", ">", "idle"], Some((1, 2))), 10);
    painter.resize(40);
    assert_eq!(painter.row, 1);
}
