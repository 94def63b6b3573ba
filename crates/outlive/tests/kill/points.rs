//! The server dies at named points: before and after each kind of append, and in what a store does beside them. It is
//! started again without anybody asking for anything, and has to come to the same end by itself.
//! `OUTLIVE_KILL_POINT=synced:call` runs those that begin so.

mod kinds;
mod scheduled;
mod upkeep;

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use outlive_core::event::{Entry, Event};
use outlive_core::id::{CallId, NoticeId};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::check;
use crate::house::{House, Server};
use crate::load::Promise;

/// What leads to a point.
#[derive(Debug, Clone, Copy)]
enum Story {
    /// Two commands in one turn, then another turn.
    Work,
    /// A person renames, pauses, resumes, puts away.
    Control,
    /// Follow-ups are queued, changed, taken back; the turn is interrupted.
    Queue,
    /// One call is denied, one allowed.
    Approve,
    /// The agent asks, a person answers.
    Ask,
    /// The provider is not there.
    Outage,
    /// Much is said and much is printed: segments fill up, outputs become artifacts. Ends with a clean stop.
    Much,
    /// Much is said, and condensed.
    Condense,
    /// What is said is noted, changed and forgotten.
    Remember,
    /// Turn after turn until a check passes.
    Loop,
    /// A relay of a script, a look, a time and a question ends, is made another, and goes on.
    Relay,
    /// Notes are put together.
    Reflect,
    /// Whoever condenses and takes notes is not there.
    Helpless,
    /// Whoever condenses says nothing, and a person waits no longer.
    Cancel,
    /// The window is nearly full, and nothing can be condensed.
    Narrow,
    /// The window is nearly full of results.
    Prune,
    /// What is waited for is put off, comes, is called off.
    Wait,
    /// People are told of the end of a turn: one has it, one cannot be told until nobody is to.
    Told,
    /// The server was killed before, while a command ran.
    Again,
}

use Story::{
    Again, Approve, Ask, Cancel, Condense, Control, Helpless, Loop, Much, Narrow, Outage, Prune, Queue, Reflect, Relay,
    Remember, Told, Wait, Work,
};

/// Each kind of append, and what leads to one.
const APPENDS: [(&str, Story); 62] = [
    ("session.created", Work),
    ("message.received", Work),
    ("turn.started", Work),
    ("step.started", Work),
    ("step.finished", Work),
    ("call.allowed", Work),
    ("call.started", Work),
    ("call.finished", Work),
    ("turn.ended", Work),
    ("session.updated", Control),
    ("session.paused", Control),
    ("session.resumed", Control),
    ("session.rewound", Control),
    ("session.archived", Control),
    ("input.queued", Queue),
    ("input.edited", Queue),
    ("input.removed", Queue),
    ("turn.interrupt_requested", Queue),
    ("call.approval_requested", Approve),
    ("call.denied", Approve),
    ("question.asked", Ask),
    ("question.answered", Ask),
    ("todo.changed", Ask),
    ("step.failed", Outage),
    ("artifact.stored", Much),
    ("compaction.started", Condense),
    ("compaction.progressed", Condense),
    ("checkpoint.created", Condense),
    ("checkpoint.activated", Condense),
    ("compaction.failed", Helpless),
    ("compaction.cancelled", Cancel),
    ("compaction.skipped", Narrow),
    ("context.pruned", Prune),
    ("context.rebuilt", Remember),
    ("memory.observed", Remember),
    ("memory.added", Remember),
    ("memory.edited", Remember),
    ("memory.forgotten", Remember),
    ("memory.erased", Remember),
    ("wait.armed", Wait),
    ("wait.moved", Wait),
    ("wait.ended", Wait),
    ("signal.received", Wait),
    ("notice.due", Told),
    ("notice.delivered", Told),
    ("notice.failed", Told),
    ("notice.retried", Told),
    ("notice.dropped", Told),
    ("loop.started", Loop),
    ("loop.iteration_started", Loop),
    ("loop.checks_asked", Loop),
    ("loop.ended", Loop),
    ("relay.started", Relay),
    ("relay.state_entered", Relay),
    ("relay.state_ended", Relay),
    ("relay.redefined", Relay),
    ("relay.finished", Relay),
    ("relay.reopened", Relay),
    ("memory.reflected", Reflect),
    ("memory.failed", Helpless),
    ("recovery.noted", Again),
    ("call.lost", Again),
];

