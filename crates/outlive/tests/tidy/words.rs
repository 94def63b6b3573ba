//! Words that have no place in a file that is kept: work that was put off, paths of one machine, hosts of registries.

use crate::tree::files;

/// In two parts, so that this file does not hold them.
const PUT_OFF: &[(&str, &str)] = &[("TO", "DO"), ("FIX", "ME"), ("XX", "X"), ("to", "do!("), ("unimplem", "ented!(")];

const ELSEWHERE: &[(&str, &str)] = &[
    ("/ro", "ot/"),
    ("/wo", "rk/"),
    ("/tmp", "/t/"),
    ("pypi", ".org"),
    ("python", "hosted.org"),
    ("index.", "crates.io"),
    ("static.", "crates.io"),
    ("npm", "js.org"),
    ("deb.", "debian.org"),
    ("proxy.", "golang.org"),
    ("index", "-url"),
    ("replace", "-with"),
];

fn holds(line: &str, word: &str) -> bool {
    let is_word = |at: usize, length: usize| {
        let before = line.get(..at).and_then(|text| text.chars().next_back());
        let after = line.get(at + length..).and_then(|text| text.chars().next());
        let letter = |found: Option<char>| found.is_some_and(char::is_alphanumeric);
        let (first, last) = (word.starts_with(char::is_alphanumeric), word.ends_with(char::is_alphanumeric));
        !(first && letter(before) || last && letter(after))
    };
    line.match_indices(word).any(|(at, found)| is_word(at, found.len()))
}

fn search(words: &[(&str, &str)]) -> Vec<String> {
    let words: Vec<String> = words.iter().map(|(a, b)| format!("{a}{b}")).collect();
    let mut breaches = Vec::new();
    // The lock file is written by cargo.
    for file in files("").into_iter().filter(|file| !file.path.ends_with("Cargo.lock")) {
        for (line, text) in (1..).zip(file.text.lines()) {
            let found = words.iter().find(|word| holds(text, word));
            breaches.extend(found.map(|word| format!("{}:{line}: `{word}`", file.path)));
        }
    }
    breaches
}

#[test]
fn nothing_is_put_off_in_a_comment() {
    crate::check("work put off", &search(PUT_OFF));
}

#[test]
fn no_file_knows_the_machine_it_was_written_on() {
    crate::check("paths and hosts", &search(ELSEWHERE));
}

#[test]
fn words_are_found_where_they_stand_alone() {
    let word = PUT_OFF[0].0.to_owned() + PUT_OFF[0].1;
    assert!(holds(&format!("// {word}: later"), &word) && !holds(&format!("MAS{word}N"), &word));
    assert!(holds("cd /home/x", "/home/") && holds("a.example.org/", "example.org"));
}
