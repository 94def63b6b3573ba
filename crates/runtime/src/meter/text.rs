//! All that is counted, as Prometheus text (format 0.0.4): names with their units, each with HELP and TYPE, in a fixed order.

use std::fmt::Write as _;

use outlive_core::session::Status;
use outlive_store::{ListQuery, StoreError};

use super::Numbers;
use super::numbers::{Counts, Histogram};
use crate::Runtime;

/// What sessions wait for.
const WAITING: [Status; 4] = [Status::Waiting, Status::Approving, Status::Asking, Status::Sleeping];
/// Rows read at once.
const PAGE: usize = 1_000;

impl Runtime {
    /// Returns all that is counted, as Prometheus text.
    ///
    /// # Errors
    ///
    /// What the store says of its list.
    pub async fn metrics(&self) -> Result<String, StoreError> {
        let mut text = Text::default();
        text.counted(&self.shell.meter.0);
        let syncs = self.shell.store.journals.syncs();
        text.one("outlive_syncs_total", "counter", "Syncs that the disk was asked for.", syncs);
        text.one("outlive_sessions_live", "gauge", "Sessions in memory.", self.live() as u64);
        let depth = self.sessions.waiting() as u64;
        text.one("outlive_inbox_depth", "gauge", "Commands that wait for their sessions.", depth);
        let listeners = self.shell.feeds.listeners() as u64;
        text.one("outlive_subscribers", "gauge", "Listeners of event streams.", listeners);
        let mut waiting = Vec::new();
        for status in WAITING {
            waiting.push((status.as_str(), self.with_status(status).await?));
        }
        text.head("outlive_sessions_waiting", "gauge", "Sessions that wait, by what for.");
        for (status, sessions) in waiting {
            text.sample("outlive_sessions_waiting", &format!("{{status=\"{status}\"}}"), sessions);
        }
        text.head("outlive_build_info", "gauge", "The version that runs.");
        text.sample("outlive_build_info", concat!("{version=\"", env!("CARGO_PKG_VERSION"), "\"}"), 1);
        Ok(text.0)
    }

    async fn with_status(&self, status: Status) -> Result<u64, StoreError> {
        let mut query = ListQuery { status: Some(status.as_str().to_owned()), limit: PAGE, ..ListQuery::default() };
        let mut found = 0;
        loop {
            let rows = self.list(query.clone()).await?;
            found += rows.len() as u64;
            match rows.last() {
                Some(last) if rows.len() == PAGE => query.after = Some(last.place(query.sort)),
                Some(_) | None => return Ok(found),
            }
        }
    }
}

#[derive(Default)]
struct Text(String);

impl Text {
    fn counted(&mut self, numbers: &Numbers) {
        self.kinds("outlive_turns_total", "Turns that ended.", ("ending", &numbers.turns));
        self.one("outlive_steps_total", "counter", "Steps that the model answered.", numbers.steps.get());
        let failed = "Steps that the model did not answer.";
        self.kinds("outlive_step_failures_total", failed, ("kind", &numbers.failures));
        self.kinds("outlive_calls_total", "Tool calls that were settled.", ("outcome", &numbers.calls));
        let context = "What was done about what models see of long conversations.";
        self.kinds("outlive_context_total", context, ("event", &numbers.context));
        let memory = "What was done about what is remembered.";
        self.kinds("outlive_memory_total", memory, ("event", &numbers.memory));
        let tokens = "Tokens of what models answered.";
        self.kinds("outlive_tokens_total", tokens, ("kind", &numbers.tokens));
        let cost = "What turns cost in US dollars, where prices are known.";
        self.one("outlive_cost_dollars_total", "counter", cost, numbers.cost.get());
        let seconds = &numbers.seconds;
        self.histogram("outlive_turn_duration_seconds", "From a turn's start to its ending.", &seconds.turns);
        self.histogram("outlive_step_duration_seconds", "From asking a model to its last byte.", &seconds.steps);
        self.histogram("outlive_call_duration_seconds", "From a tool call's start to its end.", &seconds.calls);
        self.histogram("outlive_append_duration_seconds", "Until an append was durable.", &seconds.appends);
        let failed = "Appends that the store did not take.";
        self.one("outlive_append_failures_total", "counter", failed, numbers.failed_appends.get());
        let unheard = "Appends that the exporter of traces missed, being behind.";
        self.one("outlive_export_missed_total", "counter", unheard, numbers.unheard.get());
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        self.push(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    fn sample(&mut self, name: &str, labels: &str, value: impl std::fmt::Display) {
        self.push(format_args!("{name}{labels} {value}\n"));
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: impl std::fmt::Display) {
        self.head(name, kind, help);
        self.sample(name, "", value);
    }

    fn kinds(&mut self, name: &str, help: &str, (label, counts): (&str, &Counts)) {
        self.head(name, "counter", help);
        counts.get().for_each(|(kind, count)| self.sample(name, &format!("{{{label}=\"{kind}\"}}"), count));
    }

    fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) {
        self.head(name, "histogram", help);
        let (below, all) = histogram.up_to();
        let bucket = format!("{name}_bucket");
        below.iter().for_each(|(bound, count)| self.sample(&bucket, &format!("{{le=\"{bound}\"}}"), count));
        self.sample(&bucket, "{le=\"+Inf\"}", all);
        self.sample(&format!("{name}_sum"), "", histogram.sum_seconds());
        self.sample(&format!("{name}_count"), "", all);
    }

    fn push(&mut self, words: std::fmt::Arguments<'_>) {
        // A string takes whatever it is given.
        self.0.write_fmt(words).ok();
    }
}
