//! What is asked, taken apart: words that say something, names, words that mean about the same.
//!
//! Pure, total: any text is a question, the empty one too. Words are only ever words: no character has a meaning.

use super::kin;

/// Words of a question that count; more are left out.
const WORDS: usize = 32;
/// Words beside them that mean about the same.
const KIN: usize = 48;
/// Characters of a question that are read.
const CHARS: usize = 4_096;

/// Words that say nothing about what is meant.
const STOP: &[&str] = &[
    "a",
    "about",
    "after",
    "again",
    "all",
    "also",
    "am",
    "an",
    "and",
    "any",
    "are",
    "as",
    "at",
    "be",
    "been",
    "before",
    "being",
    "but",
    "by",
    "can",
    "could",
    "currently",
    "d",
    "did",
    "do",
    "does",
    "doing",
    "done",
    "for",
    "from",
    "get",
    "gets",
    "got",
    "had",
    "has",
    "have",
    "having",
    "he",
    "her",
    "hers",
    "him",
    "his",
    "how",
    "i",
    "if",
    "in",
    "into",
    "is",
    "it",
    "its",
    "just",
    "know",
    "ll",
    "m",
    "may",
    "me",
    "might",
    "mine",
    "must",
    "my",
    "no",
    "not",
    "now",
    "of",
    "off",
    "on",
    "or",
    "our",
    "ours",
    "please",
    "re",
    "remember",
    "s",
    "say",
    "shall",
    "she",
    "should",
    "so",
    "some",
    "such",
    "t",
    "tell",
    "than",
    "that",
    "the",
    "their",
    "theirs",
    "them",
    "then",
    "there",
    "these",
    "they",
    "this",
    "those",
    "to",
    "too",
    "us",
    "ve",
    "was",
    "we",
    "were",
    "what",
    "when",
    "where",
    "which",
    "who",
    "whom",
    "whose",
    "why",
    "will",
    "with",
    "would",
    "you",
    "your",
    "yours",
];

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Question {
    /// Words that say something, in lower case and in order, each once; all words where none says anything.
    pub words: Vec<String>,
    /// Names among them, each as its words.
    pub names: Vec<Vec<String>>,
    /// Words that mean about the same as some of them.
    pub kin: Vec<&'static str>,
    /// What an answer has, where the question says so.
    pub wants: Option<Wanted>,
}

/// What an answer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// A number.
    Number,
    /// A time: a number, a day, a month, a span.
    Time,
    /// A name that is not in the question.
    Name,
}

/// Words that say a time without a number.
const TIMES: &[&str] = &[
    "april",
    "august",
    "autumn",
    "daily",
    "day",
    "december",
    "evening",
    "february",
    "fortnight",
    "friday",
    "hour",
    "january",
    "july",
    "june",
    "march",
    "may",
    "midnight",
    "minute",
    "monday",
    "month",
    "monthly",
    "morning",
    "night",
    "noon",
    "november",
    "october",
    "quarter",
    "saturday",
    "second",
    "september",
    "spring",
    "summer",
    "sunday",
    "thursday",
    "today",
    "tomorrow",
    "tuesday",
    "wednesday",
    "week",
    "weekend",
    "weekly",
    "winter",
    "year",
    "yearly",
    "yesterday",
];

impl Wanted {
    /// Reads it from a question's words, in lower case.
    fn of(words: &[String]) -> Option<Self> {
        words.iter().zip(words.iter().skip(1).map(String::as_str).chain([""])).find_map(|(word, next)| {
            match (word.as_str(), next) {
                ("when", _) | ("how", "long" | "often") => Some(Self::Time),
                ("how", "much" | "many" | "old" | "big" | "large" | "high" | "tall" | "far" | "fast" | "slow") => {
                    Some(Self::Number)
                }
                ("who" | "whom" | "whose" | "where", _) => Some(Self::Name),
                _ => None,
            }
        })
    }

