//! What is drawn below the conversation: the line that is not finished, what waits, the input box, the status line.
//!
//! Pure: the same state and size give the same rows. No row is wider, and no frame higher, than the terminal.

use outlive_core::content::Usage;
use outlive_core::context::Level;
use outlive_core::session::Filled;
use unicode_segmentation::UnicodeSegmentation as _;

use crate::talk::{Focus, Link, Note, Talk};
use crate::{Activity, Piece, Style, columns, wrap};

/// Rows, and where the cursor is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frame {
    /// From top to bottom.
    pub rows: Vec<Vec<Piece>>,
    /// Row and column, both from 0; absent when no text can be typed.
    pub cursor: Option<(usize, usize)>,
}

/// Rows of what is heard in part, and follow-ups, that are shown.
const SHOWN: usize = 3;

/// Draws what is below the conversation in this many columns and rows.
#[must_use]
pub fn view(talk: &Talk, width: usize, height: usize) -> Frame {
    // The last column stays free: there, terminals differ in when they wrap.
    let width = width.saturating_sub(1).max(8);
    let (input, cursor) = input(talk, width, (height / 2).max(1));
    let mut below = foot(talk, width);
    let room = height.saturating_sub(input.len() + below.len() + 2);
    let mut rows = unfinished(talk, width, room);
    rows.extend(waiting(talk, width, room.saturating_sub(rows.len())));
    if height > input.len() + below.len() {
        rows.push(vec![Piece { style: Style::Dim, text: "─".repeat(width) }]);
    }
    let cursor = cursor.map(|(row, column)| (rows.len() + row, column));
    rows.extend(input);
    rows.append(&mut below);
    let over = rows.len().saturating_sub(height.max(1));
    rows.drain(..over);
    Frame { rows, cursor: cursor.and_then(|(row, column)| Some((row.checked_sub(over)?, column))) }
}

/// The end of the line that is being written, and of what is heard in part.
fn unfinished(talk: &Talk, width: usize, room: usize) -> Vec<Vec<Piece>> {
    let line: Vec<Piece> = talk.lines.open().iter().cloned().chain(clean(talk.screen.unfinished())).collect();
    let mut rows = if line.is_empty() { Vec::new() } else { wrap(&line, width) };
    rows.drain(..rows.len().saturating_sub(room));
    let preview = talk.screen.preview();
    if !preview.is_empty() {
        let mut lines = crate::lines::Lines::default();
        let mut shown = lines.push(&[Piece::new(Style::Output, preview)]);
        shown.extend((!lines.open().is_empty()).then(|| lines.open().to_vec()));
        let shown: Vec<Vec<Piece>> = shown.iter().flat_map(|line| wrap(line, width)).collect();
        let from = shown.len().saturating_sub(SHOWN.min(room.saturating_sub(rows.len())));
        rows.extend(shown.into_iter().skip(from));
    }
    rows
}

/// The unfinished line as it will be when it is finished.
fn clean(pieces: Vec<Piece>) -> Vec<Piece> {
    let mut lines = crate::lines::Lines::default();
    lines.push(&pieces);
    lines.open().to_vec()
}

/// Messages that are on their way, and follow-ups.
fn waiting(talk: &Talk, width: usize, room: usize) -> Vec<Vec<Piece>> {
    let unsent = talk.outbox.unsent.iter().map(|text| ("sending", text.clone()));
    let queued = talk.screen.later.queue.iter().map(|(_, text)| ("next", text.clone()));
    let uploads = talk.outbox.uploads.iter().map(|path| ("attaching", path.clone()));
    let files = talk.outbox.files.iter().map(|file| ("attached", crate::clean::visible(&file.described())));
    // What the next message takes along stands first: it is not known elsewhere.
    let all: Vec<(&str, String)> = files.chain(uploads).chain(queued).chain(unsent).collect();
    let mut rows: Vec<Vec<Piece>> = all
        .iter()
        .take(SHOWN)
        .map(|(word, text)| {
            clip(vec![Piece::new(Style::Dim, &format!("  {word}: {}", text.replace('\n', " ⏎ ")))], width)
        })
        .collect();
    if all.len() > SHOWN {
        rows.push(vec![Piece::new(Style::Dim, &format!("  … and {} more", all.len() - SHOWN))]);
    }
    rows.truncate(room);
    rows
}

type Cursor = Option<(usize, usize)>;

