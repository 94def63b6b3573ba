//! Names that say nothing, and lints that are silenced instead of expected.

use syn::visit::{self, Visit};

use crate::tree::{lines, product, rust};

/// Whole words of a type's or a module's name, in the singular.
const BANNED: &[&str] = &["manager", "service", "handler", "helper", "util", "common", "info", "data", "impl"];

/// Splits `CamelCase`, `HTTPServer` and `snake_case` into words.
fn words(name: &str) -> Vec<String> {
    let letters: Vec<char> = name.chars().collect();
    let mut words = vec![String::new()];
    for (n, letter) in letters.iter().enumerate() {
        let before = n.checked_sub(1).and_then(|n| letters.get(n));
        let begins = letter.is_uppercase()
            && before.is_some_and(|before| {
                before.is_lowercase() || letters.get(n + 1).is_some_and(|next| next.is_lowercase())
            });
        if begins || *letter == '_' || *letter == '-' {
            words.push(String::new());
        }
        if letter.is_alphanumeric() {
            words.last_mut().unwrap().extend(letter.to_lowercase());
        }
    }
    words
}

fn banned(name: &str) -> Option<String> {
    words(name).into_iter().find(|word| {
        BANNED.contains(&word.as_str()) || word.strip_suffix('s').is_some_and(|word| BANNED.contains(&word))
    })
}

#[derive(Default)]
struct Names {
    /// Line and name of every type and module.
    found: Vec<(usize, String)>,
    /// Lines of silenced lints.
    silenced: Vec<usize>,
}

impl Names {
    fn add(&mut self, name: &syn::Ident) {
        self.found.push((lines(name).0, name.to_string()));
    }
}

impl<'ast> Visit<'ast> for Names {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        match item {
            syn::Item::Struct(item) => self.add(&item.ident),
            syn::Item::Enum(item) => self.add(&item.ident),
            syn::Item::Union(item) => self.add(&item.ident),
            syn::Item::Trait(item) => self.add(&item.ident),
            syn::Item::Type(item) => self.add(&item.ident),
            syn::Item::Mod(item) => self.add(&item.ident),
            _ => {}
        }
        visit::visit_item(self, item);
    }

    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        let inner = || match &attribute.meta {
            syn::Meta::List(list) => list.tokens.to_string(),
            syn::Meta::Path(_) | syn::Meta::NameValue(_) => String::new(),
        };
        let conditional = attribute.path().is_ident("cfg_attr") && inner().contains("allow (");
        if attribute.path().is_ident("allow") || conditional {
            self.silenced.push(lines(attribute).0);
        }
    }
}

fn names(syntax: &syn::File) -> Names {
    let mut names = Names::default();
    names.visit_file(syntax);
    names
}

#[test]
fn no_type_and_no_module_has_a_name_that_says_nothing() {
    let mut breaches = Vec::new();
    for source in product() {
        for (line, name) in names(&source.syntax).found {
            if let Some(word) = banned(&name) {
                breaches.push(format!("{}:{line}: `{name}`: `{word}` says nothing", source.path));
            }
        }
    }
    crate::check("names", &breaches);
}

#[test]
fn lints_are_expected_with_a_reason_never_silenced() {
    let place = |path: &str, line| format!("{path}:{line}: use #[expect(…, reason = \"…\")]");
    let breaches: Vec<String> = rust()
        .iter()
        .flat_map(|source| names(&source.syntax).silenced.into_iter().map(|line| place(&source.path, line)))
        .collect();
    crate::check("silenced lints", &breaches);
}

#[test]
fn the_names_that_say_nothing_are_found_as_whole_words_only() {
    let found = ["SessionManager", "http_utils", "HTTPHandler", "Info", "RowData"].map(banned);
    assert_eq!(found.map(|word| word.unwrap()), ["manager", "utils", "handler", "info", "data"]);
    assert_eq!(
        ["Database", "Informed", "Implied", "Session", "Commonplace", "Servicing"].map(banned),
        [const { None }; 6]
    );
    let source = format!("#[{}(dead_code)]\nstruct A;\n", "allow");
    assert_eq!(names(&syn::parse_file(&source).unwrap()).silenced, [1]);
}
