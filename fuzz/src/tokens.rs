//! A text, in a build without a vocabulary, as this one is: four bytes count as one, and nothing that is counted so is written down.

use outlive_model::tokens::counter;

pub fn run(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else { return };
    let counter = counter();
    assert_eq!((counter.count(text) as usize, counter.is_exact()), (text.len().div_ceil(4), false));
}
