//! Programs as tools: those that agent.yaml declares, and those that lie in `tools/NAME/`.

use serde::Deserialize;

use super::spec::{CliEntry, check_secrets};
use super::{Files, Misfit, front, text};

/// A program that an agent has as a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CliTool {
    /// Its name: letters, digits, `-` and `_`.
    pub name: String,
    /// What it is, in a line or two.
    pub description: String,
    /// The program: a path within the agent's folder, an absolute one, or a name without a slash.
    pub command: String,
    /// How it is used.
    pub readme: String,
    /// Variables that it is given: secrets, by name.
    pub secrets: Vec<String>,
}

/// Characters of a name.
const NAME: usize = 48;
/// Characters of a description.
const DESCRIPTION: usize = 1_000;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Front {
    description: Option<String>,
    command: Option<String>,
    secrets: Vec<String>,
}

/// Whether a tool may be called so.
pub(super) fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    !name.is_empty() && name.len() <= NAME && name.chars().all(plain)
}

/// Returns the programs that are declared, then those that lie there; what is wrong with one that lies there is a warning.
pub(super) fn read(declared: &[CliEntry], files: &Files, warnings: &mut Vec<String>) -> Vec<CliTool> {
    let mut tools: Vec<CliTool> = Vec::new();
    for entry in declared {
        let readme = match &entry.readme {
            Some(path) => text(files, path.trim_start_matches("./"), "").unwrap_or_else(|error| {
                warnings.push(format!("readme of cli tool `{}`: {error}", entry.name));
                ""
            }),
            None => "",
        };
        let (_, body) = front::parted(readme);
        let description = entry.description.clone().unwrap_or_else(|| first_paragraph(body));
        tools.push(CliTool {
            name: entry.name.clone(),
            description: short(&description),
            command: entry.command.clone(),
            readme: body.to_owned(),
            secrets: entry.secrets.clone(),
        });
    }
    for path in files.keys() {
        let Some(name) = path.strip_prefix("tools/").and_then(|rest| rest.strip_suffix("/README.md")) else { continue };
        if name.contains('/') || tools.iter().any(|tool| tool.name == name) {
            continue;
        }
        match found(name, path, files) {
            Ok(tool) => tools.push(tool),
            Err(why) => warnings.push(why),
        }
    }
    tools
}

fn found(name: &str, path: &str, files: &Files) -> Result<CliTool, String> {
    if !is_name(name) {
        return Err(format!("{path}: `{name}` is no name of a tool: letters, digits, `-` and `_` are, {NAME} at most"));
    }
    let readme = text(files, path, "").map_err(|error| error.to_string())?;
    let (front, body) = front::read::<Front>(readme, path).map_err(|error| error.to_string())?;
    let usual = format!("tools/{name}/{name}");
    let command = match front.command {
        // What has a path in it lies beside the README; a bare name may, too.
        Some(command) if command.starts_with('/') => command,
        Some(command) => {
            let beside = format!("tools/{name}/{}", command.trim_start_matches("./"));
            if command.contains('/') || files.contains_key(&beside) { beside } else { command }
        }
        None if files.contains_key(&usual) => usual,
        None => {
            let way_out = "name its program there as `command:` between two lines of `---`";
            return Err(format!("{path}: there is no `{usual}`: {way_out}"));
        }
    };
    let description = front.description.unwrap_or_else(|| first_paragraph(body));
    check_secrets(&front.secrets).map_err(|Misfit(_, why)| format!("{path}: secrets: {why}"))?;
    let (name, readme, secrets) = (name.to_owned(), body.to_owned(), front.secrets);
    Ok(CliTool { name, description: short(&description), command, readme, secrets })
}

fn first_paragraph(text: &str) -> String {
    let lines = text.lines().map(str::trim).skip_while(|line| line.is_empty() || line.starts_with('#'));
    lines.take_while(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

fn short(text: &str) -> String {
    text.trim().chars().take(DESCRIPTION).collect()
}
