//! Carries notices of calls to the webhooks that policies name: on a thread of its own, with a bounded queue and a few tries.
//!
//! Invariant: nothing waits for it. What a webhook does not take in time, and what waits when the server stops, is lost; the
//! journal has it.

use std::time::Duration;

use outlive_runtime::Runtime;
use outlive_runtime::hearers::CallNotice;

/// Notices that may wait.
const BEHIND: usize = 256;
/// Time that a webhook has to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Pauses before it is tried again.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];

/// Begins. The thread ends with the process.
pub fn begin(runtime: &Runtime) {
    let client = match super::client(PATIENCE) {
        Ok(client) => client,
        Err(error) => return tracing::warn!(%error, "webhooks are not told of calls: no client"),
    };
    let mut notices = runtime.calls_told_of(BEHIND);
    let here = tokio::runtime::Handle::current();
    let carry = move || {
        while let Some(notice) = notices.blocking_recv() {
            here.block_on(deliver(&client, &notice));
        }
    };
    if let Err(error) = std::thread::Builder::new().name("courier".to_owned()).spawn(carry) {
        tracing::warn!(%error, "webhooks are not told of calls: no thread");
    }
}

async fn deliver(client: &reqwest::Client, notice: &CallNotice) {
    let Some(address) = &notice.webhook else { return };
    let body = serde_json::json!({
        "type": "call.started",
        "session_id": notice.session,
        "call": notice.call,
        "tool": notice.tool,
        "summary": notice.summary,
        "rule": notice.rule,
    });
    let mut pauses = PAUSES.into_iter();
    loop {
        let sent = client.post(address).json(&body).send().await.and_then(reqwest::Response::error_for_status);
        let Err(error) = sent else { return };
        let Some(pause) = pauses.next() else {
            // An address can hold a secret: it stays out of the log.
            tracing::warn!(call = %notice.call, error = %error.without_url(), "a webhook could not be told of a call");
            return;
        };
        tokio::time::sleep(pause).await;
    }
}
