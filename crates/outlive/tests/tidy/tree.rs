//! The files of the repository, found and parsed.

use std::path::{Path, PathBuf};

/// What is not ours, or not kept.
const SKIPPED: &[&str] = &[".git", "target", "artifacts", "corpus", "node_modules"];

pub struct File {
    /// Relative to the repository.
    pub path: String,
    pub text: String,
}

pub struct Source {
    pub path: String,
    pub text: String,
    pub syntax: syn::File,
}

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// All text files below a folder of the repository, sorted.
pub fn files(folder: &str) -> Vec<File> {
    let root = root();
    let mut found = Vec::new();
    walk(&root, &root.join(folder), &mut found);
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn walk(root: &Path, folder: &Path, found: &mut Vec<File>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        if SKIPPED.iter().any(|skipped| name == *skipped) {
            continue;
        }
        if path.is_dir() {
            walk(root, &path, found);
        } else if let Ok(text) = std::fs::read_to_string(&path) {
            let path = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
            found.push(File { path, text });
        }
    }
}

/// All Rust files of the crates, their tests included.
pub fn rust() -> Vec<Source> {
    let rust = files("crates").into_iter().filter(|file| file.path.ends_with(".rs"));
    let parse = |file: File| match syn::parse_file(&file.text) {
        Ok(syntax) => Source { path: file.path, text: file.text, syntax },
        Err(error) => panic!("{} cannot be parsed: {error}", file.path),
    };
    let sources: Vec<Source> = rust.map(parse).collect();
    assert!(sources.len() > 50, "only {} Rust files found", sources.len());
    sources
}

/// The Rust files that are the product: below `src`, without modules of tests.
pub fn product() -> Vec<Source> {
    rust().into_iter().filter(|source| source.path.contains("/src/") && !source.path.ends_with("/tests.rs")).collect()
}

/// Whether an item is compiled for tests only.
pub fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let is_test_cfg = || attribute.parse_args::<syn::Path>().is_ok_and(|path| path.is_ident("test"));
        attribute.path().is_ident("test") || (attribute.path().is_ident("cfg") && is_test_cfg())
    })
}

/// Lines that something spans, and its first.
pub fn lines(node: &impl syn::spanned::Spanned) -> (usize, usize) {
    let span = node.span();
    (span.start().line, span.end().line - span.start().line + 1)
}
