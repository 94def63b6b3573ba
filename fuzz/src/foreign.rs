//! Files of other programs: whatever their lines say, they are a conversation that becomes a session at rest, or damage
//! in words. The first byte says whose file it is.

use std::sync::Arc;

use outlive_core::digest::Digest;
use outlive_core::event::OnDisconnect;
use outlive_core::import::{Adopted, Records, check, claude_code, codex, duragent, journal, opencode};
use outlive_core::session::{Allowance, Held, State};
use outlive_core::time::Timestamp;

pub fn run(bytes: &[u8]) {
    let Some((kind, rest)) = bytes.split_first() else { return };
    let lines = || rest.split(|byte| *byte == b'\n');
    let reader: Option<Box<dyn Records>> = match kind % 4 {
        0 => Some(Box::new(claude_code::Reader::new("f", "i"))),
        1 => Some(Box::new(codex::Reader::new("f", "i"))),
        2 => Some(Box::new(duragent::Reader::new("f", "i"))),
        _ => None,
    };
    let read = match reader {
        Some(mut reader) => {
            lines().zip(1..).for_each(|(line, number)| reader.line(number, line));
            Some(reader.finish(Digest::of(rest)))
        }
        None => {
            let mut reader = opencode::Reader::new("i");
            for (line, number) in lines().zip(0_u32..) {
                match number {
                    0 => reader.session("f", line),
                    1..4 => reader.message("f", &format!("m{number}"), line),
                    _ => reader.part("f", (&format!("m{}", number % 4), &format!("p{number}")), line),
                }
            }
            reader.finish()
        }
    };
    let Some(talk) = read.and_then(|read| read.talk) else { return };
    assert_eq!(check(&talk), Ok(()));
    let (session, now) = (talk.session(), Timestamp::from_micros(1_900_000_000_000_000));
    let agent = "default".parse().expect("a good name");
    let adopted =
        Adopted { agent, agent_digest: String::new(), on_disconnect: OnDisconnect::Continue, talk: Arc::new(talk) };
    let mut state = State::default();
    journal(session, &adopted, now).iter().for_each(|entry| state.apply(entry));
    assert!(state.turn.is_none() && state.owed(now, &Held::default(), &Allowance::default()).is_empty());
}
