//! Tells by a webhook that is signed as Standard Webhooks describes.

use std::time::Duration;

use outlive_core::command::Undelivered;
use outlive_core::notice::Letter;
use outlive_core::secret::Secret;
use outlive_core::webhook::sign;
use outlive_runtime::clock::{Clock as _, SystemClock};
use reqwest::StatusCode;
use reqwest::header::CONTENT_TYPE;

/// Time to answer.
const PATIENCE: Duration = Duration::from_secs(15);

/// Where a webhook goes.
pub struct Webhook {
    client: reqwest::Client,
    url: String,
    secret: Secret,
}

impl Webhook {
    /// # Errors
    ///
    /// Nothing can be asked over HTTP.
    pub fn new(url: &str, secret: Secret) -> Result<Self, String> {
        let client = super::client(PATIENCE).map_err(|error| said(&error))?;
        Ok(Self { client, url: url.to_owned(), secret })
    }

    pub async fn deliver(&self, letter: &Letter) -> Result<(), Undelivered> {
        let body = serde_json::to_vec(letter).map_err(|error| Undelivered::for_good(error.to_string()))?;
        let (id, at) = (letter.id.to_string(), SystemClock.now().micros() / 1_000_000);
        let signature = sign(self.secret.reveal(), (&id, at), &body);
        let signature = signature
            .map_err(|_| Undelivered::for_now("the secret is not base64, with or without `whsec_` before it"))?;
        let request = self
            .client
            .post(&self.url)
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", at)
            .header("webhook-signature", signature)
            .body(body);
        // An address can hold a secret: it stays out of what is said.
        let answer = request.send().await.map_err(|error| Undelivered::for_now(said(&error.without_url())))?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            // It says that it wants no more of them.
            StatusCode::GONE => Err(Undelivered::for_good("the webhook answered 410 Gone")),
            status => Err(Undelivered::for_now(format!("the webhook answered {status}"))),
        }
    }
}

/// An error with what caused it.
fn said(error: &reqwest::Error) -> String {
    let mut said = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        said = format!("{said}: {error}");
        cause = error.source();
    }
    said
}
