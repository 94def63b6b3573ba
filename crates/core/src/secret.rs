//! A key, password or token: never printed, and wiped from memory when it is dropped.

use zeroize::Zeroizing;

/// Something that must not be seen. It has no `Display`, and its `Debug` shows nothing of it.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes it.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// Returns it, for whoever has to show it to its owner or hand it to a process.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Says whether a variable may hold a secret that is given to a tool: a plain name, and none that changes how programs are
/// found and started, or that opens this server's own door.
#[must_use]
pub fn may_be_granted(variable: &str) -> bool {
    const REFUSED: [&str; 27] = [
        "PATH",
        "HOME",
        "LANG",
        "TZ",
        "USER",
        "LOGNAME",
        "SHELL",
        "TMPDIR",
        "TERM",
        "IFS",
        "ENV",
        "PWD",
        "PS4",
        "CDPATH",
        "SHELLOPTS",
        "BASHOPTS",
        "PROMPT_COMMAND",
        "GLOBIGNORE",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "NO_PROXY",
        "PERL5LIB",
        "PYTHONPATH",
        "NODE_OPTIONS",
        "GCONV_PATH",
        "LOCPATH",
    ];
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let begins = variable.bytes().next().is_some_and(|first| !first.is_ascii_digit());
    let ours = ["OUTLIVE_", "LD_", "BASH_", "GIT_CONFIG", "LC_"];
    let upper = variable.to_ascii_uppercase();
    begins
        && variable.len() <= 128
        && variable.bytes().all(plain)
        && !REFUSED.contains(&upper.as_str())
        && !ours.iter().any(|prefix| upper.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_shows_nothing_of_itself() {
        let secret = Secret::new("sk-very-secret");
        assert_eq!(format!("{secret:?} {:?}", Some(secret.clone())), "Secret(…) Some(Secret(…))");
        assert_eq!(secret.reveal(), "sk-very-secret");
    }

    #[test]
    fn what_changes_how_programs_start_is_granted_to_none() {
        for name in ["GH_TOKEN", "_X", "api_key", "DATABASE_URL"] {
            assert!(may_be_granted(name), "{name}");
        }
        for name in ["", "PATH", "LD_PRELOAD", "BASH_ENV", "OUTLIVE_TOKEN", "A-B", "1A", "A B", "A=B", "http_proxy"] {
            assert!(!may_be_granted(name), "{name}");
        }
    }
}