fn input(talk: &Talk, width: usize, most: usize) -> (Vec<Vec<Piece>>, Cursor) {
    let focus = talk.asking.as_ref().map(|asking| (asking.focus, asking.is_seen(talk.now)));
    let prompt = match focus {
        Some((Focus::Question, true)) => {
            let keys = "y yes, once · a always, here · g always, this agent · n no, and why · s later";
            return (wrap(&[Piece::new(Style::Notice, keys)], width), None);
        }
        Some((Focus::Question, false)) => {
            return (vec![vec![Piece::new(Style::Dim, "a question: see above")]], None);
        }
        Some((Focus::Reason, _)) => "why not? › ",
        Some((Focus::Box, _)) | None => "› ",
    };
    let (mut rows, (row, column)) = boxed(talk, prompt, width);
    if talk.editor.text().is_empty() {
        let hint = clip(vec![Piece::new(Style::Dim, hint(talk))], width.saturating_sub(columns(prompt)));
        rows.first_mut().into_iter().for_each(|row| row.extend(hint.clone()));
    }
    let from = row.saturating_sub(most - 1).min(rows.len().saturating_sub(most));
    let rows = rows.into_iter().skip(from).take(most).collect();
    (rows, Some((row - from, column)))
}

fn hint(talk: &Talk) -> &'static str {
    match (&talk.asking, talk.screen.runs()) {
        (Some(asking), _) if asking.focus == Focus::Reason => {
            "Enter denies it, with or without a reason; Esc goes back"
        }
        (None, false) => "a message; /help",
        (Some(_), _) | (None, true) => "",
    }
}

/// The text in rows, and where its cursor is.
fn boxed(talk: &Talk, prompt: &str, width: usize) -> (Vec<Vec<Piece>>, (usize, usize)) {
    let indent = columns(prompt);
    let room = width.saturating_sub(indent).max(2);
    let mut texts = vec![String::new()];
    let (mut column, mut cursor) = (0, (0, indent));
    let text = talk.editor.text();
    for (at, grapheme) in text.grapheme_indices(true) {
        let wide = columns(grapheme);
        if column + wide > room && grapheme != "\n" {
            texts.push(String::new());
            column = 0;
        }
        if at == talk.editor.at() {
            cursor = (texts.len() - 1, indent + column);
        }
        if grapheme == "\n" {
            texts.push(String::new());
            column = 0;
        } else {
            texts.last_mut().into_iter().for_each(|row| row.push_str(grapheme));
            column += wide;
        }
    }
    if talk.editor.at() == text.len() {
        cursor = (texts.len() - 1, indent + column);
    }
    let row = |(at, text): (usize, String)| {
        let before = if at == 0 { prompt.to_owned() } else { " ".repeat(indent) };
        vec![Piece { style: Style::Person, text: before }, Piece { style: Style::Plain, text }]
    };
    (texts.into_iter().enumerate().map(row).collect(), cursor)
}

/// A hint if there is one, and the status line.
fn foot(talk: &Talk, width: usize) -> Vec<Vec<Piece>> {
    let mut rows = Vec::new();
    let in_box = talk.asking.as_ref().is_some_and(|asking| asking.focus == Focus::Box);
    let note = match &talk.note {
        Note::Says(text) => Some(text.as_str()),
        Note::Leaving => Some("Ctrl-C again leaves"),
        Note::None if in_box => Some("Tab answers the question above"),
        Note::None => None,
    };
    if let Some(note) = note {
        let line = note.lines().next().unwrap_or_default();
        rows.push(clip(vec![Piece::new(Style::Notice, line)], width));
    }
    rows.push(clip(status(talk, width), width));
    rows
}

