//! What is typed about tokens.

use clap::{Args, Subcommand};
use outlive_protocol::token::Scope;

use super::Json;

/// What to do with tokens.
#[derive(Debug, Subcommand)]
pub enum Token {
    /// Make a token for somebody or something else; it is shown this once
    Create(Create),
    /// List tokens: their names and what they are for
    List(Json),
    /// Let nobody in by a token any more, at once
    Revoke {
        /// Which
        #[arg(value_parser = super::name)]
        name: String,
    },
}

/// What it is for.
#[derive(Debug, Args)]
pub struct Create {
    /// A name: a lowercase letter, then letters, digits and `-`
    pub name: String,
    /// read, talk, approve or admin; several are joined by commas. talk and approve let read, too
    #[arg(long, required = true, value_delimiter = ',')]
    pub scope: Vec<Scope>,
    /// How long it holds, such as 30d, 12h, 90m or 45s; for ever when it is left out
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    pub expires: Option<u64>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Reads a time as seconds.
fn seconds(text: &str) -> Result<u64, String> {
    let refuse = || format!("`{text}` is no time: say 30d, 12h, 90m or 45s, at most ten years");
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(refuse)?;
    let unit = match unit {
        "d" => 86_400,
        "h" => 3_600,
        "m" => 60,
        "s" => 1,
        _ => return Err(refuse()),
    };
    let number = number.parse::<u64>().ok().filter(|_| number.bytes().all(|byte| byte.is_ascii_digit()));
    let seconds = number.and_then(|number| number.checked_mul(unit));
    seconds.filter(|seconds| (1..=315_360_000).contains(seconds)).ok_or_else(refuse)
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn a_time_is_a_number_and_its_unit() {
        assert_eq!(seconds("30d"), Ok(2_592_000));
        assert_eq!(["12h", "90m", "45s"].map(|text| seconds(text).ok()), [Some(43_200), Some(5_400), Some(45)]);
        for text in ["", "d", "30", "0d", "-1d", "+1d", "1w", "1.5h", "99999999999999999999d", "11y", "3651d", "1dé"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
