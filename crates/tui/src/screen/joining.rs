//! A client that drops at any point and comes back sees what one sees that never dropped.

use outlive_core::content::Delta;
use outlive_core::id::CallId;
use outlive_core::turn::Running;
use proptest::prelude::*;
use serde_json::json;

use super::tests::{asked, entry, started};
use super::{Input, Screen};
use crate::Style;

/// Something that speaks in pieces, and then ends.
#[derive(Debug, Clone)]
enum Speech {
    /// An answer: thoughts and texts.
    Answer(Vec<(bool, String)>),
    /// Output of a call.
    Output(Vec<String>),
}

fn speech() -> impl Strategy<Value = Speech> {
    let piece = "([a-zäß…]{0,5}[ \n]?){0,4}";
    prop_oneof![
        prop::collection::vec((any::<bool>(), piece), 0..8).prop_map(Speech::Answer),
        prop::collection::vec("([a-zäß…]{1,5}\n?){0,3}", 0..8).prop_map(Speech::Output),
        // More than is printed, in lines and in bytes.
        prop::collection::vec("([a-zäß]{1,5}\n){0,30}", 0..8).prop_map(Speech::Output),
        // No more than is kept for whoever joins.
        prop::collection::vec("[a-z…]{40}", 0..3)
            .prop_map(|parts| Speech::Output(parts.iter().map(|part| part.repeat(250)).collect())),
    ]
}

impl Speech {
    /// All that is heard of it.
    fn inputs(&self) -> Vec<Input> {
        match self {
            Self::Answer(parts) => {
                let delta = |(thinks, text): &(bool, String)| {
                    let text = text.clone();
                    Input::Delta(if *thinks { Delta::Thinking { text } } else { Delta::Text { text } })
                };
                let block = |(thinks, text): &(bool, String)| match thinks {
                    true => json!({"type": "thinking", "thinking": text}),
                    false => json!({"type": "text", "text": text}),
                };
                let content: Vec<_> = parts.iter().map(block).collect();
                let finished = format!(
                    r#""type":"step.finished","attempt":1,"content":{},"stop_reason":"end_turn","usage":{{"input_tokens":1,"output_tokens":1}},"latency_ms":1,"model":"m""#,
                    json!(content)
                );
                [asked(1)].into_iter().chain(parts.iter().map(delta)).chain([entry(5, &finished)]).collect()
            }
            Self::Output(parts) => {
                let call = CallId::from_bits(1);
                let delta = |text: &String| Input::Delta(Delta::ToolOutput { call, text: text.clone() });
                let finished = format!(
                    r#""type":"call.finished","call":"{call}","attempt":1,"outcome":"ok","content":{},"duration_ms":100"#,
                    json!(parts.concat())
                );
                [started(1, 1)].into_iter().chain(parts.iter().map(delta)).chain([entry(3, &finished)]).collect()
            }
        }
    }

    fn without_thoughts(&self) -> Self {
        match self {
            Self::Answer(parts) => Self::Answer(parts.iter().filter(|(thinks, _)| !thinks).cloned().collect()),
            Self::Output(_) => self.clone(),
        }
    }

    /// Whether all of it is printed, however much of it was heard as it came.
    fn is_short(&self) -> bool {
        match self {
            Self::Answer(_) => true,
            Self::Output(parts) => parts.concat().lines().count() <= 12 && parts.concat().len() < 30_000,
        }
    }
}

/// All that ends up on the screen, letter by letter.
fn shown(inputs: &[Input]) -> String {
    let mut screen = Screen::default();
    let pieces: Vec<_> = inputs.iter().flat_map(|input| screen.update(input)).collect();
    let letters = |text: &str| text.chars().map(String::from).collect::<Vec<_>>().join("~");
    let marked = |piece: &super::Piece| {
        if piece.style == Style::Thought { format!("~{}", letters(&piece.text)) } else { piece.text.clone() }
    };
    let text: String = pieces.iter().filter(|piece| !piece.text.is_empty()).map(marked).collect();
    assert_eq!(screen.unfinished(), []);
    text
}

/// What is heard by a client that is away from the one place to the other.
fn with_a_gap(inputs: &[Input], gap: std::ops::Range<usize>) -> Vec<Input> {
    let mut running = Running::default();
    for input in &inputs[..gap.end] {
        match input {
            Input::Event(entry) => running.event(entry),
            Input::Delta(delta) => drop(running.delta(delta)),
            Input::Live | Input::Lost => {}
        }
    }
    let replayed = inputs[gap.clone()].iter().filter(|input| matches!(input, Input::Event(_))).cloned();
    let so_far = running.so_far().map(|so_far| Input::Delta(so_far.into()));
    let before = [Input::Live].into_iter().chain(inputs[..gap.start].iter().cloned());
    let back = [Input::Lost].into_iter().chain(replayed).chain([Input::Live]).chain(so_far);
    before.chain(back).chain(inputs[gap.end..].iter().cloned()).collect()
}

proptest! {
    #[test]
    fn whoever_drops_and_comes_back_sees_the_same(speech in speech(), at: prop::sample::Index, to: prop::sample::Index) {
        let inputs = speech.inputs();
        // It is back before the end: the last of them.
        let from = at.index(inputs.len());
        let gap = from..from + to.index(inputs.len() - from);
        let whole = shown(&[&[Input::Live], inputs.as_slice()].concat());
        prop_assert_eq!(&whole, &shown(&with_a_gap(&inputs, gap)));
    }

    #[test]
    fn whoever_comes_back_after_the_end_sees_the_same_text(speech in speech(), at: prop::sample::Index) {
        let speech = speech.without_thoughts();
        prop_assume!(speech.is_short());
        let inputs = speech.inputs();
        let gap = at.index(inputs.len())..inputs.len();
        let whole = shown(&[&[Input::Live], inputs.as_slice()].concat());
        let pieced = shown(&with_a_gap(&inputs, gap));
        prop_assert_eq!(whole.trim_end(), pieced.trim_end());
    }

    #[test]
    fn what_is_told_twice_is_shown_once(speech in speech(), at: prop::sample::Index) {
        let inputs = speech.inputs();
        let here = at.index(inputs.len());
        let mut twice = with_a_gap(&inputs, here..here);
        // A listener that fell behind is given it again, without a word about it.
        twice.retain(|input| !matches!(input, Input::Lost));
        prop_assert_eq!(shown(&[&[Input::Live], inputs.as_slice()].concat()), shown(&twice));
    }
}
