//! Reads `spec`, key by key: what nothing is made of yet is only noted.

use std::fmt;

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::{Spec, Unused};

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Key {
    Model,
    Soul,
    SystemPrompt,
    Instructions,
    SkillsDir,
    Web,
    Session,
    Budget,
    Tools,
    Sandbox,
    Memory,
    Context,
    Policy,
    Hooks,
    Access,
}

const KEYS: &[&str] = &[
    "model",
    "soul",
    "system_prompt",
    "instructions",
    "skills_dir",
    "web",
    "session",
    "budget",
    "tools",
    "sandbox",
    "memory",
    "context",
    "policy",
    "hooks",
    "access",
];

impl<'de> Deserialize<'de> for Spec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_struct("Spec", KEYS, Keys)
    }
}

struct Keys;

impl<'de> Visitor<'de> for Keys {
    type Value = Spec;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("struct Spec")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Spec, A::Error> {
        let mut spec = Spec::default();
        while let Some(key) = map.next_key()? {
            match key {
                Key::Model => spec.model = map.next_value()?,
                Key::Soul => spec.soul = map.next_value()?,
                Key::SystemPrompt => spec.system_prompt = map.next_value()?,
                Key::Instructions => spec.instructions = map.next_value()?,
                Key::SkillsDir => spec.tooling.skills_dir = map.next_value()?,
                Key::Web => spec.tooling.web = map.next_value::<Option<_>>()?.unwrap_or_default(),
                Key::Session => spec.session = map.next_value()?,
                Key::Budget => spec.budget = map.next_value()?,
                Key::Tools => spec.tools = map.next_value()?,
                Key::Sandbox => spec.sandbox = map.next_value()?,
                Key::Memory => spec.memory = map.next_value()?,
                Key::Context => spec.context = map.next_value::<Option<_>>()?.unwrap_or_default(),
                Key::Hooks => spec.tooling.hooks = map.next_value::<Option<_>>()?.unwrap_or_default(),
                Key::Policy => spec.note(Unused::Policy, map.next_value()?),
                Key::Access => spec.note(Unused::Access, map.next_value()?),
            }
        }
        Ok(spec)
    }
}

impl Spec {
    /// Notes a key that has a value.
    fn note(&mut self, key: Unused, value: Option<IgnoredAny>) {
        if value.is_some() {
            self.unused.insert(key);
        }
    }
}
