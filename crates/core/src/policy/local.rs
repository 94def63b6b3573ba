//! `policy.local.yaml`: where a call that a person allowed for good is written down.
//!
//! Invariant: what is written is read back as exactly one grant more; all else in the file stays as a person wrote it.

use super::Policy;

/// Rules that one file takes.
const GRANTS: usize = 1_024;

/// Returns the file's text with one grant more; the same text where it is there already.
///
/// # Errors
///
/// Why it cannot be written so, and the way out.
pub fn with_grant(text: &str, rule: &str) -> Result<String, String> {
    let before = Policy::parse(text, super::LOCAL_POLICY).map_err(|error| error.to_string())?;
    if before.grants(rule) {
        return Ok(text.to_owned());
    }
    if before.grants.len() >= GRANTS {
        return Err(format!("{} has {GRANTS} grants already: write rules in their place", super::LOCAL_POLICY));
    }
    // A JSON string is a YAML one, on one line whatever is in it.
    let quoted = serde_json::to_string(rule).map_err(|error| error.to_string())?;
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let heading = |line: &String| line.trim_end() == "grants:";
    let at = lines.iter().position(heading).unwrap_or_else(|| {
        lines.push("grants:".to_owned());
        lines.len() - 1
    });
    lines.insert(at + 1, format!("  - {quoted}"));
    let written = format!("{}\n", lines.join("\n"));
    let after = Policy::parse(&written, super::LOCAL_POLICY).ok();
    let is_right = after.is_some_and(|after| after.grants.len() == before.grants.len() + 1 && after.grants(rule));
    if is_right { Ok(written) } else { Err(format!("write `grants:` in {} as a list of lines", super::LOCAL_POLICY)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_is_added_and_the_rest_stays() {
        let odd = "bash:echo \"a\" 'b' # c: \\ $d\n*";
        let first = with_grant("", "bash:ls").unwrap();
        assert_eq!(first, "grants:\n  - \"bash:ls\"\n");
        let second = with_grant(&first, odd).unwrap();
        assert!(Policy::parse(&second, "p").unwrap().grants(odd), "{second}");
        assert_eq!(with_grant(&second, odd).unwrap(), second);
        let kept = with_grant("# mine\nmode: ask\ngrants:\n  # seen\n  - a:b\nallow: ['bash:x']\n", "bash:y").unwrap();
        assert_eq!(kept, "# mine\nmode: ask\ngrants:\n  - \"bash:y\"\n  # seen\n  - a:b\nallow: ['bash:x']\n");
    }

    #[test]
    fn a_file_that_cannot_be_added_to_is_not_touched() {
        for text in ["grants: [a]", "mode: [", "spec:\n  grants:\n    - a", "grants:\n- a\n"] {
            assert!(with_grant(text, "bash:y").is_err(), "{text}");
        }
    }
}
