//! A made world of facts, from a seed: what is remembered of it, and questions in other words. Fair: no question has an id,
//! each asks by other words or other forms of them than the fact is told in, and whatever looks for the answer sees the
//! same rows.

use outlive_core::id::MemoryId;
use outlive_core::memory::{Kind, Memory, Priority, Scope};

use super::remembering::{memory, on};

/// Things that facts are about.
const FIRST: [&str; 12] =
    ["Anna", "Boris", "Clara", "Dmitri", "Elena", "Farid", "Greta", "Hugo", "Irma", "Jonas", "Katya", "Liam"];
const LAST: [&str; 6] = ["Abel", "Brandt", "Costa", "Duarte", "Engel", "Fischer"];

/// What facts say: `N` is the name, `V` the value. How each is told, and how it is asked.
const ATTRIBUTES: [(&[&str], &[&str]); 8] = [
    (
        &["N lives in V", "N has settled in V", "The home of N is in V"],
        &["Where does N live?", "In which city does N reside?", "What is the address of N?", "N is living where?"],
    ),
    (
        &["N works for V", "N is employed by V", "The employer of N is V"],
        &["Where is N working?", "Which company employs N?", "What job does N have?", "Who pays N's wages?"],
    ),
    (
        &["N prefers V in the morning", "The favourite drink of N is V", "N likes to drink V"],
        &["What does N like to drink?", "Which beverage does N favour?", "What would N have with breakfast?"],
    ),
    (
        &["N drives a V", "The car of N is a V", "N bought a V to drive"],
        &["What vehicle does N own?", "Which car is N driving?", "How does N get to the office?"],
    ),
    (
        &["N speaks V at home", "The first language of N is V", "N grew up speaking V"],
        &["What is N's mother tongue?", "Which languages does N speak?", "In what language should I write to N?"],
    ),
    (
        &["N plays V on weekends", "The hobby of N is V", "N spends free time on V"],
        &["What are the hobbies of N?", "What does N enjoy doing after work?", "What is N playing on Sundays?"],
    ),
    (
        &["N is married to V", "The spouse of N is V", "N and V are married"],
        &["Who is N's husband or wife?", "Whom did N marry?", "What is the name of N's partner?"],
    ),
    (
        &["The deadline of N is V", "N has to finish by V", "N's project is due on V"],
        &["When must N be done?", "What deadlines does N have?", "By which day does N's work end?"],
    ),
];

const VALUES: [&[&str]; 8] = [
    &["Lisbon", "Porto", "Berlin", "Oslo", "Quito", "Lima", "Turin", "Gent", "Cork", "Nara"],
    &["Acme", "Globex", "Initech", "Umbra", "Vandelay", "Soylent", "Hooli", "Wonka", "Stark", "Cyberdyne"],
    &["coffee", "tea", "cocoa", "juice", "water", "milk", "cider", "mate", "lemonade", "kefir"],
    &["Volvo", "Fiat", "Skoda", "Tesla", "Saab", "Lada", "Honda", "Dacia", "Rover", "Seat"],
    &["Polish", "Czech", "Greek", "Farsi", "Hindi", "Catalan", "Basque", "Danish", "Welsh", "Tamil"],
    &["chess", "tennis", "the cello", "football", "go", "bridge", "the oboe", "rugby", "darts", "poker"],
    &["Mara", "Niko", "Olga", "Pablo", "Rosa", "Sven", "Tara", "Uwe", "Vera", "Wim"],
    &[
        "May 3",
        "June 12",
        "July 9",
        "August 21",
        "March 30",
        "April 17",
        "October 2",
        "November 8",
        "January 6",
        "May 25",
    ],
];

/// What is said about somebody besides.
const CHATTER: [&str; 12] = [
    "N asked whether the report of O was ready",
    "N and O talked about where to have lunch",
    "N thanked O for the slides on work in progress",
    "N wants to know when the meeting with O is",
    "N moved the call with O to the next day",
    "N is out of the office, O takes over",
    "O told N that the build was fixed",
    "N wrote a long mail about the plans of O",
    "N reviewed what O had changed and found nothing",
    "N likes the new home page that O made",
    "O said that N drives the discussion",
    "N finished the first part of the work with O",
];