    /// Says whether a text has it, and not by the names that it was asked with.
    #[must_use]
    pub fn is_in(self, text: &str, names: &[Vec<String>]) -> bool {
        let is_asked = |word: &str| names.iter().flatten().any(|name| name == word);
        let mut told = words(text).enumerate().map(|(n, word)| (n, word, word.to_lowercase()));
        told.any(|(n, word, lower)| {
            let has_digit = word.chars().any(char::is_numeric) && !is_asked(&lower);
            match self {
                Self::Number => has_digit,
                Self::Time => has_digit || TIMES.binary_search(&stem(&lower).as_str()).is_ok(),
                // What a sentence begins with has a capital anyway.
                Self::Name => n > 0 && word.starts_with(char::is_uppercase) && !is_asked(&lower) && !is_stop(&lower),
            }
        })
    }
}

impl Question {
    /// Reads what somebody asks.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let end = text.char_indices().nth(CHARS).map(|(at, _)| at);
        // Of a word that is cut nothing is asked.
        let whole = |end: usize| text.get(..end)?.rsplit_once(char::is_whitespace).map(|(whole, _cut)| whole);
        let tokens: Vec<&str> = words(end.map_or(text, |end| whole(end).unwrap_or_default())).collect();
        let lower: Vec<String> = tokens.iter().map(|token| token.to_lowercase()).collect();
        let says_nothing = lower.iter().all(|word| is_stop(word));
        let mut asked = Self { names: names(&tokens), wants: Wanted::of(&lower), ..Self::default() };
        for word in lower.into_iter().filter(|word| says_nothing || !is_stop(word)) {
            if asked.words.len() < WORDS && !asked.words.contains(&word) {
                asked.words.push(word);
            }
        }
        let stems: Vec<String> = asked.words.iter().map(|word| stem(word)).collect();
        let is_name = |stem: &&String| !asked.names.iter().flatten().any(|name| self::stem(name) == **stem);
        for word in stems.iter().filter(is_name).flat_map(|stem| kin::of(stem)) {
            if asked.kin.len() < KIN && !asked.kin.contains(&word) && !stems.iter().any(|stem| stem == word) {
                asked.kin.push(word);
            }
        }
        asked
    }

    /// Says whether nothing is asked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }
}

/// Returns the words of a text: letters and digits, with what joins them inside of a word left out.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty())
}

/// Says whether a word in lower case says nothing about what is meant.
pub(super) fn is_stop(word: &str) -> bool {
    STOP.binary_search(&word).is_ok()
}

/// Returns the names of a text: words one after the other that begin with a capital letter or hold a digit, but not those
/// that say nothing.
fn names(tokens: &[&str]) -> Vec<Vec<String>> {
    let mut names: Vec<Vec<String>> = Vec::new();
    let mut goes_on = false;
    for token in tokens {
        let lower = token.to_lowercase();
        let is_name = token.chars().any(|c| c.is_uppercase() || c.is_numeric()) && !is_stop(&lower);
        match names.last_mut().filter(|_| goes_on && is_name) {
            Some(name) => name.push(lower),
            None if is_name => names.push(vec![lower]),
            None => {}
        }
        goes_on = is_name;
    }
    names
}

/// Returns a word without its ending, so that its forms are the same: a rough one, for English.
#[must_use]
pub fn stem(word: &str) -> String {
    let cut = |ending: &str, least: usize| word.strip_suffix(ending).filter(|rest| rest.chars().count() >= least);
    if !word.is_ascii() || word.len() < 4 {
        return word.to_owned();
    }
    if let Some(rest) = cut("ies", 2).or_else(|| cut("ied", 2)) {
        return format!("{rest}y");
    }
    if let Some(rest) = cut("ing", 3).or_else(|| cut("ed", 3)) {
        return undoubled(rest);
    }
    let rest = cut("es", 3).filter(|rest| rest.ends_with(['s', 'x', 'z', 'h'])).or_else(|| cut("s", 3));
    let rest = rest.filter(|rest| !rest.ends_with(['s', 'u', 'i'])).unwrap_or(word);
    rest.to_owned()
}

