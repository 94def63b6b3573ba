//! What the model calls a server's tools: `mcp_SERVER_TOOL`, as models' APIs take names.
//!
//! Invariants: a name follows from the tools alone, never from the order in which they were listed; no two tools have the
//! same, whatever their servers call them.

use std::collections::BTreeMap;

use outlive_core::digest::Digest;

/// Bytes of a name.
const LONGEST: usize = 64;
/// Digits that tell names apart which would be the same: none, then more where another tool has that very name.
const DIGITS: [usize; 4] = [0, 6, 12, 32];

/// Returns a name for each tool of each server. One that no digits tell apart has none: it is left out.
pub(super) fn names<'a>(tools: &[(&'a str, &'a str)]) -> BTreeMap<(&'a str, &'a str), String> {
    let mut wanted: BTreeMap<&str, usize> = BTreeMap::new();
    let plain: Vec<String> = tools.iter().map(|(server, tool)| plain(server, tool)).collect();
    plain.iter().for_each(|name| *wanted.entry(name).or_default() += 1);
    let step = |((server, tool), plain): (&(&str, &str), &String)| {
        let is_own = *plain == format!("mcp_{server}_{tool}");
        let fits = is_own && plain.len() <= LONGEST && wanted.get(plain.as_str()) == Some(&1);
        usize::from(!fits)
    };
    let mut steps: Vec<usize> = tools.iter().zip(&plain).map(step).collect();
    // Each round takes some of them a step on, so it ends.
    loop {
        let given = tools.iter().zip(&plain).zip(&steps);
        let named: Vec<String> = given.map(|((of, plain), step)| told_apart(plain, *of, *step)).collect();
        let mut claimed: BTreeMap<&str, usize> = BTreeMap::new();
        named.iter().for_each(|name| *claimed.entry(name).or_default() += 1);
        let is_shared = |name: &String| claimed.get(name.as_str()).is_some_and(|count| *count > 1);
        let shared: Vec<bool> = named.iter().map(is_shared).collect();
        let mut moved = false;
        for (step, _) in steps.iter_mut().zip(&shared).filter(|(step, shared)| **shared && **step + 1 < DIGITS.len()) {
            *step += 1;
            moved = true;
        }
        if !moved {
            let own = tools.iter().zip(named).zip(shared).filter(|(_, shared)| !shared);
            return own.map(|((tool, name), _)| (*tool, name)).collect();
        }
    }
}

fn plain(server: &str, tool: &str) -> String {
    let fit = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '_' };
    format!("mcp_{server}_{tool}").chars().map(fit).collect()
}

fn told_apart(plain: &str, (server, tool): (&str, &str), step: usize) -> String {
    let digits = DIGITS.get(step).copied().unwrap_or_default();
    if digits == 0 {
        return plain.to_owned();
    }
    let digest = Digest::of(format!("{server}/{tool}").as_bytes());
    let kept = plain.get(..LONGEST - digits - 1).unwrap_or(plain);
    format!("{kept}_{}", digest.as_str().get(..digits).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(tools: &[(&str, &str)], expected: &[&str]) {
        let named = names(tools);
        let got: Vec<&str> = tools.iter().map(|tool| named[tool].as_str()).collect();
        assert_eq!(got, expected);
        let mut backwards = tools.to_vec();
        backwards.reverse();
        assert_eq!(names(&backwards), named, "the order decides nothing");
        assert!(got.iter().all(|name| name.len() <= 64), "{got:?}");
    }

    #[test]
    fn names_that_fit_are_kept_and_others_are_told_apart() {
        check(&[("fs", "read_file"), ("fs", "list")], &["mcp_fs_read_file", "mcp_fs_list"]);
        check(&[("fs", "a.b"), ("fs", "a_b")], &["mcp_fs_a_b_8fb1d7", "mcp_fs_a_b_7aa88c"]);
        check(&[("a", "b_c"), ("a_b", "c")], &["mcp_a_b_c_ab14be", "mcp_a_b_c_02d730"]);
        let long = "x".repeat(100);
        let named = names(&[("fs", &long)]);
        assert_eq!(named[&("fs", long.as_str())].len(), 64);
    }

    #[test]
    fn a_tool_that_is_called_as_another_one_is_told_apart_gets_another_name() {
        check(&[("fs", "a.b"), ("fs", "a_b_8fb1d7")], &["mcp_fs_a_b_8fb1d7198de0", "mcp_fs_a_b_8fb1d7_f52d6a"]);
        check(&[("fs", "a.b"), ("fs_a", "b_8fb1d7")], &["mcp_fs_a_b_8fb1d7198de0", "mcp_fs_a_b_8fb1d7_76e4bc"]);
        // Also where it has looked up what the next name would be.
        let tools = [("fs", "a.b"), ("fs", "a_b_8fb1d7"), ("fs", "a_b_8fb1d7198de0")];
        let named = names(&tools);
        let different: std::collections::BTreeSet<&String> = named.values().collect();
        assert_eq!((named.len(), different.len()), (3, 3), "{named:?}");
    }
}
