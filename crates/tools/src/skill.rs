//! `skill`: shows what a skill says, and the files beside it.
//!
//! Invariant: it shows files that were read with the agent's definition, by their exact names; it opens none.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use outlive_core::agent::Skill;
use outlive_core::content::ToolSpec;
use outlive_core::event::{Effect, OnLost};
use outlive_core::limits::RESULT_BYTES;
use outlive_core::policy::{Reach, Subject};
use outlive_core::yaml::nearest;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::builtin::shape;
use crate::{Assessment, Finished, Invocation, Pending, Place, Span, Tool};

/// Bytes of a file that are shown.
const SHOWN: usize = RESULT_BYTES - 8_192;
/// Bytes of all that the model is told of skills beforehand, and characters of one description.
const TOLD: usize = 8_000;
const DESCRIPTION: usize = 300;
/// Files that are named.
const NAMED: usize = 100;

/// Shows skills.
pub struct Skills {
    skills: Arc<[Skill]>,
    folder: PathBuf,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Arguments {
    /// The skill.
    #[schemars(length(min = 1))]
    name: String,
    /// A file beside its SKILL.md, by its path from the skill's folder.
    #[serde(default)]
    file: Option<String>,
}

impl Skills {
    /// Shows these, of the agent whose definition lies in `folder`.
    #[must_use]
    pub fn new(skills: Arc<[Skill]>, folder: &Path) -> Self {
        Self { skills, folder: folder.to_owned() }
    }

    fn named(&self, name: &str) -> Result<&Skill, String> {
        self.skills.iter().find(|skill| skill.name == name).ok_or_else(|| {
            let names = self.skills.iter().map(|skill| skill.name.as_str());
            let nearest = nearest(name, names.clone()).map(|near| format!(": did you mean `{near}`?"));
            let shown: String = name.chars().take(80).collect();
            let names: Vec<&str> = names.collect();
            format!("there is no skill `{shown}`{}; the skills are {}", nearest.unwrap_or_default(), names.join(", "))
        })
    }

    fn show(&self, arguments: &Value) -> Result<String, String> {
        let Arguments { name, file } = shape::read(arguments)?;
        let skill = self.named(&name)?;
        match file.as_deref().map(|file| file.trim_start_matches("./")) {
            None | Some("SKILL.md") => Ok(format!("{}{}", cut(&skill.body), self.beside(skill))),
            Some(file) => show_file(skill, file),
        }
    }

    /// What lies beside the skill's text, and what it allows.
    fn beside(&self, skill: &Skill) -> String {
        let mut told = String::new();
        if let Some(tools) = &skill.allowed_tools {
            told.push_str(&format!("\n[until this turn ends only these tools may be called: {}]", tools.join(", ")));
        }
        if !skill.files.is_empty() {
            let names: Vec<&str> = skill.files.keys().take(NAMED).map(String::as_str).collect();
            let more = if skill.files.len() > NAMED { ", …" } else { "" };
            let folder = plain(&self.folder.join(&skill.folder));
            told.push_str(&format!("\n[its files, in {}: {}{more}]", folder.display(), names.join(", ")));
        }
        told
    }
}

/// Without `..`, which stands only where a workspace's own folder is meant.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        if part == std::path::Component::ParentDir {
            plain.pop();
        } else {
            plain.push(part);
        }
    }
    plain
}

fn show_file(skill: &Skill, file: &str) -> Result<String, String> {
    let bytes = skill.files.get(file).ok_or_else(|| {
        let names: Vec<&str> = skill.files.keys().take(NAMED).map(String::as_str).collect();
        let shown: String = file.chars().take(200).collect();
        format!("`{}` has no file `{shown}`; its files are: {}", skill.name, names.join(", "))
    })?;
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => Ok(cut(text)),
        Ok(_) | Err(_) => Err(format!("`{file}` is no text: {} bytes", bytes.len())),
    }
}

fn cut(text: &str) -> String {
    let end = text.floor_char_boundary(SHOWN);
    let more = if end < text.len() { "\n[it goes on: part it into smaller files]" } else { "" };
    format!("{}{more}", &text[..end])
}

impl Tool for Skills {
    fn spec(&self) -> ToolSpec {
        let mut told =
            "Shows how something is done here. When a skill fits what you are to do, read it before you begin. \
                        The skills:"
                .to_owned();
        for (n, skill) in self.skills.iter().enumerate() {
            let description: String = skill.description.chars().take(DESCRIPTION).collect();
            if told.len() + description.len() > TOLD {
                told.push_str(&format!("\n- and {} more", self.skills.len() - n));
                break;
            }
            told.push_str(&format!("\n- {}: {description}", skill.name));
        }
        shape::spec::<Arguments>("skill", &told)
    }

    fn assess(&self, arguments: &Value, _place: &Place) -> Result<Assessment, String> {
        let Arguments { name, file } = shape::read(arguments)?;
        self.named(&name)?;
        let file = file.map(|file| format!(" {file}")).unwrap_or_default();
        let summary = format!("skill {name}{file}");
        let subject = Subject { tool: "skill".to_owned(), target: name, reach: Reach::Within };
        Ok(Assessment { effect: Effect::Read, on_lost: OnLost::Report, span: Span::Call, subject, summary })
    }

    fn run(&self, invocation: Invocation) -> Pending<'_, Finished> {
        let shown = self.show(&invocation.arguments).map_or_else(Finished::error, Finished::ok);
        Box::pin(std::future::ready(shown))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skills() -> Skills {
        let skill = |name: &str, folder: &str| Skill {
            name: name.to_owned(),
            description: "d".repeat(500),
            allowed_tools: Some(vec!["Read".to_owned(), "Bash(git:*)".to_owned()]),
            folder: folder.to_owned(),
            body: "Do this.".to_owned(),
            files: [("scripts/a.sh", &b"echo"[..]), ("b.bin", b"\0")]
                .map(|(path, bytes)| (path.to_owned(), bytes.to_vec()))
                .into(),
        };
        let many = (0..60).map(|n| skill(&format!("s-{n}"), "skills/s"));
        let all = std::iter::once(skill("review", "../../skills/review")).chain(many).collect();
        Skills::new(all, Path::new("/w/agents/helper"))
    }

    fn show(arguments: &Value) -> Result<String, String> {
        skills().show(arguments)
    }

    #[test]
    fn names_come_first_the_text_when_asked_and_files_by_their_names() {
        let told = skills().spec().description;
        assert!(told.len() < TOLD + 100 && told.contains("\n- review: ddd") && told.ends_with("more"), "{told}");
        let text = show(&serde_json::json!({"name": "review"})).unwrap();
        let expected = "Do this.\n[until this turn ends only these tools may be called: Read, Bash(git:*)]\n[its files, in \
                        /w/skills/review: b.bin, scripts/a.sh]";
        assert_eq!(text, expected);
        assert_eq!(show(&serde_json::json!({"name": "review", "file": "./scripts/a.sh"})).unwrap(), "echo");
    }

    #[test]
    fn what_is_no_file_of_the_skill_is_not_shown() {
        for file in
            ["../x/SKILL.md", "/etc/passwd", "scripts/../b.bin", "scripts", "", "b.bin", "%2e%2e/x", "scripts//a.sh"]
        {
            assert!(show(&serde_json::json!({"name": "review", "file": file})).is_err(), "{file}");
        }
        assert!(show(&serde_json::json!({"name": "reviw"})).unwrap_err().contains("did you mean `review`?"));
    }
}
