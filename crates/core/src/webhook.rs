//! Inbound webhooks: whose they are, and what they begin. Pure: the time, the headers and the body come in as values.

mod signature;
mod table;

pub use signature::{Delivery, Rejection, Scheme, Sent, sign, verify};
pub use table::{Begun, MessageRoute, NoRoute, Route, SignalRoute, Webhook, WebhookError};
