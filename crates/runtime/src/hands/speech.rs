//! What hands let listeners hear while something runs: without known secrets, whatever fragments they come in.
//!
//! Invariant: what may be the beginning of a secret is heard once it is known to be none, at the latest at the end.

use std::sync::{Mutex, PoisonError};

use outlive_core::content::Delta;
use outlive_core::id::CallId;
use outlive_core::redact::Stream;

use super::Errand;

/// What one hand says.
pub(super) struct Speech {
    errand: Errand,
    said: Mutex<Said>,
}

struct Said {
    stream: Stream,
    /// Of what the part that is held back is.
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Thinking,
    Output(CallId),
}

impl Kind {
    fn delta(self, text: String) -> Delta {
        match self {
            Self::Text => Delta::Text { text },
            Self::Thinking => Delta::Thinking { text },
            Self::Output(call) => Delta::ToolOutput { call, text },
        }
    }
}

impl Speech {
    pub(super) fn new(errand: &Errand) -> Self {
        let said = Said { stream: Stream::new(errand.secrets.now()), kind: Kind::Text };
        Self { errand: errand.clone(), said: Mutex::new(said) }
    }

    /// Lets a fragment be heard, as far as it may be.
    pub(super) fn tell(&self, delta: Delta) {
        let (kind, text) = match delta {
            Delta::Text { text } => (Kind::Text, text),
            Delta::Thinking { text } => (Kind::Thinking, text),
            Delta::ToolOutput { call, text } => (Kind::Output(call), text),
            other @ (Delta::Restart | Delta::SoFar(_)) => {
                self.end();
                return self.errand.tell(other);
            }
        };
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.kind != kind {
            self.flush(&mut said);
            said.kind = kind;
        }
        let shown = said.stream.text(text);
        if !shown.is_empty() {
            self.errand.tell(kind.delta(shown));
        }
    }

    /// Nothing more comes: what was held back is heard.
    pub(super) fn end(&self) {
        self.flush(&mut self.said.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn flush(&self, said: &mut Said) {
        let rest = said.stream.finish_text();
        if !rest.is_empty() {
            self.errand.tell(said.kind.delta(rest));
        }
    }
}
