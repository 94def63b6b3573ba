//! Which memories come first: one function over all that is known of each.
//!
//! Each way of looking says in which order it would put them; their places are put together, `weight / (K + place)` from
//! each. Small priors decide among those that are alike. Pure; the shown score is the used one: the sum of its parts.

use std::collections::{HashMap, HashSet};

use super::question::{Question, is_stop, stem, words};
use super::{Priority, Scope};
use crate::id::MemoryId;
use crate::time::Timestamp;

/// How much less a later place says.
const K: f64 = 20.0;
/// What puts a memory behind all that say something else, and before those that hold no more.
const AGAIN: f64 = -0.5;
/// Those among which a newer one about the same thing goes before the older one.
const COMPARED: usize = 64;

/// A memory that some way of looking has found.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate<'a> {
    /// Which.
    pub memory: MemoryId,
    /// What it says.
    pub text: &'a str,
    /// Who may know it.
    pub scope: Scope,
    /// How much it matters.
    pub priority: Priority,
    /// Since when it holds.
    pub since: Timestamp,
    /// Whether it holds at the moment that is asked for.
    pub holds: bool,
    /// Its places.
    pub places: Places,
}

/// Where a memory stands in each order, from 1; nothing where it is not in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Places {
    /// By the words that were asked.
    pub words: Option<usize>,
    /// By these and words that mean about the same.
    pub kin: Option<usize>,
    /// By parts of words.
    pub parts: Option<usize>,
    /// By meaning, as vectors say it.
    pub meaning: Option<usize>,
}

/// A memory with its score.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranked {
    /// Which of the candidates.
    pub index: usize,
    /// The sum of the parts.
    pub score: f64,
    /// What each adds. None adds nothing.
    pub parts: Vec<(&'static str, f64)>,
}

