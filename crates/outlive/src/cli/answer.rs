//! What a person types to answer.

use clap::Args;
use outlive_core::id::QuestionId;

use super::{id, session_id};

/// An answer.
#[derive(Debug, Args)]
pub struct Answer {
    /// One for each thing that is asked, in order: a label, its number, or words. Several of one are joined by commas
    #[arg(required = true)]
    pub answers: Vec<String>,
    /// The question; the only one that waits when it is left out
    #[arg(short, long, value_parser = id::<QuestionId>)]
    pub question: Option<String>,
    /// Its session; found by the question when it is left out
    #[arg(short, long, value_parser = session_id)]
    pub session: Option<String>,
}
