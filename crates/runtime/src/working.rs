//! The kit of a turn: that of its agent, and where it works on a state of a relay as that state asks for it.

use std::sync::Arc;

use outlive_core::policy::Reach;
use outlive_core::relay::{AgentWork, Relay};
use outlive_core::session::State;
use outlive_tools::Place;
use outlive_tools::path::{Want, resolve};

use crate::kit::{Kit, KitError};
use crate::shell::Shell;

impl Shell {
    /// Returns the kit of the running turn.
    ///
    /// # Errors
    ///
    /// [`KitError`]: also what the state asks for that is not there.
    pub(crate) fn kit_of(&self, state: &State) -> Result<Arc<Kit>, KitError> {
        let Some(profile) = &state.profile else { return Err(KitError::NoTurn) };
        let kit = self.kits.kit(&profile.agent)?;
        let Some((relay, work)) = state.working().filter(|(_, work)| is_special(work)) else { return Ok(kit) };
        let why = |why| KitError::Invalid {
            agent: profile.agent.clone(),
            why: format!("relay `{}`, state `{}`: {why}", relay.definition.name, relay.at.state),
        };
        kit.working(relay, work).map(Arc::new).map_err(why)
    }
}

fn is_special(work: &AgentWork) -> bool {
    work.model.is_some() || work.cwd.is_some() || !work.skills.is_empty()
}

impl Kit {
    fn working(&self, relay: &Relay, work: &AgentWork) -> Result<Self, String> {
        let voices = match &work.model {
            Some(name) => self.voices.led_by(name).map_err(|why| format!("model: {why}"))?,
            None => self.voices.clone(),
        };
        let mut place = self.place.clone();
        if let Some(cwd) = &work.cwd {
            let cwd = relay.values().fill(cwd).map_err(|why| format!("cwd: {why}"))?;
            place = within(place, &cwd).map_err(|why| format!("cwd: {why}"))?;
        }
        let skills = work.skills.iter().map(|name| self.skill(name).map_err(|why| format!("skills: {why}")));
        let voices = voices.told(&skills.collect::<Result<Vec<_>, _>>()?);
        Ok(Self { voices, place, ..self.clone() })
    }

    /// What a state tells of a skill.
    fn skill(&self, name: &str) -> Result<String, String> {
        let skills = &self.toolbox.held().skills;
        let skill = skills.iter().find(|skill| skill.name == name).ok_or_else(|| {
            let names: Vec<&str> = skills.iter().map(|skill| skill.name.as_str()).collect();
            format!(
                "the agent has no skill `{name}`; it has {}",
                if names.is_empty() { "none".to_owned() } else { names.join(", ") }
            )
        })?;
        let allowed = skill
            .allowed_tools
            .as_ref()
            .map(|tools| format!("\n[only these tools may be called: {}]", tools.join(", ")));
        Ok(format!(
            "# Skill `{name}`: what you do now is done so\n\n{}{}",
            skill.body.trim(),
            allowed.unwrap_or_default()
        ))
    }
}

/// The same place, begun from another folder of it.
fn within(place: Place, cwd: &str) -> Result<Place, String> {
    let found = resolve(&place, cwd, Want::Write)?;
    match found.reach {
        Reach::Within if found.path.is_dir() => Ok(Place { cwd: found.path, ..place }),
        Reach::Within => Err(format!("`{cwd}` is no folder: make it first")),
        Reach::Beyond | Reach::Forbidden => Err(format!("`{cwd}` lies outside of the folder that its tools work in")),
    }
}
