//! There is one way to a process: a call that was ruled on.
//!
//! Processes are started in the modules that are named here. Commands of an agent come to `tools::exec` with an invocation;
//! an invocation is made where a call runs whose start is in the journal; a call starts once it was allowed; and it is
//! allowed by the one function that rules, or by a person.

use syn::visit::{self, Visit};

use crate::check;
use crate::tree::{is_test, lines, product};

/// Where processes are started: for agents, and the binary its own server and what it measures.
const STARTING: [&str; 5] = [
    "crates/tools/src/exec",
    // Within the sandbox, it becomes the command that was ruled on.
    "crates/tools/src/sandbox/confine.rs",
    "crates/outlive/src/client.rs",
    "crates/outlive/src/commands/bench/made.rs",
    "crates/tools/src/orphans.rs",
];

/// What may be made where.
const MADE: [(&str, &[&str]); 5] = [
    (
        "Job",
        &[
            "crates/tools/src/builtin/bash.rs",
            // A call's own, in the background.
            "crates/tools/src/tasks.rs",
            // Words that were ruled on as `cli:…`.
            "crates/tools/src/cli.rs",
            "crates/tools/src/held.rs",
            // Nobody's but ours: what breaks out of a sandbox is tried, and timed.
            "crates/tools/src/sandbox/attempts.rs",
            "crates/outlive/src/commands/bench/sandbox.rs",
        ],
    ),
    ("Invocation", &["crates/runtime/src/hands/tool.rs", "crates/tools/src/tasks.rs", "crates/tools/src/held.rs"]),
    // What an agent's definition names as its server, and the policy does not deny; and by what whoever owns the workspace is told,
    // as its configuration names it.
    ("Daemon", &["crates/tools/src/mcp/connect.rs", "crates/outlive/src/courier/command.rs"]),
    ("Ruling::Allowed", &["crates/runtime/src/kit.rs"]),
    (
        "CallAllowed",
        // Of another program's conversation, all calls have ended.
        &[
            "crates/core/src/session/settle.rs",
            "crates/core/src/session/decide.rs",
            "crates/core/src/import/journal.rs",
        ],
    ),
];

#[derive(Default)]
struct Seen {
    /// Lines that name a way to start a process.
    starts: Vec<usize>,
    /// Lines and names of values that are made.
    made: Vec<(usize, Vec<String>)>,
}

fn names(path: &syn::Path) -> Vec<String> {
    path.segments.iter().map(|segment| segment.ident.to_string()).collect()
}

fn starts(names: &[String]) -> bool {
    let has = |name: &str| names.iter().any(|known| known == name);
    let last = names.last().map(String::as_str);
    (has("Command") && last == Some("new")) || matches!(last, Some("CommandWrap" | "execve" | "execvp" | "posix_spawn"))
}

impl<'ast> Visit<'ast> for Seen {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_test(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if starts(&names(path)) {
            self.starts.push(lines(path).0);
        }
        visit::visit_path(self, path);
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let mut text = String::new();
        flat(&item.tree, &mut text);
        if text.contains("process Command") || text.contains("process_wrap") || text.contains("CommandExt") {
            self.starts.push(lines(item).0);
        }
    }

    fn visit_expr_struct(&mut self, made: &'ast syn::ExprStruct) {
        self.made.push((lines(made).0, names(&made.path)));
        visit::visit_expr_struct(self, made);
    }
}

fn flat(tree: &syn::UseTree, text: &mut String) {
    match tree {
        syn::UseTree::Path(path) => {
            text.push_str(&format!("{} ", path.ident));
            flat(&path.tree, text);
        }
        syn::UseTree::Group(group) => {
            let before = text.clone();
            for item in &group.items {
                text.push_str(&before);
                flat(item, text);
            }
        }
        syn::UseTree::Name(name) => text.push_str(&format!("{} ", name.ident)),
        syn::UseTree::Rename(name) => text.push_str(&format!("{} ", name.ident)),
        syn::UseTree::Glob(_) => text.push_str("Command "),
    }
}

#[test]
fn no_other_path_to_a_process_exists() {
    let (mut breaches, mut starting) = (Vec::new(), 0);
    for source in product() {
        let mut seen = Seen::default();
        seen.visit_file(&source.syntax);
        let named = STARTING.iter().any(|place| source.path.starts_with(place));
        starting += usize::from(!seen.starts.is_empty());
        if !named {
            breaches.extend(seen.starts.iter().map(|line| format!("{}:{line}: starts a process", source.path)));
        }
        for (line, made) in seen.made {
            let made = format!("::{}", made.join("::"));
            let rule = MADE.iter().find(|(name, _)| made.ends_with(&format!("::{name}")));
            if let Some((name, places)) = rule.filter(|(_, places)| !places.contains(&source.path.as_str())) {
                breaches.push(format!("{}:{line}: makes a `{name}`: only {places:?} does", source.path));
            }
        }
    }
    assert!(starting >= 2, "the places that start processes were not found: this looks for nothing");
    check("only a call that was ruled on reaches a process", &breaches);
}
