//! Which results of calls are shown as a line each, once the conversation is long.
//!
//! Invariants: a call keeps a result; skills, the agent's list, what people were asked, and what the last two messages led to
//! stay whole.

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
    /// The file that was read, where it was one.
    pub file: Option<String>,
    /// The event that it is in.
    pub seq: Seq,
    /// Its bytes.
    pub bytes: u64,
    /// About its tokens.
    pub tokens: u64,
    /// Where all of it is, if it was cut.
    pub artifact: Option<Digest>,
    /// Whether it is shown as a line already.
    pub pruned: bool,
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
    let read_again = |at: usize, it: &Kept| {
        let later = kept.get(at + 1..).unwrap_or_default();
        it.file.is_some() && later.iter().any(|later| later.file == it.file && !later.pruned)
    };
    let goes = |at: usize, it: &Kept| {
        let is_old = it.seq < recent && it.seq < old;
        let is_repeated = it.seq < step && read_again(at, it);
        !it.pruned && it.tokens > SMALL && !is_exempt(&it.tool) && (is_old || is_repeated)
    };
    let chosen: Vec<&Kept> = kept.iter().enumerate().filter(|(at, it)| goes(*at, it)).map(|(_, it)| it).collect();
    let freed: u64 = chosen.iter().map(|it| it.tokens.saturating_sub(stub(it).len() as u64 / 2)).sum();
    (freed >= FREED.min(usable / 8) && freed > 0).then(|| ContextPruned {
        calls: chosen.iter().map(|it| it.call).collect(),
        tokens_freed: freed,
        tokens_before: tokens,
    })
}

/// Returns the line that stands for a result.
#[must_use]
pub fn stub(kept: &Kept) -> String {
    let Kept { tool, seq, bytes, .. } = kept;
    let whole = kept.artifact.as_ref().map(|hash| format!(", whole as artifact {hash}")).unwrap_or_default();
    let again = match &kept.file {
        Some(file) => format!("read {file} again to see it as it is now"),
        None => format!("call `{tool}` again if you need it"),
    };
    format!(
        "[result of `{tool}` left out to save room: {bytes} bytes, kept as event {seq} of the history{whole}; {again}]"
    )
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
                        pruned: false,
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
        talk.kept[0].pruned = true;
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
}
