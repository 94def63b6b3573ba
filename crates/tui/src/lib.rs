//! The terminal: a fold of the same events, drawn.
