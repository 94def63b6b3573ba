//! How a command ends: the exit codes of the contract, and the one line that says why.

use std::process::ExitCode;

/// Why a command failed. Printed once, at the edge.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Something went wrong.
    #[error("{0}")]
    Failed(String),
    /// What was typed does not fit.
    #[error("{0}")]
    Usage(String),
    /// There is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// Not allowed, or waiting for somebody who allows it.
    #[error("{0}")]
    Denied(String),
    /// No server answers.
    #[error("{0}")]
    Unreachable(String),
    /// Too much at once, or shutting down: try again.
    #[error("{0}")]
    Busy(String),
}

impl Failure {
    /// Returns the exit code.
    pub fn code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Failed(_) => 1,
            Self::Usage(_) => 2,
            Self::NotFound(_) => 3,
            Self::Denied(_) => 4,
            Self::Unreachable(_) => 5,
            Self::Busy(_) => 75,
        })
    }

    /// Takes an error for which there is no better word.
    pub fn failed(error: impl std::fmt::Display) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

/// How a command ends.
pub type Outcome = Result<ExitCode, Failure>;

/// It did what was asked.
pub fn ok() -> Outcome {
    Ok(ExitCode::SUCCESS)
}
