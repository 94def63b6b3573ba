//! What was answered to requests that belong to no one session, by the clients' names for them.
//!
//! Invariant: bounded in number, in age and in bytes; what is forgotten first is what is oldest.

use outlive_core::digest::Digest;
use outlive_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::StoreError;

/// The answer to a request that was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Digest of the client's name for it, and of what that name belongs to.
    pub name: Digest,
    /// Digest of what was asked.
    pub asked: Digest,
    /// When it was answered.
    pub at: Timestamp,
    /// What was said; its meaning is the asker's matter.
    pub said: String,
}

/// Answers that are kept.
pub trait Answers: Send + Sync {
    /// Returns the answer of this name, if it is kept.
    fn answered(&self, name: &Digest) -> Result<Option<Answer>, StoreError>;

    /// Keeps an answer, in place of another one of its name. `Ok` means durable.
    fn keep(&self, answer: Answer) -> Result<(), StoreError>;
}

/// Answers that are kept at most.
const ANSWERS: usize = 1_000;
/// Bytes of one that is kept.
pub const ANSWER_BYTES: usize = 64 << 10;
/// Microseconds for which they are kept: a week.
const AGE: i64 = 7 * 86_400_000_000;
/// Bytes of all that are kept.
const ANSWERS_BYTES: usize = 4 << 20;

/// Adds an answer to others, which are in the order of their coming, and forgets what is too much or too old.
pub(crate) fn add(answers: &mut Vec<Answer>, new: Answer) -> Result<(), StoreError> {
    if new.said.len() > ANSWER_BYTES {
        let why = format!("it has {} bytes, of {ANSWER_BYTES} that are kept", new.said.len());
        return Err(StoreError::Refused { what: "the answer to a request".to_owned(), why });
    }
    let oldest = new.at.micros().saturating_sub(AGE);
    answers.retain(|old| old.name != new.name && old.at.micros() >= oldest);
    answers.push(new);
    let mut bytes = 0;
    let fits = |answer: &&Answer| {
        bytes += answer.said.len();
        bytes <= ANSWERS_BYTES
    };
    let kept = answers.iter().rev().take(ANSWERS).take_while(fits).count();
    answers.drain(..answers.len() - kept);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000_000;

    fn answer(n: usize, at: i64, said: &str) -> Answer {
        let (name, at) = (Digest::of(&n.to_le_bytes()), Timestamp::from_micros(at));
        Answer { asked: name.clone(), name, at, said: said.to_owned() }
    }

    #[test]
    fn the_oldest_answers_are_forgotten_by_number_by_age_and_by_bytes() {
        let mut kept = Vec::new();
        (0..=ANSWERS).for_each(|n| add(&mut kept, answer(n, 0, "")).unwrap());
        assert_eq!((kept.len(), &kept[0].name), (ANSWERS, &answer(1, 0, "").name));
        add(&mut kept, answer(5_000, 7 * DAY, "")).unwrap();
        assert_eq!(kept.len(), ANSWERS, "they are a week old");
        add(&mut kept, answer(5_001, 7 * DAY + 1, "")).unwrap();
        assert_eq!(kept.len(), 2, "they are older");
        let large = "x".repeat(ANSWER_BYTES);
        (0..65).for_each(|n| add(&mut kept, answer(n, 7 * DAY, &large)).unwrap());
        assert_eq!((kept.len(), &kept[0].name), (ANSWERS_BYTES / ANSWER_BYTES, &answer(1, 0, "").name));
    }
}
