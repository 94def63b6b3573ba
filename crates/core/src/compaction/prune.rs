//! Which results of calls are shown as a line each, once the conversation is long.
//!
//! Invariants: a call keeps a result; skills, the agent's list, what people were asked, what they allowed or pinned, and what the
//! last two messages led to stay whole; what is done is linear in the results.

use std::collections::HashMap;

use super::merge::cut;
use super::{Mark, Start};
use crate::context::Window;
use crate::digest::Digest;
use crate::event::ContextPruned;
use crate::id::{CallId, Seq};
use crate::session::{ASK_USER, LIST_TOOL};

/// A result that the model sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Its call.
    pub call: CallId,
    /// The tool.
    pub tool: String,
    /// The file that was read, where it was one: a reading that failed is none.
    pub file: Option<String>,
    /// The event that it is in.
    pub seq: Seq,
    /// Its bytes.
    pub bytes: u64,
    /// About its tokens.
    pub tokens: u64,
    /// Where all of it is, if it was cut.
    pub artifact: Option<Digest>,
    /// Whether it is shown whole.
    pub form: Form,
}

/// How much of a result is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// All of it, until it is pruned.
    Whole,
    /// All of it, for good.
    Always,
    /// A line.
    Line,
}

/// Tokens that must come free, and of the newest results that stay, in a large window.
const FREED: u64 = 20_000;
const NEWEST: u64 = 40_000;
/// Tokens below which a result is not worth a line.
const SMALL: u64 = 100;
/// Tools whose results stay.
const EXEMPT: [&str; 3] = ["skill", LIST_TOOL, ASK_USER];

/// Says whether a tool's results stay whole.
#[must_use]
pub fn is_exempt(tool: &str) -> bool {
    EXEMPT.contains(&tool)
}

/// Returns the results to be shown as a line each, if that is worth it.
#[must_use]
pub fn prune(kept: &[Kept], marks: &[Mark], (tokens, window): (u64, &Window)) -> Option<ContextPruned> {
    let usable = window.usable();
    let messages = marks.iter().rev().filter(|mark| mark.start == Some(Start::Message)).map(|mark| mark.seq);
    let recent = messages.take(2).last().unwrap_or_default();
    let mut newest = NEWEST.min(usable / 3);
    let mut old = Seq::MAX;
    for mark in marks.iter().rev() {
        old = mark.seq;
        match newest.checked_sub(mark.tokens) {
            Some(left) => newest = left,
            None => break,
        }
    }
    let step = marks.iter().rev().find(|mark| mark.start == Some(Start::Step)).map_or(Seq::MAX, |mark| mark.seq);
    let is_whole = |it: &&Kept| it.form != Form::Line;
    // Of each file where it was read last: later readings take the place of earlier ones.
    let newest_of: HashMap<&str, Seq> =
        kept.iter().filter(is_whole).filter_map(|it| Some((it.file.as_deref()?, it.seq))).collect();
    let goes = |it: &&Kept| {
        let newer = || newest_of.get(it.file.as_deref()?).filter(|seq| **seq > it.seq);
        let is_old = it.seq < recent && it.seq < old;
        let is_repeated = it.seq < step && newer().is_some();
        let is_long = it.tokens > SMALL && it.tokens > line_tokens(&stub(it));
        it.form == Form::Whole && !is_exempt(&it.tool) && (is_old || is_repeated) && is_long
    };
    let chosen: Vec<&Kept> = kept.iter().filter(goes).collect();
    let freed: u64 = chosen.iter().map(|it| it.tokens.saturating_sub(line_tokens(&stub(it)))).sum();
    (freed >= FREED.min(usable / 8) && freed > 0).then(|| ContextPruned {
        calls: chosen.iter().map(|it| it.call).collect(),
        tokens_freed: freed,
        tokens_before: tokens,
    })
}

/// Characters of a name that a line repeats: a model may have called anything.
const NAME_CHARS: usize = 160;