/// A question, and what answers it.
#[derive(Debug, Clone)]
pub struct Asked {
    /// In words.
    pub text: String,
    /// The fact that holds.
    pub answer: MemoryId,
    /// The one whose place it took, where there was one.
    pub old: Option<MemoryId>,
}

/// A world of facts.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// What is remembered, in the order in which it was noted.
    pub memories: Vec<Memory>,
    /// A question for each fact.
    pub asked: Vec<Asked>,
}

impl Facts {
    /// Has everybody know this since that day of 1970, in the place of `old`.
    pub fn say(&mut self, day: i64, text: &str, old: Option<MemoryId>) -> MemoryId {
        let id = self.memories.len() as u128 + 1;
        let supersedes = old.into_iter().collect();
        let (kind, scope, priority) = (Kind::Fact, Scope::All, Priority::Medium);
        self.memories.push(Memory { kind, scope, priority, supersedes, ..memory(id, day, text) });
        MemoryId::from_bits(id)
    }
}

/// Numbers from a seed.
pub struct Dice(u64);

impl Dice {
    /// Begins with this seed.
    #[must_use]
    pub fn of_seed(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// Returns the next one, below this.
    pub fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or(0) % most.max(1)
    }

    /// Returns one of these.
    pub fn of<'a>(&mut self, items: &[&'a str]) -> &'a str {
        let at = self.below(items.len());
        items.get(at).copied().unwrap_or_default()
    }
}

/// Makes a world of 72 people with 8 facts each, 30 % of them changed later, and so much said besides that there are this
/// many rows.
#[must_use]
pub fn facts(seed: u64, rows: usize) -> Facts {
    let mut dice = Dice::of_seed(seed);
    let names: Vec<String> =
        FIRST.iter().flat_map(|first| LAST.iter().map(move |last| format!("{first} {last}"))).collect();
    let mut world = Facts::default();
    let told = |dice: &mut Dice, (name, at): (&str, usize), value: &str| {
        let tellings = ATTRIBUTES.get(at).map(|(tellings, _)| *tellings).unwrap_or_default();
        dice.of(tellings).replace('N', name).replace('V', value)
    };
    let chatter = rows.saturating_sub(names.len() * ATTRIBUTES.len() * 13 / 10);
    let mut latest = Vec::new();
    for (at, values) in VALUES.iter().enumerate() {
        for name in &names {
            let (value, day) = (dice.of(values), i64::try_from(dice.below(100)).unwrap_or(0));
            let text = told(&mut dice, (name, at), value);
            latest.push((name, at, world.say(day, &text, None)));
        }
    }
    for _ in 0..chatter {
        let one = names.get(dice.below(names.len())).map_or("", String::as_str);
        let other = names.get(dice.below(names.len())).map_or("", String::as_str);
        let text = dice.of(&CHATTER).replace('N', "\u{1}").replace('O', other).replace('\u{1}', one);
        let day = i64::try_from(dice.below(200)).unwrap_or(0);
        world.say(day, &text, None);
    }
    for (name, at, first) in latest {
        let is_changed = dice.below(10) < 3;
        let (mut answer, mut old) = (first, None);
        if is_changed {
            let value = dice.of(VALUES.get(at).copied().unwrap_or_default());
            let text = told(&mut dice, (name, at), value);
            answer = world.say(300, &text, Some(first));
            old = Some(first);
        }
        let askings = ATTRIBUTES.get(at).map(|(_, askings)| *askings).unwrap_or_default();
        let text = dice.of(askings).replace('N', name);
        world.asked.push(Asked { text, answer, old });
    }
    debug_assert!(world.memories.iter().all(|memory| memory.since <= on(300)));
    world
}
