//! What travels on the wire: API bodies, SSE frames, problem details.
