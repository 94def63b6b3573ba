//! Whom an agent asks: its model, those that stand in for it, and any other that is asked for by name.

use std::sync::Arc;

use outlive_core::agent::{Agent, ContextSpec, ModelSpec};
use outlive_core::content::ToolSpec;
use outlive_core::context::{Frame, FrameParts, WINDOW, Window};
use outlive_core::limits::FALLBACK_AFTER;
use outlive_model::Description;

use super::{Catalog, Known, Models};
use crate::kit::{Kits as _, Voice, Voices};
use crate::scales::Scales;

/// Tokens of a reply where an agent sets no limit.
const OUTPUT_TOKENS: u32 = 8_192;

/// What all that an agent asks have in common.
struct Choir {
    models: Arc<dyn Models>,
    scales: Option<Arc<Scales>>,
    known: Known,
    context: ContextSpec,
    system: Vec<String>,
    /// How many of those say who it is.
    own: usize,
    tools: Vec<ToolSpec>,
    digest: String,
}

/// Returns whom an agent asks. A model that cannot stand in is left out, with a word about it: the first still answers.
pub(super) fn of(
    catalog: &Catalog,
    agent: &Agent,
    (tools, known): (&[ToolSpec], &Known),
) -> Result<(Voices, Vec<String>), String> {
    let redactor = catalog.secrets().now();
    // A variable that is expanded in it may hold one.
    let system: Vec<String> = agent.system.iter().map(|block| redactor.text(block).into_owned()).collect();
    let choir = Arc::new(Choir {
        models: Arc::clone(&catalog.sources.models),
        scales: catalog.scales.clone(),
        known: known.clone(),
        context: agent.upkeep.context.clone(),
        own: system.len().saturating_sub(agent.upkeep.directives),
        system,
        tools: tools.to_vec(),
        digest: agent.digest.to_string(),
    });
    let (mut fallback, mut left_out) = (Vec::new(), Vec::new());
    for other in agent.model.iter().flat_map(|spec| &spec.fallback) {
        match choir.voice(Some(other)) {
            Ok(voice) => fallback.push(voice),
            Err(why) => left_out.push(format!("`{}/{}` cannot stand in: {why}", other.provider, other.name)),
        }
    }
    let first = Voices::only(choir.voice(agent.model.as_ref())?);
    let voices = match &agent.model {
        Some(spec) => {
            let after = spec.fallback_after.unwrap_or(FALLBACK_AFTER);
            first.with_fallback(fallback, after, spec.fallback_rest_ms())
        }
        None => first,
    };
    let own = agent.model.clone();
    Ok((voices.with_others(Arc::new(move |name| choir.voice(Some(&another(own.as_ref(), name)?)))), left_out))
}

/// Returns a model that the agent's files do not name: asked where they ask others of its provider, and as those are.
fn another(own: Option<&ModelSpec>, name: &str) -> Result<ModelSpec, String> {
    let (provider, name) = name.split_once('/').ok_or_else(|| format!("`{name}` is no `provider/name`"))?;
    let mut own = own.into_iter().flat_map(|own| std::iter::once(own).chain(&own.fallback));
    let alike = own.find(|spec| spec.provider == provider).cloned().unwrap_or_else(|| ModelSpec::of(provider));
    // These are about the model that they were said of.
    let (max_output_tokens, context_window, fallback) = (None, None, Vec::new());
    Ok(ModelSpec { name: name.to_owned(), max_output_tokens, context_window, fallback, ..alike })
}

impl Choir {
    fn voice(&self, spec: Option<&ModelSpec>) -> Result<Voice, String> {
        let model = self.models.connect(spec)?;
        let described = model.describe();
        let shown = format!("{}/{}", described.provider, described.name);
        let usual = OUTPUT_TOKENS.min(self.known.catalogue.entry(&shown).max_output_tokens.unwrap_or(OUTPUT_TOKENS));
        let scales = self.scales.as_deref().unwrap_or(Scales::plain());
        let parts = FrameParts {
            window: window((&self.context, spec), (&described, &shown), (&self.known, scales)),
            system: self.system.clone(),
            tools: self.tools.clone(),
            max_output_tokens: spec.and_then(|model| model.max_output_tokens).unwrap_or(usual),
            temperature: spec.and_then(|model| model.temperature),
            model: shown,
            agent_digest: self.digest.clone(),
        };
        Ok(Voice { frame: Frame::new(parts).with_own(self.own), model })
    }
}

/// Returns how much a request to a model may have: what its user says, else its provider, else the catalogue, else what its
/// refusals have taught.
pub(super) fn window(
    (context, spec): (&ContextSpec, Option<&ModelSpec>),
    (described, shown): (&Description, &str),
    (known, scales): (&Known, &Scales),
) -> Window {
    let entry = known.catalogue.entry(shown);
    let said = spec.and_then(|model| model.context_window).or(described.context_window).or(entry.context_window);
    let tokens = said.or_else(|| scales.window(shown)).unwrap_or(WINDOW);
    let usual = OUTPUT_TOKENS.min(entry.max_output_tokens.unwrap_or(OUTPUT_TOKENS));
    context.window(tokens, u64::from(spec.and_then(|model| model.max_output_tokens).unwrap_or(usual)))
}
