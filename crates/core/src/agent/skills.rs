//! Skills, in the Agent Skills format: folders with a `SKILL.md`, of which an agent is told the names and looks up the rest.
//!
//! A skill lies in the agent's `skills/` or in the workspace's; of two with the same name the agent's own counts. What is
//! wrong with one leaves it out, with a warning that names the file and the line.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Files, WORKSPACE, front, text};

/// A skill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skill {
    /// Its name: the folder's.
    pub name: String,
    /// What it is for, and when.
    pub description: String,
    /// The only tools that may be called once it was taken up, if it says so.
    pub allowed_tools: Option<Vec<String>>,
    /// Its folder, as a path from the agent's.
    pub folder: String,
    /// What its `SKILL.md` says.
    pub body: String,
    /// Its other files, by their paths from its folder.
    pub files: BTreeMap<String, Vec<u8>>,
}

/// Skills of one agent.
const SKILLS: usize = 64;
/// Characters of a name, and of a description.
const NAME: usize = 64;
const DESCRIPTION: usize = 1_024;
const FILE: &str = "SKILL.md";

#[derive(Default, Deserialize)]
#[serde(default)]
struct Front {
    name: Option<String>,
    description: Option<String>,
    #[serde(rename = "allowed-tools")]
    allowed_tools: Option<Listed>,
}

/// A list, or words in a row.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a list of tools, or their names in one text")]
enum Listed {
    Names(Vec<String>),
    Words(String),
}

impl Listed {
    fn names(self) -> Vec<String> {
        match self {
            Self::Names(names) => names,
            Self::Words(words) => apart(&words),
        }
    }
}

/// Parts names at blanks and commas, but not within `(…)`.
fn apart(words: &str) -> Vec<String> {
    let (mut names, mut depth) = (vec![String::new()], 0_usize);
    for c in words.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        match names.last_mut() {
            Some(name) if depth > 0 || !(c.is_whitespace() || c == ',') => name.push(c),
            Some(_) | None => names.push(String::new()),
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

/// Reads the skills that lie in these folders of the agent's files: the agent's own first.
pub(super) fn read(skills_dir: Option<&str>, files: &Files, warnings: &mut Vec<String>) -> Vec<Skill> {
    let own = skills_dir.unwrap_or("skills").trim_start_matches("./").trim_end_matches('/');
    let mut skills: Vec<Skill> = Vec::new();
    for home in [format!("{own}/"), format!("{WORKSPACE}skills/")] {
        let named = files.keys().filter_map(|path| path.strip_prefix(&home)?.strip_suffix("/SKILL.md"));
        for name in named.filter(|name| !name.contains('/')) {
            if skills.iter().any(|skill| skill.name == name) {
                continue;
            }
            if skills.len() == SKILLS {
                warnings.push(format!("{home}{name}: an agent has at most {SKILLS} skills: this one is left out"));
                continue;
            }
            match skill(&home, name, files) {
                Ok(skill) => skills.push(skill),
                Err(why) => warnings.push(format!("{}: the skill is left out", why.replace('\n', ": "))),
            }
        }
    }
    skills
}

fn skill(home: &str, name: &str, files: &Files) -> Result<Skill, String> {
    let folder = format!("{home}{name}");
    let path = format!("{folder}/{FILE}");
    let shown = path.trim_start_matches(WORKSPACE).to_owned();
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.len() > NAME || !name.chars().all(plain) {
        let form = "small letters, digits and `-`";
        return Err(format!("{shown}: `{name}` is no name of a skill: {form}, {NAME} at most"));
    }
    let whole = text(files, &path, "").map_err(|error| error.to_string())?;
    let (front, body) = front::read::<Front>(whole, &shown).map_err(|error| error.to_string())?;
    let description = front.description.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
    if description.is_empty() {
        return Err(format!("{shown}:1: it has no `description` between two lines of `---`"));
    }
    if let Some(other) = front.name.filter(|other| other != name) {
        return Err(format!("{shown}:1: its name is `{other}`, but the folder is `{name}`: make them the same"));
    }
    let others = files.iter().filter_map(|(path, bytes)| {
        let inner = path.strip_prefix(&folder)?.strip_prefix('/')?;
        (inner != FILE).then(|| (inner.to_owned(), bytes.clone()))
    });
    Ok(Skill {
        name: name.to_owned(),
        description: description.chars().take(DESCRIPTION).collect(),
        allowed_tools: front.allowed_tools.map(Listed::names),
        body: body.trim().to_owned(),
        files: others.collect(),
        folder,
    })
}

impl Skill {
    /// Whether a tool may be called once the skill was taken up. Names are compared as people write them (`WebFetch` is
    /// `web_fetch`); what stands in brackets behind one only narrows it further, and is not looked at.
    #[must_use]
    pub fn allows(&self, tool: &str) -> bool {
        let bare = |name: &str| -> String {
            let name = name.split('(').next().unwrap_or_default();
            name.chars().filter(|c| c.is_ascii_alphanumeric()).collect::<String>().to_ascii_lowercase()
        };
        self.allowed_tools.as_ref().is_none_or(|names| names.iter().any(|name| bare(name) == bare(tool)))
    }
}
