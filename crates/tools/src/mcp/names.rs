//! What the model calls a server's tools: `mcp_SERVER_TOOL`, as models' APIs take names.
//!
//! Invariant: a name follows from the tools alone, never from the order in which they were listed.

use std::collections::BTreeMap;

use outlive_core::digest::Digest;

/// Bytes of a name.
const LONGEST: usize = 64;
/// Digits that tell names apart which would be the same.
const DIGITS: usize = 6;

/// Returns a name for each tool of each server.
pub(super) fn names<'a>(tools: &[(&'a str, &'a str)]) -> BTreeMap<(&'a str, &'a str), String> {
    let mut claimed: BTreeMap<String, usize> = BTreeMap::new();
    for (server, tool) in tools {
        *claimed.entry(plain(server, tool)).or_default() += 1;
    }
    let name = |(server, tool): &(&'a str, &'a str)| {
        let wanted = plain(server, tool);
        let is_own = wanted == format!("mcp_{server}_{tool}");
        let fits = is_own && wanted.len() <= LONGEST && claimed.get(&wanted) == Some(&1);
        let name = if fits { wanted } else { told_apart(&wanted, server, tool) };
        ((*server, *tool), name)
    };
    tools.iter().map(name).collect()
}

fn plain(server: &str, tool: &str) -> String {
    let fit = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '_' };
    format!("mcp_{server}_{tool}").chars().map(fit).collect()
}

fn told_apart(wanted: &str, server: &str, tool: &str) -> String {
    let digest = Digest::of(format!("{server}/{tool}").as_bytes());
    let kept = wanted.get(..LONGEST - DIGITS - 1).unwrap_or(wanted);
    format!("{kept}_{}", digest.as_str().get(..DIGITS).unwrap_or_default())
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
}
