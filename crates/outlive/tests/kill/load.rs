//! People who talk to several sessions at once, remember what they were promised, and come back after every kill.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::house::{House, Rng, Server};

/// A message that was acknowledged.
#[derive(Debug, Clone)]
pub struct Promise {
    pub session: String,
    pub request: String,
    pub text: String,
    pub seq: u64,
    pub turn: String,
}

#[derive(Default)]
pub struct Load {
    pub sessions: Vec<(String, &'static str)>,
    pub promises: Arc<Mutex<Vec<Promise>>>,
    /// Messages that nobody knows were accepted: said again under the same name.
    unsure: Arc<Mutex<BTreeMap<String, (String, String)>>>,
    said: Arc<AtomicU64>,
    people: JoinSet<()>,
}

const AGENTS: [&str; 8] = ["worker", "worker", "worker", "slow", "slow", "asks", "asks", "worker"];

impl Load {
    /// Everybody says something, to a server that will die.
    pub async fn people_return(&mut self, server: &Server, rng: &Rng) {
        while self.sessions.len() < AGENTS.len() {
            let agent = AGENTS[self.sessions.len()];
            match server.create(agent).await {
                Some(session) => self.sessions.push((session, agent)),
                None => return,
            }
        }
        let again: Vec<(String, (String, String))> =
            std::mem::take(&mut *self.unsure.lock().unwrap()).into_iter().collect();
        for (request, (session, text)) in again {
            self.say(server, session, (request, text));
        }
        for (session, agent) in self.sessions.clone() {
            if agent == "asks" && rng.below(2) == 0 {
                self.approve(server, &session);
            }
            // Not everybody speaks every time: a long queue proves nothing more.
            if rng.below(if agent == "slow" { 5 } else { 2 }) > 0 {
                continue;
            }
            let count = self.said.fetch_add(1, Ordering::Relaxed);
            let text = words(count, rng);
            self.say(server, session, (format!("req-{count}"), text));
        }
    }

    fn say(&mut self, server: &Server, session: String, (request, text): (String, String)) {
        let (promises, unsure) = (Arc::clone(&self.promises), Arc::clone(&self.unsure));
        let body = json!({"content": text, "request_id": request});
        let asked = ask(server, "POST", format!("/sessions/{session}/messages"), Some(body));
        self.people.spawn(async move {
            match asked.await {
                Some((202, body)) => {
                    let (seq, turn) = (body["seq"].as_u64().unwrap(), body["turn_id"].as_str().unwrap().to_owned());
                    promises.lock().unwrap().push(Promise { session, request, text, seq, turn });
                }
                // A queue that is full refused it; that is an answer.
                Some((429, _)) => {}
                Some((status, body)) => panic!("{status}: {body}"),
                None => drop(unsure.lock().unwrap().insert(request, (session, text))),
            }
        });
    }

    fn approve(&mut self, server: &Server, session: &str) {
        let list = ask(server, "GET", format!("/sessions/{session}/approvals"), None);
        let (door, session) = (server.door(), session.to_owned());
        self.people.spawn(async move {
            let Some((200, body)) = list.await else { return };
            for call in body["items"].as_array().into_iter().flatten().filter_map(|item| item["call"].as_str()) {
                let route = format!("/sessions/{session}/approvals/{call}");
                door.ask("POST", &route, Some(json!({"decision": "allow"}))).await;
            }
        });
    }

    pub async fn people_leave(&mut self) {
        while let Some(ended) = self.people.join_next().await {
            ended.unwrap();
        }
    }

    /// Waits until every session rests, approving what waits; then each takes one more message.
    pub async fn come_to_rest(&mut self, server: &Server) {
        let again: Vec<(String, (String, String))> =
            std::mem::take(&mut *self.unsure.lock().unwrap()).into_iter().collect();
        for (request, (session, text)) in again {
            self.say(server, session, (request, text));
        }
        self.people_leave().await;
        let began = Instant::now();
        for (session, _) in self.sessions.clone() {
            loop {
                let view = server.get(&format!("/sessions/{session}")).await;
                if view["status"] == "idle" && view["queue_length"] == 0 {
                    break;
                }
                assert!(began.elapsed() < Duration::from_secs(400), "session does not come to rest: {view}");
                // A call that was running at three deaths in a row has parked its session: a person lets it go on.
                if view["status"] == "paused" {
                    server.ask("POST", &format!("/sessions/{session}/resume"), Some(json!({}))).await;
                }
                self.approve(server, &session);
                self.people_leave().await;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            let body = json!({"content": "help", "request_id": format!("last-{session}")});
            let (status, body) =
                server.ask("POST", &format!("/sessions/{session}/messages?wait=60"), Some(body)).await.unwrap();
            assert_eq!((status, &body["ending"]), (200, &json!("complete")), "{body}");
        }
    }

    pub fn summary(&self, house: &House) -> String {
        let promises = self.promises.lock().unwrap().len();
        format!("{promises} messages acknowledged, {} effects seen", house.effects().lines().count())
    }
}

/// A command with a mark of its own, alone or among others; sometimes with much text, so that segments fill.
fn words(count: u64, rng: &Rng) -> String {
    match rng.below(6) {
        0 => format!("write big-{}: {}", count % 4, "x".repeat(20_000)),
        1 => format!("run echo MARK-{count} >> effects; sleep 0.2"),
        2 => format!("run echo MARK-{count} >> effects then read effects then list"),
        3 => "parallel read effects, effects".to_owned(),
        _ => format!("run echo MARK-{count} >> effects"),
    }
}

fn ask(
    server: &Server,
    method: &'static str,
    route: String,
    body: Option<Value>,
) -> impl Future<Output = Option<(u16, Value)>> + Send + use<> {
    let door = server.door();
    async move { door.ask(method, &route, body).await }
}
