//! Requests that come back for more: a server of the newest version says what it still needs, and is asked again with it.

use std::time::Duration;

use rmcp::model::{ClientRequest, InputRequest, InputRequiredResult, InputResponses, ServerResult};
use serde_json::Value;

use super::ROUNDS;
use super::call::{Asking, Failure};
use super::server::Connection;

/// Pause before a server that only wants to be asked again is asked again: it doubles.
const PAUSE: Duration = Duration::from_millis(200);

/// What a server was given of what it still needed.
#[derive(Default)]
pub(super) struct Given {
    pub responses: Option<InputResponses>,
    pub state: Option<String>,
}

/// Asks, and asks again with what is needed, up to [`ROUNDS`] times.
pub(super) async fn ask(
    connection: &Connection,
    asking: &Asking<'_>,
    request: impl Fn(Given) -> ClientRequest,
) -> Result<ServerResult, Failure> {
    let mut given = Given::default();
    let mut pause = PAUSE;
    for _ in 0..ROUNDS {
        let answer = connection.client.calls.ask(&connection.peer, request(given), asking).await?;
        let ServerResult::InputRequiredResult(needed) = answer else { return Ok(answer) };
        if needed.input_requests.as_ref().is_none_or(std::collections::BTreeMap::is_empty) {
            tokio::select! {
                () = asking.stop.cancelled() => return Err(Failure::Stopped),
                () = tokio::time::sleep(pause) => pause *= 2,
            }
        }
        given = tokio::select! {
            biased;
            () = asking.stop.cancelled() => return Err(Failure::Stopped),
            given = fulfil(connection, asking, needed) => given?,
        };
    }
    Err(Failure::Refused(format!("it came back for more {ROUNDS} times")))
}

#[expect(clippy::wildcard_enum_match_arm, reason = "nothing else is given")]
async fn fulfil(connection: &Connection, asking: &Asking<'_>, needed: InputRequiredResult) -> Result<Given, Failure> {
    let mut responses = InputResponses::new();
    for (key, wanted) in needed.input_requests.unwrap_or_default() {
        let response: Value = match wanted {
            InputRequest::Elicitation(asked) => {
                let result = super::elicit::ask(&connection.client.name, &asked.params, asking.asker).await;
                serde_json::to_value(result).unwrap_or_default()
            }
            InputRequest::ListRoots(_) => serde_json::to_value(connection.client.told_roots()).unwrap_or_default(),
            _ => {
                return Err(Failure::Refused(
                    "it asks for an answer of the agent's model, which it is not given".to_owned(),
                ));
            }
        };
        responses.insert(key, response);
    }
    Ok(Given { responses: (!responses.is_empty()).then_some(responses), state: needed.request_state })
}
