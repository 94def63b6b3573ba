//! This binary was built without the feature `otlp`: nothing is sent anywhere.

use outlive_runtime::Runtime;

use crate::config;

/// Nobody.
pub struct Telemetry;

impl Telemetry {
    /// Says so where a collector is named.
    pub fn begin(_runtime: &Runtime) -> Self {
        if config::variable("OTEL_EXPORTER_OTLP_ENDPOINT").is_some() {
            tracing::warn!("OTEL_EXPORTER_OTLP_ENDPOINT is set, and this binary was built without the feature `otlp`");
        }
        Self
    }

    /// Nothing is to be sent.
    pub fn end(self, _runtime: &Runtime) {}
}
