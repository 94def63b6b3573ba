//! HTTP, SSE and OpenAPI over the runtime; no decisions.