/// Agent, model, tokens, state, queue. Where it is narrow, what changes stays.
fn status(talk: &Talk, width: usize) -> Vec<Piece> {
    let screen = &talk.screen;
    let model = if screen.asked.model.is_empty() { &talk.who.model } else { &screen.asked.model };
    let usage = screen.usage;
    let cost =
        usage.cost_shown().filter(|_| usage.cost_nano_usd > 0).map(|cost| format!("{cost} ")).unwrap_or_default();
    let spent = format!("{cost}↑{} ↓{} tokens", tokens(usage.all_input()), tokens(usage.output_tokens));
    let mut parts = vec![(Style::Dim, talk.who.agent.clone()), (Style::Dim, model.clone())];
    parts.extend(screen.asked.filled.as_ref().map(context));
    parts.extend([(Style::Dim, spent), state(talk)]);
    let queued = screen.later.queue.len();
    if queued > 0 {
        parts.push((Style::Dim, format!("{queued} queued")));
    }
    parts.retain(|(_, text)| !text.is_empty());
    let wide = |parts: &[(Style, String)]| parts.iter().map(|(_, text)| columns(text) + 3).sum::<usize>();
    while parts.len() > 1 && wide(&parts) > width + 3 {
        // The model goes first, then how full it is, then the tokens, then the agent.
        parts.remove(usize::from(parts.len() > 3));
    }
    let mut row = Vec::new();
    for (style, text) in parts {
        if !row.is_empty() {
            row.push(Piece::new(Style::Dim, " · "));
        }
        row.push(Piece { style, text });
    }
    row
}

/// How full the model's window is.
fn context(filled: &Filled) -> (Style, String) {
    let style = match filled.level() {
        Level::Ok => Style::Dim,
        Level::Warn => Style::Notice,
        Level::Hard => Style::Bad,
    };
    let (held, usable) = (tokens(filled.tokens), tokens(filled.room.usable));
    (style, format!("ctx {held}/{usable} {} %", filled.percent()))
}

fn state(talk: &Talk) -> (Style, String) {
    let seconds = |since| talk.now.ms_since(since) / 1_000;
    let waits = talk.screen.waiting.len();
    match (talk.link, talk.screen.activity) {
        (Link::Lost(since) | Link::Away(since), _) => (Style::Bad, format!("reconnecting… {} s", seconds(since))),
        (Link::Reading, _) => (Style::Dim, "reading…".to_owned()),
        (Link::Live, Activity::Stopping) => (Style::Notice, "stopping…".to_owned()),
        (Link::Live, _) if waits > 0 && talk.asking.is_none() => (Style::Notice, format!("asks: {waits}, Tab")),
        (Link::Live, _) if waits > 0 => (Style::Notice, "asks".to_owned()),
        (Link::Live, _) if talk.screen.paused => (Style::Notice, "paused: /resume goes on".to_owned()),
        (Link::Live, Activity::Waiting(_, until)) => {
            let left = until.ms_since(talk.now) / 1_000;
            (Style::Notice, format!("waiting for the provider, asked again in {left} s"))
        }
        (Link::Live, Activity::Working(since)) => (Style::Call, format!("working {} s", seconds(since))),
        (Link::Live, Activity::Idle) if talk.screen.asks() => (Style::Notice, "asks you".to_owned()),
        (Link::Live, Activity::Idle) => match talk.screen.later.next() {
            Some(sleep) => (Style::Dim, format!("asleep {}", sleep.shown(talk.now))),
            None => (Style::Dim, "idle".to_owned()),
        },
    }
}

/// What a turn took, in a line: nothing where that was not counted.
#[must_use]
pub fn spent(usage: &Usage) -> Option<String> {
    let cost = usage.cost_shown().unwrap_or_else(|| "cost unknown".to_owned());
    let (input, output) = (tokens(usage.all_input()), tokens(usage.output_tokens));
    (usage.steps > 0).then(|| format!("↑{input} ↓{output} tokens · {cost}"))
}

/// A number of tokens, short.
pub(crate) fn tokens(count: u64) -> String {
    match count {
        0..1_000 => count.to_string(),
        1_000..100_000 => format!("{}.{}k", count / 1_000, count % 1_000 / 100),
        100_000..1_000_000 => format!("{}k", count / 1_000),
        _ => format!("{}.{}M", count / 1_000_000, count % 1_000_000 / 100_000),
    }
}

/// Cuts a row to a width, and shows that it was cut.
fn clip(row: Vec<Piece>, width: usize) -> Vec<Piece> {
    if row.iter().map(|piece| columns(&piece.text)).sum::<usize>() <= width {
        return row;
    }
    let mut left = width.saturating_sub(1);
    let mut clipped = Vec::new();
    for piece in row {
        let mut text = String::new();
        for grapheme in piece.text.graphemes(true) {
            left = match left.checked_sub(columns(grapheme)) {
                Some(left) => left,
                None => {
                    clipped.push(Piece { style: piece.style, text: text + "…" });
                    return clipped;
                }
            };
            text.push_str(grapheme);
        }
        clipped.push(Piece { style: piece.style, text });
    }
    clipped
}

#[cfg(test)]
mod tests;
