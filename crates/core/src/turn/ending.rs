//! Why a turn fails, and the way on.

use crate::content::FailureKind;
use crate::event::TurnError;

/// Returns the error of a turn whose step is not asked again.
#[must_use]
pub fn failure_ending(kind: FailureKind, message: &str) -> TurnError {
    let (code, way_on) = match kind {
        FailureKind::Auth => ("model_auth", "set a valid key for the provider, then send a message to go on"),
        FailureKind::InvalidRequest => {
            ("model_invalid_request", "check the agent's model settings, then send a message to go on")
        }
        FailureKind::Refused => ("model_refused", "the provider declined; say it in another way"),
        FailureKind::Truncated => ("model_truncated", "the replies kept being cut; send a message to try again"),
        FailureKind::OffSchema => ("output_invalid", "simplify the schema, or take a model that keeps to one"),
        FailureKind::Overflow => (
            "context_overflow",
            "the conversation is longer than the model's window: compact or rewind the session, or take a model with a larger one",
        ),
        FailureKind::Overloaded | FailureKind::RateLimited | FailureKind::Timeout | FailureKind::Network => {
            ("model_unavailable", "send a message to try again")
        }
    };
    TurnError { code: code.to_owned(), message: format!("{message}: {way_on}") }
}

/// Returns why a turn ended that an emergency stop interrupted.
#[must_use]
pub fn stopped_ending() -> TurnError {
    let message = "an emergency stop ended it; once it is lifted, send a message or resume to go on";
    TurnError { code: "stopped".to_owned(), message: message.to_owned() }
}
