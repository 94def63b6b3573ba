//! What is learned of how models count: kept for the workspace, written rarely, and never needed.
//!
//! Invariant: a file that cannot be read, or says what cannot be, counts as none.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use outlive_core::content::Usage;
use outlive_core::context::{Calibration, Counter, Load, Rough, Weight, taught};
use outlive_store::files::kept::Kept;
use serde::{Deserialize, Serialize};

/// Models that are remembered at most.
const MODELS: usize = 256;
/// By how much a ratio has changed before that is written down.
const NOTICED: f64 = 0.02;

/// Weighs requests: what counts, and what is learned of each model.
pub struct Scales {
    counter: Arc<dyn Counter>,
    file: Option<Kept>,
    learns: bool,
    models: Mutex<BTreeMap<String, Model>>,
    /// Grows with every window that is learned.
    windows: AtomicU64,
}

/// What is learned of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Model {
    calibration: Calibration,
    /// Tokens that it takes, as its refusals say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    window: Option<u64>,
    /// The ratio that was written down.
    #[serde(skip)]
    written: f64,
}

impl Model {
    fn new(name: &str) -> Self {
        Self { calibration: Calibration::seeded(name), window: None, written: 0.0 }
    }

    fn is_sound(&self) -> bool {
        self.calibration.is_sound() && self.window.is_none_or(|window| window > 0)
    }
}

static PLAIN: LazyLock<Scales> = LazyLock::new(|| Scales { learns: false, ..Scales::new(Arc::new(Rough)) });

impl Scales {
    /// Counts with this, and begins without anything learned.
    #[must_use]
    pub fn new(counter: Arc<dyn Counter>) -> Self {
        Self { counter, file: None, learns: true, models: Mutex::default(), windows: AtomicU64::new(0) }
    }

    /// Counts roughly, and learns nothing.
    #[must_use]
    pub fn plain() -> &'static Self {
        &PLAIN
    }

    /// Goes on from what a file says, and keeps there what is learned.
    #[must_use]
    pub fn kept_in(self, file: Kept) -> Self {
        let read = file.read().unwrap_or_else(|error| {
            tracing::warn!(%error, "what was learned of models cannot be read: it is learned anew");
            None
        });
        let mut models: BTreeMap<String, Model> =
            read.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        models.retain(|_name, model| model.is_sound());
        models.values_mut().for_each(|model| model.written = model.calibration.ratio());
        Self { file: Some(file), models: Mutex::new(models), ..self }
    }

    /// Returns what counts tokens.
    #[must_use]
    pub fn counter(&self) -> &Arc<dyn Counter> {
        &self.counter
    }

    /// Returns what is known of how `provider/name` counts.
    #[must_use]
    pub fn calibration(&self, model: &str) -> Calibration {
        self.lock().get(model).map_or_else(|| Calibration::seeded(model), |known| known.calibration.clone())
    }

    /// Returns the window that a model's refusals have taught.
    #[must_use]
    pub fn window(&self, model: &str) -> Option<u64> {
        self.lock().get(model)?.window
    }

    /// Returns a number that is another when a window was learned.
    #[must_use]
    pub fn stamp(&self) -> u64 {
        self.windows.load(Ordering::Acquire)
    }

    /// Learns from what a provider counted; says whether that is worth writing down.
    pub fn learn(&self, model: &str, load: &Load, (usage, reply): (Usage, Option<(Weight, u64)>)) -> bool {
        self.with(model, |known| {
            known.calibration.learn(load, usage.all_input(), reply);
            let ratio = known.calibration.ratio();
            let is_news = (ratio - known.written).abs() > NOTICED * known.written;
            if is_news {
                known.written = ratio;
            }
            is_news
        })
    }

    /// Learns a window from a refusal, if it names one; says whether that is worth writing down.
    pub fn teach(&self, model: &str, refusal: &str) -> bool {
        let Some(window) = taught(refusal) else { return false };
        let is_news = self.with(model, |known| known.window.replace(window) != Some(window));
        if is_news {
            self.windows.fetch_add(1, Ordering::AcqRel);
        }
        is_news
    }

    /// Writes down what is learned. Blocks.
    pub fn write(&self) {
        let Some(file) = &self.file else { return };
        // Numbers and names always serialize.
        let text = serde_json::to_vec_pretty(&*self.lock()).unwrap_or_default();
        if let Err(error) = file.replace(&text) {
            tracing::warn!(%error, "what was learned of models cannot be written down");
        }
    }

    /// Says whether anything of it outlasts this process.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.file.is_some()
    }

    fn with(&self, model: &str, change: impl FnOnce(&mut Model) -> bool) -> bool {
        let mut models = self.lock();
        let has_room = models.len() < MODELS || models.contains_key(model);
        if !self.learns || !has_room {
            return false;
        }
        change(models.entry(model.to_owned()).or_insert_with(|| Model::new(model)))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Model>> {
        self.models.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use outlive_store::files::fs::RealDisk;

    use super::*;

    fn scales(folder: &std::path::Path) -> Scales {
        Scales::new(Arc::new(Rough)).kept_in(Kept::at(Arc::new(RealDisk), folder.join("models.json")))
    }

    fn load(tokens: u64) -> Load {
        Load { messages: Weight { tokens, pieces: 1, reasoning: 0 }, ..Load::default() }
    }

    #[test]
    fn what_is_learned_outlasts_the_process_and_is_written_rarely() {
        let folder = tempfile::tempdir().unwrap();
        let used = |tokens: u64| Usage { input_tokens: tokens * 2, output_tokens: 20, ..Usage::default() };
        let first = scales(folder.path());
        let reply = Some((Weight { tokens: 10, pieces: 1, reasoning: 0 }, 20));
        let news = (0..200).filter(|_| first.learn("p/m", &load(10_000), (used(10_000), reply))).count();
        assert!((1..40).contains(&news), "{news}");
        assert!(first.teach("p/m", "prompt is too long: 208310 tokens > 200000 maximum"));
        assert!(!first.teach("p/m", "prompt is too long: 300000 tokens > 200000 maximum"));
        first.write();
        let second = scales(folder.path());
        assert_eq!(second.calibration("p/m"), first.calibration("p/m"));
        assert_eq!((second.window("p/m"), second.window("p/other")), (Some(200_000), None));
    }

    #[test]
    fn a_file_of_nonsense_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let one = r#"{"p/m":{"calibration":{"seed":1e300,"sums":[0,0,0,0,0],"fixed":0,"reports":1},"window":0}}"#;
        for text in ["", "{", "[]", "\0", one] {
            #[expect(clippy::disallowed_methods, reason = "a test tears the file")]
            std::fs::write(folder.path().join("models.json"), text).unwrap();
            let scales = scales(folder.path());
            assert_eq!(scales.calibration("p/m"), Calibration::seeded("p/m"), "{text}");
        }
    }

    #[test]
    fn plain_scales_learn_nothing() {
        assert!(!Scales::plain().learn("p/m", &load(1), (Usage { input_tokens: 2, ..Usage::default() }, None)));
        assert!(!Scales::plain().teach("p/m", "5000 tokens > 4000 maximum"));
    }
}