/// What stands in the journals of schedules, which have points of their own.
const ELSEWHERE: [&str; 9] = [
    "schedule.created",
    "schedule.updated",
    "schedule.paused",
    "schedule.resumed",
    "schedule.removed",
    "schedule.run_queued",
    "schedule.run_started",
    "schedule.run_ended",
    "schedule.run_skipped",
];

/// What a store does beside appending; the number says at which time.
const BESIDE: [(&str, Story); 10] = [
    ("journal:1", Work),
    ("journal:2", Much),
    ("checkpoint:1", Much),
    ("segment:1", Much),
    ("segment:2", Much),
    ("past:1", Much),
    ("past:2", Much),
    ("shortened:1", Much),
    ("snapshot:1", Much),
    ("artifact:1", Much),
];

#[test]
fn every_kind_of_append_has_its_points() {
    let named: BTreeSet<&str> = APPENDS.iter().map(|(what, _)| *what).chain(ELSEWHERE).collect();
    assert_eq!(named, Event::NAMES.iter().copied().collect());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_each_named_point_a_server_that_nobody_calls_finishes_what_it_had_promised() {
    if !cfg!(feature = "trap") {
        panic!("this server has no trap: run the tests with --all-features, as ./test does");
    }
    let appends = ["before", "written", "synced"].into_iter().flat_map(|moment| APPENDS.map(|what| (moment, what)));
    let beside = ["before", "written"].into_iter().flat_map(|moment| BESIDE.map(|what| (moment, what)));
    let mut points: Vec<(String, Story)> =
        appends.chain(beside).map(|(moment, (what, story))| (format!("{moment}:{what}"), story)).collect();
    if let Ok(only) = std::env::var("OUTLIVE_KILL_POINT") {
        points.retain(|(point, _)| point.starts_with(&only));
    }
    let (mut running, mut failed) = (JoinSet::new(), Vec::new());
    while let Some((point, story)) = points.pop() {
        let job = tokio::spawn({
            let point = point.clone();
            async move { killed_at(&point, story).await }
        });
        running.spawn(async move { job.await.err().map(|why| format!("{point}: {why}")) });
        while running.len() >= 3 || points.is_empty() && !running.is_empty() {
            failed.extend(running.join_next().await.unwrap().unwrap());
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

#[tokio::test]
async fn killed_while_it_streams_it_asks_again_and_ends() {
    let house = House::new();
    let talk = Talk::begin(house.serve().await);
    let session = talk.create("slow").await;
    talk.say(&session, "help").await;
    assert!(talk.server.until_streamed(&session, "event: delta").await);
    talk.server.kill().await;
    let entries = restart(&house, &talk).await;
    let asked = |entry: &&Entry| matches!(&entry.event, Event::StepStarted(step) if step.attempt == 2);
    assert_eq!(entries.iter().flatten().filter(asked).count(), 1);
}

#[tokio::test]
async fn killed_when_an_effect_is_visible_the_call_is_lost_and_not_run_again() {
    let house = House::new();
    let talk = Talk::begin(house.serve().await);
    let session = talk.create("worker").await;
    talk.say(&session, "run echo visible >> effects; sleep 600").await;
    first_effect(&house).await;
    talk.server.kill().await;
    let entries = restart(&house, &talk).await;
    assert_eq!(house.effects(), "visible\n");
    assert_eq!(entries.iter().flatten().filter(|entry| matches!(entry.event, Event::CallLost(_))).count(), 1);
}

#[tokio::test]
async fn killed_while_an_approval_waits_it_still_waits_and_is_decided_once() {
    let house = House::new();
    let talk = Talk::begin(house.serve().await);
    let session = talk.create("asks").await;
    talk.say(&session, "run echo approved >> effects").await;
    let call = talk.waiting(&session).await.unwrap();
    talk.server.kill().await;
    let talk = talk.with(house.serve().await);
    assert_eq!(talk.waiting(&session).await, Some(call.clone()));
    let route = format!("/sessions/{session}/approvals/{call}");
    let (first, second) = (json!({"decision": "allow"}), json!({"decision": "deny"}));
    let (yes, no) =
        tokio::join!(talk.server.ask("POST", &route, Some(first)), talk.server.ask("POST", &route, Some(second)));
    let statuses = BTreeSet::from([yes.unwrap().0, no.unwrap().0]);
    assert_eq!(statuses, BTreeSet::from([200, 409]), "one of two opposite answers counts");
    talk.server.kill().await;
    restart(&house, &talk).await;
    assert!(["", "approved\n"].contains(&house.effects().as_str()), "{}", house.effects());
}

async fn killed_at(point: &str, story: Story) {
    let house = House::new();
    let mut told = None;
    if matches!(story, Again) {
        let talk = Talk::begin(house.serve().await);
        let session = talk.create("worker").await;
        talk.say(&session, "run echo once >> effects; sleep 600").await;
        first_effect(&house).await;
        talk.server.kill().await;
        told = Some(talk);
    }
    let server = house.serve_with(Some(point)).await;
    // A server that dies in its own start is not seen ready: then there is nothing to tell it.
    let Some(server) = server else { return drop(restart(&house, &told.unwrap()).await) };
    let talk = match told {
        Some(before) => before.with(server),
        None => Talk::begin(server),
    };
    tokio::time::timeout(Duration::from_secs(120), talk.tell(story)).await.unwrap_or_else(|_| panic!("{point}"));
    // The connection ends a moment before the process can be seen to have ended.
    talk.server.gone().await;
    assert!(talk.server.was_killed(), "nothing led to it");
    let entries = restart(&house, &talk).await;
    let kind = point.strip_prefix("synced:").unwrap_or("session.created");
    // A story may end before anybody saw its session made.
    let is_there = entries.iter().flatten().any(|entry| entry.event.name() == kind);
    assert!(is_there || entries.is_empty(), "what was written is gone");
}

async fn first_effect(house: &House) {
    let began = Instant::now();
    while house.effects().is_empty() {
        assert!(began.elapsed() < Duration::from_secs(60), "the command does not run");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Starts the server again, waits until it is done by itself, then compares; each session takes one more message.
async fn restart(house: &House, before: &Talk) -> Vec<Vec<Entry>> {
    let talk = Talk::begin(house.serve().await);
    let made = before.made.lock().unwrap().clone();
    assert!(made.iter().all(|session| house.sessions().contains(session)), "{made:?}: {:?}", house.sessions());
    let began = Instant::now();
    for session in house.sessions() {
        while !is_done(&house.so_far(&session)) {
            assert!(began.elapsed() < Duration::from_secs(120), "{session} does not end: {:?}", house.so_far(&session));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    for session in house.sessions() {
        let view = talk.server.get(&format!("/sessions/{session}")).await;
        if view["status"] == "paused" {
            talk.post(&session, "resume", json!({})).await;
        }
        talk.change(&session, json!({"archived": false})).await;
        talk.post(&session, "interrupt", json!({})).await;
        let body = json!({"content": "help", "request_id": format!("last-{session}")});
        let route = format!("/sessions/{session}/messages");
        if view["agent"] == "alone" {
            talk.server.ask("POST", &route, Some(body)).await.unwrap();
            talk.post(&session, "interrupt", json!({})).await;
            talk.until(&session, "idle").await;
            continue;
        }
        let (status, body) = talk.server.ask("POST", &format!("{route}?wait=60"), Some(body)).await.unwrap();
        assert_eq!((status, &body["ending"]), (200, &json!("complete")), "{body}");
    }
    for session in house.sessions() {
        let stream = talk.server.replay(&session).await;
        let began = Instant::now();
        while house.so_far(&session).len() < stream.len() {
            assert!(began.elapsed() < Duration::from_secs(60), "the file does not catch up");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let lines: Vec<String> = house.journal(&session).iter().map(|line| line.as_str().to_owned()).collect();
        assert_eq!(stream[..], lines[..stream.len()]);
    }
    talk.server.stop().await;
    check::files(house, &before.promises.lock().unwrap());
    house.sessions().iter().map(|session| house.so_far(session)).collect()
}

/// Says whether nothing is left to do without a person or a provider.
fn is_done(entries: &[Entry]) -> bool {
    let (mut waiting, mut telling): (BTreeSet<CallId>, BTreeSet<NoticeId>) = Default::default();
    let (mut open, mut stalled, mut loops) = (false, false, false);
    for entry in entries {
        stalled = matches!(&entry.event, Event::StepFailed(failed) if failed.retry_at.is_some());
        #[expect(clippy::wildcard_enum_match_arm, reason = "nothing else opens, closes or waits")]
        match &entry.event {
            Event::TurnStarted(_) => open = true,
            Event::TurnEnded(_) => open = false,
            Event::SessionPaused(_) => stalled = true,
            Event::LoopStarted(_) => loops = true,
            Event::LoopEnded(_) => loops = false,
            Event::ApprovalRequested(asked) => drop(waiting.insert(asked.call)),
            Event::CallAllowed(allowed) => drop(waiting.remove(&allowed.call)),
            Event::CallDenied(denied) => drop(waiting.remove(&denied.call)),
            Event::NoticeDue(due) if due.target == "hears" => drop(telling.insert(due.notice)),
            Event::NoticeDelivered(delivered) => drop(telling.remove(&delivered.notice)),
            _other => {}
        }
    }
    (!open && !loops || stalled || !waiting.is_empty()) && telling.is_empty()
}

/// Somebody who talks to a server that will die, and remembers what it promised.
struct Talk {
    server: Server,
    /// Sessions that were answered to be there.
    made: Mutex<Vec<String>>,
    promises: Mutex<Vec<Promise>>,
    asked: AtomicU32,
}

impl Talk {
    fn begin(server: Server) -> Self {
        Self { server, made: Mutex::default(), promises: Mutex::default(), asked: AtomicU32::default() }
    }

    fn with(self, server: Server) -> Self {
        Self { server, ..self }
    }

    /// Goes through a story until the server is gone.
    async fn tell(&self, story: Story) {
        match story {
            Work => self.work().await,
            Control => self.control().await,
            Queue => self.queue().await,
            Approve => self.approve().await,
            Ask => self.ask().await,
            Outage => self.outage().await,
            Much => self.much().await,
            Condense => self.condense().await,
            Remember => self.remember().await,
            Loop => self.iterate().await,
            Relay => self.relay().await,
            Wait => self.wait().await,
            Told => self.be_told().await,
            Reflect => self.reflect().await,
            Helpless => self.helpless().await,
            Cancel => self.cancel().await,
            Narrow => self.narrow().await,
            Prune => self.prune().await,
            // It dies of what it had to do anyway.
            Again => self.server.gone().await,
        }
        self.server.stop().await;
    }

    async fn create(&self, agent: &str) -> String {
        let Some(session) = self.server.create(agent).await else { return String::new() };
        self.made.lock().unwrap().push(session.clone());
        session
    }

    async fn work(&self) {
        let session = self.create("worker").await;
        self.say(&session, "run echo first >> effects then run echo second >> effects").await;
        self.until(&session, "idle").await;
        self.say(&session, "run echo third >> effects").await;
        self.until(&session, "idle").await;
    }

    async fn control(&self) {
        let session = self.create("slow").await;
        self.change(&session, json!({"title": "renamed"})).await;
        self.say(&session, "run echo first >> effects").await;
        self.post(&session, "pause", json!({})).await;
        self.post(&session, "resume", json!({})).await;
        self.until(&session, "idle").await;
        self.post(&session, "rewind", json!({"to_seq": 1})).await;
        self.change(&session, json!({"archived": true})).await;
    }

    async fn queue(&self) {
        let session = self.create("worker").await;
        self.say(&session, "run echo first >> effects; sleep 600").await;
        self.say(&session, "run echo second >> effects").await;
        self.say(&session, "run echo third >> effects").await;
        let queue = format!("/sessions/{session}/queue");
        let Some((_, waiting)) = self.server.ask("GET", &queue, None).await else { return };
        let changed = json!({"items": [{"id": waiting["items"][0]["id"], "content": "run echo changed >> effects"}]});
        self.server.ask("PUT", &queue, Some(changed)).await;
        self.post(&session, "interrupt", json!({})).await;
        self.until(&session, "idle").await;
    }

    async fn approve(&self) {
        let session = self.create("asks").await;
        self.say(&session, "run echo denied >> effects").await;
        let Some(call) = self.waiting(&session).await else { return };
        self.post(&session, &format!("approvals/{call}"), json!({"decision": "deny"})).await;
        self.until(&session, "idle").await;
    }

    async fn ask(&self) {
        let session = self.create("worker").await;
        self.say(&session, "todo - ask | run then ask Which? one | two then run echo asked >> effects").await;
        self.until(&session, "asking").await;
        let route = format!("/sessions/{session}/questions");
        let Some((_, asked)) = self.server.ask("GET", &route, None).await else { return };
        let Some(question) = asked["items"][0]["question"].as_str() else { return };
        self.post(&session, &format!("questions/{question}"), json!({"answers": ["two"]})).await;
        self.until(&session, "idle").await;
    }

    async fn outage(&self) {
        let session = self.create("alone").await;
        self.say(&session, "help").await;
        self.server.until_streamed(&session, "step.failed").await;
    }

    async fn much(&self) {
        let session = self.create("worker").await;
        self.say(&session, "run seq 100000; echo once >> effects").await;
        self.until(&session, "idle").await;
        for _ in 0..7 {
            self.say(&session, &"much is said here. ".repeat(12_000)).await;
            self.until(&session, "idle").await;
        }
    }

    async fn say(&self, session: &str, text: &str) {
        self.post(session, "messages", json!({"content": text})).await;
    }

    /// Asks for something; what is answered with success is promised.
    async fn post(&self, session: &str, what: &str, body: Value) {
        self.send("POST", (session, &format!("/sessions/{session}/{what}")), body).await;
    }

    async fn change(&self, session: &str, body: Value) {
        self.send("PATCH", (session, &format!("/sessions/{session}")), body).await;
    }

    async fn send(&self, method: &str, (session, route): (&str, &str), mut body: Value) {
        // Another server is another evening: what is asked of it has other names.
        let request = format!("{}/{}", self.server.address, self.asked.fetch_add(1, Ordering::Relaxed));
        body["request_id"] = json!(request);
        let Some((200..=299, body)) = self.server.ask(method, route, Some(body)).await else { return };
        let Some(seq) = body["seq"].as_u64() else { return };
        let (session, text) = (session.to_owned(), route.to_owned());
        self.promises.lock().unwrap().push(Promise { session, request, text, seq, turn: String::new() });
    }

    /// The first call that waits for a person; `None` when the server is gone.
    async fn waiting(&self, session: &str) -> Option<String> {
        loop {
            let (_, list) = self.server.ask("GET", &format!("/sessions/{session}/approvals"), None).await?;
            if let Some(call) = list["items"][0]["call"].as_str() {
                return Some(call.to_owned());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until the session has this status and nothing in its queue, or the server is gone.
    async fn until(&self, session: &str, status: &str) {
        while let Some((200, view)) = self.server.ask("GET", &format!("/sessions/{session}"), None).await
            && !(view["status"] == status && view["queue_length"] == 0)
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
