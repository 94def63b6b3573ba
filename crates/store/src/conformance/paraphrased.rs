//! A second world of facts, whose questions were worded without a look at how recall understands words: see `subjects`.

use outlive_core::id::MemoryId;

use super::facts::{Asked, Dice, Facts};
use super::subjects::{ELSEWHERE, SUBJECTS, Topic};

/// The days on which things are noted, changed ones last.
const DAYS: usize = 200;
const CHANGED: i64 = 300;

/// Makes it: 72 things with 8 facts each, 30 % of them changed later, and what is said besides, half of it of the same things.
#[must_use]
pub fn paraphrased(seed: u64, rows: usize) -> Facts {
    let mut dice = Dice::of_seed(seed);
    let mut world = Facts::default();
    let topics = SUBJECTS.iter().flat_map(|subjects| subjects.topics.iter().map(move |topic| (subjects, topic)));
    let mut facts: Vec<(&str, &Topic, MemoryId)> = Vec::new();
    for (subjects, topic) in topics {
        for name in subjects.names {
            let text = noted(&mut dice, topic, name);
            facts.push((name, topic, world.say(day(&mut dice), &text, None)));
        }
    }
    let changes: Vec<bool> = facts.iter().map(|_| dice.below(10) < 3).collect();
    let still = facts.len() + changes.iter().filter(|is_changed| **is_changed).count();
    for n in 0..rows.saturating_sub(still) {
        let text = if n % 2 == 0 { of_nothing(&mut dice) } else { of_something(&mut dice) };
        world.say(day(&mut dice), &text, None);
    }
    for ((name, topic, first), is_changed) in facts.into_iter().zip(changes) {
        let old = is_changed.then_some(first);
        let answer = match old {
            Some(old) => world.say(CHANGED, &noted(&mut dice, topic, name), Some(old)),
            None => first,
        };
        world.asked.push(Asked { text: dice.of(&topic.questions).replace("{e}", name), answer, old });
    }
    world
}

fn day(dice: &mut Dice) -> i64 {
    i64::try_from(dice.below(DAYS)).unwrap_or(0)
}

fn noted(dice: &mut Dice, topic: &Topic, name: &str) -> String {
    let value = dice.of(&topic.values);
    dice.of(&topic.notes).replace("{e}", name).replace("{v}", value)
}

fn of_nothing(dice: &mut Dice) -> String {
    let n = dice.below(1_000).to_string();
    dice.of(&ELSEWHERE).replace("{n}", &n)
}

fn of_something(dice: &mut Dice) -> String {
    let at = dice.below(SUBJECTS.len());
    let Some(subjects) = SUBJECTS.get(at) else { return String::new() };
    let name = dice.of(&subjects.names);
    dice.of(&subjects.chatter).replace("{e}", name)
}
