//! Codes and pages belong together.
#![expect(clippy::disallowed_methods, reason = "pages are files")]

use std::collections::BTreeSet;
use std::path::Path;

use outlive_protocol::code::ALL;

#[test]
fn every_page_says_what_it_means_and_what_to_do() {
    for code in ALL {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../docs/errors/{}.md", code.name));
        let text = std::fs::read_to_string(page).unwrap();
        let title = format!("# {}\n\n{} (", code.name, code.title);
        assert!(text.starts_with(&title), "{}", code.name);
        for part in ["## What it means\n\n", "## What to do\n\n"] {
            assert!(text.split(part).nth(1).is_some_and(|rest| rest.trim().len() > 10), "{}: {part}", code.name);
        }
    }
}

#[test]
fn codes_are_unique() {
    let codes: BTreeSet<&str> = ALL.iter().map(|code| code.name).collect();
    assert_eq!(codes.len(), ALL.len());
}
