//! Sends traces and metrics to a collector over OTLP (http/protobuf), where `OTEL_EXPORTER_OTLP_ENDPOINT` names one, in the
//! words of the GenAI semantic conventions.
//!
//! A fold of the same events as everything else, on a thread of its own: what waits for a collector keeps nobody waiting, and
//! a collector that is down costs a line in the log. No text of a conversation is sent, no argument, no output.

mod measures;
mod spans;

use std::thread::JoinHandle;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry_otlp::{MetricExporter, SpanExporter};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use outlive_runtime::Runtime;
use outlive_runtime::meter::Seen;
use tokio::sync::mpsc::Receiver;

use crate::config;
use measures::Measures;
use spans::Spans;

/// Appends that may wait for the exporter; more are missed, and counted as `outlive_export_missed_total`.
const BEHIND: usize = 4_096;
/// Time to send what is left when the server stops.
const LAST: Duration = Duration::from_secs(5);

/// The thread that sends, if there is somebody to send to.
pub struct Telemetry(Option<JoinHandle<()>>);

impl Telemetry {
    /// Begins, where the environment names a collector.
    pub fn begin(runtime: &Runtime) -> Self {
        let is_named = |name: &&str| config::variable(name).is_some();
        let named = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"].iter().any(is_named);
        let is_off = config::variable("OTEL_SDK_DISABLED").is_some_and(|word| word.eq_ignore_ascii_case("true"));
        if !named || is_off {
            return Self(None);
        }
        let Some(seen) = runtime.meter().listen(BEHIND) else { return Self(None) };
        // The exporter's client blocks, and may neither be made nor dropped where tasks run.
        let thread = std::thread::Builder::new().name("telemetry".to_owned()).spawn(move || send(seen));
        if let Err(error) = &thread {
            tracing::warn!(%error, "no traces and metrics are sent: no thread");
        }
        Self(thread.ok())
    }

    /// Sends what is left. Blocks, for a few seconds at most.
    pub fn end(self, runtime: &Runtime) {
        runtime.meter().hush();
        if self.0.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread that sends traces and metrics panicked");
        }
    }
}

fn send(mut seen: Receiver<Seen>) {
    let (tracers, meters) = match providers() {
        Ok(providers) => providers,
        Err(error) => {
            tracing::error!(%error, "no traces and metrics are sent");
            return;
        }
    };
    tracing::info!("traces and metrics are sent to the collector that the environment names");
    let (mut spans, measures) = (Spans::new(&tracers), Measures::new(&meters));
    while let Some(seen) = seen.blocking_recv() {
        for (_, entry) in seen.events.iter() {
            if let Some(asked) = spans.note(&seen, entry) {
                measures.note(&asked);
            }
        }
    }
    let ended = [tracers.shutdown_with_timeout(LAST), meters.shutdown_with_timeout(LAST)];
    for error in ended.into_iter().filter_map(Result::err) {
        tracing::warn!(%error, "not all traces and metrics were sent");
    }
}

fn providers() -> Result<(SdkTracerProvider, SdkMeterProvider), opentelemetry_otlp::ExporterBuildError> {
    let name = config::variable("OTEL_SERVICE_NAME").unwrap_or_else(|| "outlive".to_owned());
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let resource = Resource::builder().with_service_name(name).with_attribute(version).build();
    let spans = SpanExporter::builder().with_http().build()?;
    let metrics = MetricExporter::builder().with_http().build()?;
    let tracers = SdkTracerProvider::builder().with_resource(resource.clone()).with_batch_exporter(spans).build();
    let meters = SdkMeterProvider::builder().with_resource(resource).with_periodic_exporter(metrics).build();
    Ok((tracers, meters))
}