/// Mends what cutting an ending has left: a doubled letter becomes one, and a mute vowel comes back.
fn undoubled(rest: &str) -> String {
    let bytes = rest.as_bytes();
    let (last, before) = (bytes.last().copied(), bytes.len().checked_sub(2).and_then(|at| bytes.get(at)).copied());
    if last == before && !matches!(last, Some(b'l' | b's' | b'z')) {
        return rest.get(..rest.len().saturating_sub(1)).unwrap_or(rest).to_owned();
    }
    let is_vowel = |byte: Option<u8>| matches!(byte, Some(b'a' | b'e' | b'i' | b'o' | b'u'));
    let has_mute = matches!(last, Some(b'v' | b'c' | b'g' | b'u'))
        || (matches!(last, Some(b's' | b'z' | b'd')) && is_vowel(before));
    if has_mute { format!("{rest}e") } else { rest.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_its_telling_words_and_names() {
        let asked = Question::read("Where does Anna Berg live, and what is web-03's port?");
        assert_eq!(asked.words, ["anna", "berg", "live", "web", "03", "port"]);
        assert_eq!(asked.names, [vec!["anna".to_owned(), "berg".to_owned()], vec!["03".to_owned()]]);
        assert!(asked.kin.contains(&"home") && !asked.kin.contains(&"live"));
    }

    #[test]
    fn any_text_is_a_question() {
        assert!(Question::read("").is_empty() && Question::read(" ?! \u{0}—").is_empty());
        assert_eq!(Question::read("what is it").words, ["what", "is", "it"], "where none tells, all do");
        assert_eq!(Question::read("NEAR(a OR \"b\") NOT c*").words, ["near", "b", "c"]);
        let long = Question::read(&"wörd1 漢字 x ".repeat(100_000));
        assert_eq!(long.words, ["wörd1", "漢字", "x"]);
        let many = (0..10_000).map(|n| format!("w{n} ")).collect::<String>();
        assert_eq!(Question::read(&many).words.len(), WORDS);
    }

    #[test]
    fn what_an_answer_has_is_known_from_how_it_is_asked() {
        let check = |question: &str, text: &str, is_in: bool| {
            let asked = Question::read(question);
            assert_eq!(asked.wants.is_some_and(|wants| wants.is_in(text, &asked.names)), is_in, "{question} {text}");
        };
        check("When was Ada born?", "Ada was born on 3 March", true);
        check("When does Ada travel?", "Ada travels on Fridays", true);
        check("When was Ada born?", "Ada laughed", false);
        check("How much is web-03?", "web-03 costs little", false);
        check("How much is web-03?", "web-03 costs 12", true);
        check("Who leads Ada's team?", "The team of Ada has Bo Berg as its lead", true);
        check("Where does Ada live?", "Today Ada laughed", false);
        check("What is Ada's hobby?", "Ada has 3 dogs", false);
    }

    #[test]
    fn forms_of_a_word_are_the_same() {
        for (one, other) in [
            ("lives", "live"),
            ("living", "live"),
            ("running", "run"),
            ("cities", "city"),
            ("deployed", "deploys"),
            ("boxes", "box"),
            ("married", "marry"),
        ] {
            assert_eq!(stem(one), stem(other));
        }
        for word in ["is", "bus", "glass", "漢字", "ing", "sing"] {
            assert_eq!(stem(word), word);
        }
    }

    #[test]
    fn the_lists_are_in_order_and_stemmed() {
        assert!(STOP.is_sorted() && TIMES.is_sorted());
        assert!(
            STOP.iter().all(|word| kin::of(word).next().is_none() || ["have", "when", "where", "who"].contains(word))
        );
    }
}
