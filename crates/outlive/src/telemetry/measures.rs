//! Tokens and durations of model requests, as the conventions name them.

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Histogram, MeterProvider as _};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use outlive_core::content::Usage;

/// One model request that ended.
pub(super) struct Asked {
    pub(super) seconds: f64,
    pub(super) usage: Option<Usage>,
    /// What both of its spans and measures say: operation, provider, models, error.
    pub(super) attributes: Vec<KeyValue>,
}

/// Where they are measured.
pub(super) struct Measures {
    tokens: Histogram<u64>,
    duration: Histogram<f64>,
}

impl Measures {
    pub(super) fn new(meters: &SdkMeterProvider) -> Self {
        let meter = meters.meter("outlive");
        // The bounds that the conventions recommend.
        let tokens = (0..14).map(|power| 4_f64.powi(power)).collect();
        let seconds = (0..14).map(|power| 0.01 * 2_f64.powi(power)).collect();
        Self {
            tokens: meter
                .u64_histogram("gen_ai.client.token.usage")
                .with_unit("{token}")
                .with_description("Tokens of model requests.")
                .with_boundaries(tokens)
                .build(),
            duration: meter
                .f64_histogram("gen_ai.client.operation.duration")
                .with_unit("s")
                .with_description("Duration of model requests.")
                .with_boundaries(seconds)
                .build(),
        }
    }

    pub(super) fn note(&self, asked: &Asked) {
        self.duration.record(asked.seconds, &asked.attributes);
        let Some(usage) = asked.usage else { return };
        for (kind, tokens) in [("input", usage.all_input()), ("output", usage.output_tokens)] {
            let mut attributes = asked.attributes.clone();
            attributes.push(KeyValue::new("gen_ai.token.type", kind));
            self.tokens.record(tokens, &attributes);
        }
    }
}
