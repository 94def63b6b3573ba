//! Promises of the answers that are kept.

use outlive_core::digest::Digest;
use outlive_core::time::Timestamp;

use super::Subject;
use crate::{ANSWER_BYTES, Answer, Class};

fn answer(n: usize, at: i64) -> Answer {
    let of = |text: String| Digest::of(text.as_bytes());
    Answer {
        name: of(format!("name {n}")),
        asked: of(format!("asked {n}")),
        at: Timestamp::from_micros(at),
        said: format!("said\n\"{n}\""),
    }
}

/// Also after opening again, and only the last one of a name.
pub async fn an_answer_is_found_by_its_name(subject: &mut impl Subject) {
    let store = subject.open();
    assert_eq!(store.house.answers.answered(&answer(1, 0).name), Ok(None));
    for n in 1..4 {
        assert_eq!(store.house.answers.keep(answer(n, 7)), Ok(()));
    }
    let last = Answer { said: "another".to_owned(), ..answer(2, 8) };
    assert_eq!(store.house.answers.keep(last.clone()), Ok(()));
    drop(store);
    let store = subject.open();
    assert_eq!(store.house.answers.answered(&last.name), Ok(Some(last)));
    assert_eq!(store.house.answers.answered(&answer(3, 0).name), Ok(Some(answer(3, 7))));
}

/// One that is too long is refused, and those that are there stay.
pub async fn an_answer_is_bounded(subject: &mut impl Subject) {
    let store = subject.open();
    assert_eq!(store.house.answers.keep(answer(1, 7)), Ok(()));
    let large = Answer { said: "x".repeat(ANSWER_BYTES + 1), ..answer(1, 8) };
    assert_eq!(store.house.answers.keep(large).map_err(|error| error.class()), Err(Class::Refused));
    assert_eq!(store.house.answers.answered(&answer(1, 0).name), Ok(Some(answer(1, 7))));
}