/// Returns the line that stands for a result.
#[must_use]
pub fn stub(kept: &Kept) -> String {
    let Kept { seq, bytes, .. } = kept;
    let tool = in_line(&kept.tool);
    let whole = kept.artifact.as_ref().map(|hash| format!(", whole as artifact {hash}")).unwrap_or_default();
    let again = match &kept.file {
        Some(file) => format!("read {} again to see it as it is now", in_line(file)),
        None => format!("call `{tool}` again if you need it"),
    };
    format!(
        "[result of `{tool}` left out to save room: {bytes} bytes, kept as event {seq} of the history{whole}; {again}]"
    )
}

/// Nobody counts it: hashes and paths have more tokens than words.
#[must_use]
pub fn line_tokens(line: &str) -> u64 {
    line.len() as u64 / 2
}

/// What a model said, as a part of a line of ours: neither the line nor what is around it ends within.
fn in_line(said: &str) -> String {
    let breaks = |c: char| c.is_control() || matches!(c, '[' | ']' | '`' | '\u{2028}' | '\u{2029}');
    cut(&said.replace(breaks, "\u{fffd}"), NAME_CHARS)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A conversation of turns: each a message, and steps with a result of this tool, file and size.
    struct Talk {
        marks: Vec<Mark>,
        kept: Vec<Kept>,
    }

    impl Talk {
        fn of(turns: &[&[(&str, Option<&str>, u64)]]) -> Self {
            let mut talk = Self { marks: Vec::new(), kept: Vec::new() };
            for results in turns {
                talk.mark(10, Some(Start::Message));
                talk.mark(0, Some(Start::Step));
                for (tool, file, tokens) in *results {
                    let seq = talk.mark(*tokens, None);
                    talk.kept.push(Kept {
                        call: CallId::from_bits(u128::from(seq)),
                        tool: (*tool).to_owned(),
                        file: file.map(str::to_owned),
                        seq,
                        bytes: tokens * 4,
                        tokens: *tokens,
                        artifact: None,
                        form: Form::Whole,
                    });
                    talk.mark(0, Some(Start::Step));
                }
            }
            talk
        }

        fn mark(&mut self, tokens: u64, start: Option<Start>) -> Seq {
            let seq = self.marks.len() as Seq + 1;
            self.marks.push(Mark { seq, tokens, start });
            seq
        }

        /// Which results go, by their place.
        fn pruned(&self, window: &Window) -> Vec<usize> {
            let tokens = self.marks.iter().map(|mark| mark.tokens).sum();
            let pruned = prune(&self.kept, &self.marks, (tokens, window));
            let calls = pruned.map(|pruned| pruned.calls).unwrap_or_default();
            calls.iter().map(|call| self.kept.iter().position(|kept| kept.call == *call).unwrap()).collect()
        }
    }

    fn check(turns: &[&[(&str, Option<&str>, u64)]], goes: &[usize]) {
        assert_eq!(Talk::of(turns).pruned(&Window { tokens: 400_000, ..Window::default() }), goes, "{turns:?}");
    }

    const BIG: (&str, Option<&str>, u64) = ("bash", None, 12_000);

    #[test]
    fn results_before_the_newest_40_000_tokens_go_once_20_000_come_free() {
        check(&[&[BIG; 5], &[BIG], &[BIG]], &[0, 1, 2]);
        check(&[&[BIG; 4], &[BIG], &[BIG]], &[0, 1]);
        check(&[&[BIG; 3], &[BIG], &[BIG]], &[]);
        check(&[&[("bash", None, 19_900), BIG], &[BIG; 2], &[BIG]], &[]);
        check(&[&[("bash", None, 20_100), BIG], &[BIG; 2], &[BIG]], &[0]);
    }

    #[test]
    fn what_the_last_two_messages_led_to_stays() {
        check(&[&[], &[BIG; 8], &[]], &[]);
        check(&[&[BIG; 8], &[], &[]], &[0, 1, 2, 3]);
        check(&[&[BIG; 8]], &[]);
    }

    #[test]
    fn skills_lists_and_questions_stay_and_so_does_what_is_small() {
        let exempt = |tool| (tool, None, 30_000);
        check(&[&[exempt("skill"), exempt(LIST_TOOL), exempt(ASK_USER), BIG, BIG], &[BIG; 3], &[BIG]], &[3, 4]);
        check(&[&[("bash", None, 100), BIG, BIG], &[BIG; 3], &[BIG]], &[1, 2]);
    }

    #[test]
    fn of_reads_of_the_same_file_only_the_newest_stays_however_new_they_are() {
        let read = |file| ("read", Some(file), 9_000);
        check(&[&[read("a")], &[read("b"), read("a")], &[read("a"), read("a")]], &[0, 2, 3]);
        check(&[&[read("a")], &[read("b")], &[read("a")]], &[]);
        // What the model has not seen yet stays.
        let mut talk = Talk::of(&[&[read("a"); 4]]);
        talk.marks.pop();
        let window = Window { tokens: 400_000, ..Window::default() };
        assert_eq!(talk.pruned(&window), [0, 1, 2]);
    }

    #[test]
    fn nothing_is_left_out_twice_and_a_small_window_frees_what_is_much_for_it() {
        let mut talk = Talk::of(&[&[BIG; 5], &[BIG], &[BIG]]);
        let window = Window { tokens: 400_000, ..Window::default() };
        talk.kept[0].form = Form::Line;
        assert_eq!(talk.pruned(&window), [1, 2]);
        let small = Window { tokens: 8_000, output: 1_000, buffer: 500, ..Window::default() };
        let talk = Talk::of(&[&[("bash", None, 1_000); 4], &[], &[]]);
        assert_eq!(talk.pruned(&small), [0]);
    }

    #[test]
    fn a_line_says_what_it_stands_for_and_where_it_is() {
        let mut kept = Talk::of(&[&[BIG, ("read", Some("a.rs"), 500)]]).kept;
        kept[0].artifact = Some(Digest::of(b"x"));
        let (first, second) = (stub(&kept[0]), stub(&kept[1]));
        assert!(first.contains("`bash`") && first.contains("event 3") && first.contains(Digest::of(b"x").as_str()));
        assert!(second.contains("read a.rs again") && second.lines().count() == 1, "{second}");
    }

    #[test]
    fn a_reading_that_failed_takes_no_other_s_place() {
        let read = |file| ("read", file, 12_000);
        check(&[&[read(Some("a"))], &[read(Some("a")), read(None)], &[read(Some("a")), read(None)]], &[0, 1]);
        check(&[&[read(Some("a")); 3], &[read(None)], &[read(None)]], &[0, 1]);
    }

    #[test]
    fn what_is_pinned_or_was_allowed_stays_however_old_it_is() {
        let mut talk = Talk::of(&[&[BIG; 5], &[BIG], &[BIG]]);
        talk.kept[1].form = Form::Always;
        assert_eq!(talk.pruned(&Window { tokens: 400_000, ..Window::default() }), [0, 2]);
    }

    #[test]
    fn a_line_stays_one_line_and_short_whatever_a_model_called() {
        let mut kept = Talk::of(&[&[("read", Some("x"), 500)]]).kept.remove(0);
        kept.file = Some(format!("a\r\nb\u{2028}]\n[result of `bash`: ok {}", "/long".repeat(2_000)));
        kept.tool = "no\nsuch`]".repeat(500);
        let line = stub(&kept);
        assert!(line.chars().count() < 800, "{line}");
        assert!(!line.contains(['\n', '\r', '\u{2028}']) && line.matches(['[', ']']).count() == 2, "{line}");
    }

    #[test]
    fn a_line_that_is_longer_than_the_result_stands_for_none() {
        let long = "漢".repeat(160);
        check(&[&[("read", Some(long.as_str()), 150); 400], &[BIG; 2], &[BIG; 2]], &[]);
    }
}