/// Puts candidates in order, best first; at most `limit`. The order of those that are given has no influence.
#[must_use]
pub fn rank(question: &Question, candidates: &[Candidate<'_>], limit: usize) -> Vec<Ranked> {
    let texts: Vec<Vec<String>> = candidates.iter().map(|one| telling(one.text)).collect();
    let names = shares(&texts, |text| named(question, text));
    let phrases = shares(&texts, |text| pairs(question, text));
    let covers = shares(&texts, |text| covered(question, text));
    let own = shares(&texts, rarity(question, &texts));
    let recency = recent(candidates);
    let mut ranked: Vec<Ranked> = candidates
        .iter()
        .enumerate()
        .map(|(index, one)| {
            let place = |weight: f64, place: Option<usize>| place.map_or(0.0, |at| weight / (K + at as f64));
            let at = |places: &[Option<usize>]| places.get(index).copied().flatten();
            let parts = [
                ("words", place(1.0, one.places.words)),
                ("kin", place(0.7, one.places.kin)),
                ("parts", place(0.5, one.places.parts)),
                ("meaning", place(1.2, one.places.meaning)),
                ("names", place(1.0, at(&names))),
                ("phrases", place(0.4, at(&phrases))),
                ("coverage", place(0.6, at(&covers))),
                ("rarity", place(0.6, at(&own))),
                ("answer", answer(question, one.text)),
                ("recency", place(0.1, at(&recency))),
                ("scope", scope(one.scope)),
                ("priority", priority(one.priority)),
                ("validity", if one.holds { 0.0 } else { -1.0 }),
            ];
            scored(index, parts.into_iter().filter(|(_, part)| *part != 0.0).collect())
        })
        .collect();
    order(&mut ranked, candidates);
    newest_first(&mut ranked, candidates, &texts);
    once(&mut ranked, candidates, &texts);
    ranked.truncate(limit);
    ranked
}

fn scored(index: usize, parts: Vec<(&'static str, f64)>) -> Ranked {
    Ranked { index, score: parts.iter().map(|(_, part)| part).sum(), parts }
}

fn order(ranked: &mut [Ranked], candidates: &[Candidate<'_>]) {
    let age = |one: &Ranked| candidates.get(one.index).map(|candidate| (candidate.since, candidate.memory));
    ranked.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| age(b).cmp(&age(a))));
}

/// What has what an answer has: as much as some places in the order by words.
fn answer(question: &Question, text: &str) -> f64 {
    if question.wants.is_some_and(|wants| wants.is_in(text, &question.names)) { 0.012 } else { 0.0 }
}

/// What decides among those that are alike: the nearer, the better.
fn scope(scope: Scope) -> f64 {
    match scope {
        Scope::Session => 0.003,
        Scope::Project => 0.002,
        Scope::Agent => 0.001,
        Scope::All => 0.0,
    }
}

fn priority(priority: Priority) -> f64 {
    match priority {
        Priority::High => 0.002,
        Priority::Medium => 0.001,
        Priority::Low => 0.0,
    }
}

/// Returns the words of a text that say something, stemmed.
fn telling(text: &str) -> Vec<String> {
    words(text).map(str::to_lowercase).filter(|word| !is_stop(word)).map(|word| stem(&word)).collect()
}

/// Returns the place of each by a number, the highest first; those that are alike share one, and 0 has none.
fn shares(texts: &[Vec<String>], number: impl Fn(&[String]) -> usize) -> Vec<Option<usize>> {
    let numbers: Vec<usize> = texts.iter().map(|text| number(text)).collect();
    let mut levels: Vec<usize> = numbers.clone();
    levels.sort_unstable_by(|a, b| b.cmp(a));
    levels.dedup();
    let place = |number: &usize| levels.iter().position(|level| level == number).map(|at| at + 1);
    numbers.iter().map(|number| if *number == 0 { None } else { place(number) }).collect()
}

/// Returns how many words of names it has.
fn named(question: &Question, text: &[String]) -> usize {
    question.names.iter().flatten().filter(|word| text.contains(&stem(word))).count()
}

/// Returns how many words that follow each other in the question do so in it.
fn pairs(question: &Question, text: &[String]) -> usize {
    let asked: Vec<String> = question.words.iter().map(|word| stem(word)).collect();
    asked.windows(2).filter(|pair| text.windows(2).any(|other| other == *pair)).count()
}

/// Returns how much of the question it has, one way or the other.
fn covered(question: &Question, text: &[String]) -> usize {
    let said = question.words.iter().filter(|word| text.contains(&stem(word))).count();
    let meant = text.iter().any(|word| question.kin.contains(&word.as_str()));
    said * 2 + usize::from(meant)
}

/// Returns how much a text has that few of those beside it have, in thousandths: what is said of everything says little. What is asked
/// counts for nothing here.
fn rarity(question: &Question, texts: &[Vec<String>]) -> impl Fn(&[String]) -> usize {
    let asked: HashSet<String> = question.words.iter().map(|word| stem(word)).collect();
    let mut having: HashMap<String, usize> = HashMap::new();
    for text in texts {
        let words: HashSet<&String> = text.iter().filter(|word| !asked.contains(*word)).collect();
        words.into_iter().for_each(|word| *having.entry(word.clone()).or_default() += 1);
    }
    move |text| {
        let shares: Vec<usize> = text.iter().filter_map(|word| having.get(word)).map(|had| 1_000 / had).collect();
        shares.iter().sum::<usize>() / shares.len().max(1)
    }
}

fn recent(candidates: &[Candidate<'_>]) -> Vec<Option<usize>> {
    let mut times: Vec<Timestamp> = candidates.iter().map(|one| one.since).collect();
    times.sort_unstable_by(|a, b| b.cmp(a));
    times.dedup();
    candidates.iter().map(|one| times.binary_search_by(|time| one.since.cmp(time)).ok().map(|at| at + 1)).collect()
}

/// Lifts each that is newer than a better one about the same thing to just before that.
fn newest_first(ranked: &mut [Ranked], candidates: &[Candidate<'_>], texts: &[Vec<String>]) {
    let compared = ranked.len().min(COMPARED);
    let Some(head) = ranked.get_mut(..compared) else { return };
    let sets: Vec<HashSet<&String>> =
        head.iter().map(|one| texts.get(one.index).map(|text| text.iter().collect()).unwrap_or_default()).collect();
    let since = |one: &Ranked| candidates.get(one.index).map(|candidate| (candidate.holds, candidate.since));
    let times: Vec<_> = head.iter().map(since).collect();
    let mut by_age: Vec<usize> = (0..compared).collect();
    by_age.sort_by_key(|at| times.get(*at).copied().flatten());
    let mut scores: Vec<f64> = head.iter().map(|one| one.score).collect();
    for (n, newer) in by_age.iter().enumerate() {
        let Some(set) = sets.get(*newer) else { continue };
        let older = by_age.iter().take(n).filter(|older| {
            let is_older = times.get(**older) < times.get(*newer);
            is_older && sets.get(**older).is_some_and(|other| about_the_same(set, other))
        });
        let best = older.filter_map(|older| scores.get(*older)).copied().fold(f64::NEG_INFINITY, f64::max);
        if let (Some(score), Some(one)) = (scores.get_mut(*newer), head.get_mut(*newer))
            && best >= *score
        {
            one.parts.push(("newer", best - *score + 1e-6));
            *one = scored(one.index, std::mem::take(&mut one.parts));
            *score = one.score;
        }
    }
    order(ranked, candidates);
}

/// Puts what says again what a better one says behind all others: it would take the place of what nobody has said yet.
fn once(ranked: &mut [Ranked], candidates: &[Candidate<'_>], texts: &[Vec<String>]) {
    let mut said: HashSet<&[String]> = HashSet::new();
    for one in ranked.iter_mut() {
        let text = texts.get(one.index).map(Vec::as_slice).filter(|text| !text.is_empty());
        if text.is_some_and(|text| !said.insert(text)) {
            one.parts.push(("again", AGAIN));
            *one = scored(one.index, std::mem::take(&mut one.parts));
        }
    }
    order(ranked, candidates);
}

/// Says whether two texts have at least half of their words in common, and two of them.
fn about_the_same(one: &HashSet<&String>, other: &HashSet<&String>) -> bool {
    let common = one.intersection(other).count();
    common >= 2 && common * 2 >= one.union(other).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order_of(question: &str, texts: &[&str]) -> Vec<usize> {
        let one = |(n, text): (usize, &&'static str)| Candidate {
            memory: MemoryId::from_bits(n as u128 + 1),
            text,
            scope: Scope::All,
            priority: Priority::Medium,
            since: Timestamp::from_micros(0),
            holds: true,
            places: Places { words: Some(n + 1), ..Places::default() },
        };
        let texts: Vec<&'static str> = texts.iter().map(|text| &*text.to_string().leak()).collect();
        let candidates: Vec<Candidate<'_>> = texts.iter().enumerate().map(one).collect();
        let ranked = rank(&Question::read(question), &candidates, 10);
        assert!(
            ranked.iter().all(|one| one.score == one.parts.iter().map(|(_, part)| part).sum::<f64>()),
            "{ranked:?}"
        );
        ranked.iter().map(|one| one.index).collect()
    }

    #[test]
    fn what_says_the_same_again_goes_behind_what_says_something_else() {
        let texts = ["Lunch with Ada.", "Lunch with Ada!", "Lunch with Ada", "Ada lives in Rome."];
        assert_eq!(order_of("Ada", &texts), [0, 3, 1, 2]);
    }

    #[test]
    fn what_has_what_an_answer_has_goes_before_what_has_not() {
        assert_eq!(order_of("When was Ada born?", &["Ada laughed", "Ada came on 3 March"]), [1, 0]);
        assert_eq!(order_of("What about Ada?", &["Ada laughed", "Ada came on 3 March"]), [0, 1]);
    }
}
