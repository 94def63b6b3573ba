//! Memories found by what they mean, with a service on loopback that says what it is told to: right, wrong, late, never.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use outlive_core::command::Command;
use outlive_core::id::{AgentName, MemoryId};
use outlive_core::memory::{Kind, Memory, Priority, Scope};
use outlive_core::time::Timestamp;
use outlive_model::scripted::Scripted;
use outlive_runtime::clock::{Moments, TokioClock};
use outlive_runtime::{RecallQuery, Recalled, Runtime, Settings, Sight, Whose};
use outlive_store::Unmeasured;
use outlive_store::memory::{self, Faults};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::catalog::{catalog, write};
use super::house::{by, create, id, message};

/// What the service answers.
enum Answer {
    Json(Value),
    Status(u16, &'static str),
    Raw(String),
    Never,
}

type Says = Arc<Mutex<Box<dyn Fn(&Value) -> Answer + Send>>>;

struct Service {
    base_url: String,
    says: Says,
    bodies: Arc<Mutex<Vec<Value>>>,
}

impl Service {
    async fn start(says: impl Fn(&Value) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}/v1/", listener.local_addr().unwrap());
        let (says, bodies): (Says, Arc<Mutex<Vec<Value>>>) = (Arc::new(Mutex::new(Box::new(says))), Arc::default());
        let (answers, heard) = (Arc::clone(&says), Arc::clone(&bodies));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&answers), Arc::clone(&heard)));
            }
        });
        Self { base_url, says, bodies }
    }

    fn say(&self, says: impl Fn(&Value) -> Answer + Send + 'static) {
        *self.says.lock().unwrap() = Box::new(says);
    }

    /// The texts that were sent to it.
    fn texts(&self) -> Vec<String> {
        self.bodies.lock().unwrap().iter().flat_map(inputs).collect()
    }
}

async fn serve(mut stream: TcpStream, says: Says, heard: Arc<Mutex<Vec<Value>>>) {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n").filter(|(head, body)| body.len() >= length(head)) else {
            if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
                return;
            }
            continue;
        };
        assert!(head.starts_with("POST /v1/embeddings HTTP/1.1"), "{head}");
        let body: Value = serde_json::from_str(body).unwrap();
        bytes.clear();
        heard.lock().unwrap().push(body.clone());
        let answer = says.lock().unwrap()(&body);
        let (status, said) = match answer {
            Answer::Json(said) => (200, said.to_string()),
            Answer::Raw(said) => (200, said),
            Answer::Status(status, why) => (status, json!({ "error": { "message": why } }).to_string()),
            Answer::Never => std::future::pending().await,
        };
        let head =
            format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", said.len());
        if stream.write_all(format!("{head}{said}").as_bytes()).await.is_err() {
            return;
        }
    }
}

fn length(head: &str) -> usize {
    let line =
        head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:").map(str::to_owned));
    line.and_then(|length| length.trim().parse().ok()).unwrap_or(0)
}

fn inputs(body: &Value) -> Vec<String> {
    let texts = body["input"].as_array().unwrap();
    texts.iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// What is about dogs points one way, what is about houses another.
fn vector(text: &str) -> Value {
    let about = |words: [&str; 3]| if words.iter().any(|word| text.contains(word)) { 1.0 } else { 0.0 };
    json!([about(["hound", "canine", "Rex"]), about(["flat", "dwelling", "villa"]), 0.1, -0.1])
}

/// As it should be, by a model of this name; the order is another one than that of the texts.
fn right(model: &str) -> impl Fn(&Value) -> Answer + Send + use<> {
    let model = model.to_owned();
    move |body| {
        let one = |(n, text): (usize, &String)| json!({ "object": "embedding", "index": n, "embedding": vector(text) });
        let data: Vec<Value> = inputs(body).iter().enumerate().map(one).rev().collect();
        Answer::Json(json!({ "object": "list", "model": model, "data": data, "usage": { "prompt_tokens": 1 } }))
    }
}

/// Each text gets what is answered to every text.
fn each(embedding: Value) -> impl Fn(&Value) -> Answer + Send {
    move |body| {
        let one = |n: usize| json!({ "index": n, "embedding": embedding });
        Answer::Json(json!({ "data": (0..inputs(body).len()).map(one).collect::<Vec<_>>() }))
    }
}

struct Place {
    runtime: Arc<Runtime>,
    faults: Faults,
}

fn spec(base_url: &str, more: &str) -> String {
    format!("{{memory: {{embedding: {{base_url: '{base_url}', {more}}}}}}}")
}

async fn place(agents: &[(&str, &str)]) -> Place {
    let (store, faults) = memory::store();
    for (name, spec) in agents {
        write(&faults, name, spec, &[]);
    }
    let clock = Arc::new(TokioClock::from(Timestamp::from_micros(1_700_000_000_000_000)));
    let kits = Arc::new(catalog(&store, &Scripted::default()));
    let runtime = Runtime::start(store, kits, Moments::new(clock, 1), Settings::default()).await.unwrap();
    Place { runtime, faults }
}

impl Place {
    async fn note(&self, agent: &str, text: &str) -> MemoryId {
        let memory = Memory {
            id: MemoryId::from_bits(0),
            kind: Kind::Fact,
            scope: Scope::Agent,
            priority: Priority::Medium,
            text: text.to_owned(),
            since: Timestamp::from_micros(0),
            until: None,
            sources: Vec::new(),
            supersedes: Vec::new(),
        };
        let whose = Whose::Agent(agent.parse().unwrap());
        self.runtime.note(&whose, memory, (by(), None)).await.unwrap().1.id
    }

    async fn recall(&self, agent: &str, text: &str) -> Recalled {
        let sight = Sight { agent: Some(agent.to_owned()), ..Sight::default() };
        let query = RecallQuery { text: text.to_owned(), sight, limit: 10, ..RecallQuery::default() };
        self.runtime.recall(query).await.unwrap()
    }

    /// Asks until the answer is like that.
    async fn until(&self, (agent, text): (&str, &str), like: impl Fn(&Recalled) -> bool) -> Recalled {
        let mut last = Recalled::default();
        for _ in 0..10_000 {
            last = self.recall(agent, text).await;
            if like(&last) {
                return last;
            }
            tokio::task::yield_now().await;
        }
        assert!(like(&last), "never: {last:?}");
        last
    }
}

fn texts(found: &Recalled) -> Vec<&str> {
    found.hits.iter().map(|hit| hit.row.memory.text.as_str()).collect()
}

fn is_whole(found: &Recalled) -> bool {
    found.notes.is_empty()
}

#[tokio::test]
async fn what_means_the_same_is_found_and_its_score_is_the_sum_of_its_parts() {
    let service = Service::start(right("m")).await;
    let place = place(&[("helper", &spec(&service.base_url, "model: m"))]).await;
    place.note("helper", "Ada keeps a hound.").await;
    place.note("helper", "Ada moved to a flat.").await;
    let found = place.until(("helper", "canine"), is_whole).await;
    assert_eq!(texts(&found)[0], "Ada keeps a hound.");
    let hit = &found.hits[0];
    assert!(hit.explain.iter().any(|(part, adds)| *part == "meaning" && *adds > 0.0), "{hit:?}");
    assert_eq!(hit.score, hit.explain.iter().map(|(_, adds)| adds).sum::<f64>());
    let both = place.recall("helper", "Ada canine").await;
    assert_eq!(texts(&both)[0], "Ada keeps a hound.", "words and meaning count together");
    let anybody = RecallQuery { text: "dwelling".to_owned(), limit: 1, ..RecallQuery::default() };
    let found = place.runtime.recall(anybody).await.unwrap();
    assert_eq!(texts(&found), ["Ada moved to a flat."], "who names no agent asks the one service that there is");
    let sent = service.bodies.lock().unwrap()[0].clone();
    assert_eq!((&sent["model"], &sent["encoding_format"]), (&json!("m"), &json!("float")));
}

#[tokio::test]
async fn what_is_edited_is_measured_anew_and_what_is_forgotten_is_found_no_more() {
    let service = Service::start(right("m")).await;
    let place = place(&[("helper", &spec(&service.base_url, "model: m"))]).await;
    let dog = place.note("helper", "Ada keeps a hound.").await;
    place.until(("helper", "canine"), |found| is_whole(found) && found.hits.len() == 1).await;
    place.runtime.rewrite(dog, (Some("Ada moved to a flat.".to_owned()), None), (by(), None)).await.unwrap();
    let found = place.until(("helper", "dwelling"), |found| is_whole(found) && found.hits.len() == 1).await;
    assert_eq!(texts(&found), ["Ada moved to a flat."]);
    let place_of = |found: &Recalled| found.hits[0].explain.iter().any(|(part, _)| *part == "meaning");
    assert!(place_of(&found));
    place.runtime.forget_memory(dog, outlive_core::memory::forget::Extent::Words, (by(), None)).await.unwrap();
    assert_eq!(texts(&place.recall("helper", "dwelling").await), [""; 0]);
}

#[tokio::test]
async fn a_service_that_lies_loses_nothing_fails_nothing_and_is_told_of() {
    let nothing = |body: Value| move |_: &Value| Answer::Json(body.clone());
    type Says = Box<dyn Fn(&Value) -> Answer + Send>;
    let cases: Vec<(&str, &str, Says)> = vec![
        ("other length than asked for", "a vector of 2 numbers, not 4", Box::new(each(json!([1.0, 2.0])))),
        ("no number", "with what is no vector", Box::new(each(json!([null, 1.0, 1.0, 1.0])))),
        ("words", "with what is no vector", Box::new(each(json!(["NaN", "1", "2", "3"])))),
        ("infinite", "with what is no vector", Box::new(each(json!([1e300, 1.0, 1.0, 1.0])))),
        ("zero", "with what is no vector", Box::new(each(json!([0.0, 0.0, 0.0, 0.0])))),
        ("bytes", "with what is no vector", Box::new(each(json!("AACAPwAAgD8=")))),
        ("none", "0 vectors to 1 texts", Box::new(nothing(json!({ "data": [] })))),
        ("too many", "3 vectors to 1 texts", Box::new(nothing(json!({ "data": [{}, {}, {}] })))),
        ("far index", "twice to one text", Box::new(nothing(json!({ "data": [{ "index": 9, "embedding": [1.0] }] })))),
        ("no list", "without a list", Box::new(nothing(json!({ "hello": "there" })))),
        ("no JSON", "without a list", Box::new(|_: &Value| Answer::Raw("<html>".to_owned()))),
        ("10 MB", "", Box::new(|_: &Value| Answer::Raw(format!("{{\"data\": [{}]}}", "1,".repeat(5 << 20))))),
        ("500", "answers 500: out of order", Box::new(|_: &Value| Answer::Status(500, "out of order"))),
        ("429", "answers 429: slower", Box::new(|_: &Value| Answer::Status(429, "slower"))),
        ("401", "answers 401: who are you", Box::new(|_: &Value| Answer::Status(401, "who are you"))),
        ("400", "answers 400: no such model", Box::new(|_: &Value| Answer::Status(400, "no such model"))),
        ("302", "answers 302", Box::new(|_: &Value| Answer::Status(302, "elsewhere"))),
    ];
    let service = Service::start(right("m")).await;
    let place = place(&[("helper", &spec(&service.base_url, "model: m, dimensions: 4"))]).await;
    place.runtime.submit(id(1), Command::Create(create()), None).await.unwrap();
    for (n, (case, why, says)) in cases.into_iter().enumerate() {
        service.say(says);
        let text = format!("Number {n} is a canine called Bello.");
        place.note("helper", &text).await;
        let found = place.recall("helper", &format!("Bello {n}")).await;
        assert!(texts(&found).contains(&text.as_str()), "{case}: {found:?}");
        let said = found.notes.join(" ");
        assert!(said.starts_with("vectors: unavailable because ") && said.contains(why), "{case}: {said}");
        assert!(said.ends_with("found by words alone"), "{case}: {said}");
        let accepted = place.runtime.submit(id(1), Command::Message(message("Well?")), None).await.unwrap();
        place.runtime.outcome(id(1), accepted.turn.unwrap(), accepted.seq).await.unwrap();
    }
    service.say(right("m"));
    let found = place.until(("helper", "hound"), is_whole).await;
    assert_eq!(found.hits.len(), 10, "all that could not be measured then is measured now");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_hangs_is_waited_for_two_seconds_and_told_of() {
    let service = Service::start(|_: &Value| Answer::Never).await;
    let place = place(&[("helper", &spec(&service.base_url, "model: m"))]).await;
    place.note("helper", "Ada keeps a hound.").await;
    let began = tokio::time::Instant::now();
    let found = place.recall("helper", "hound").await;
    assert_eq!(began.elapsed(), Duration::from_secs(2));
    assert_eq!(texts(&found), ["Ada keeps a hound."]);
    let said = "vectors: unavailable because the embedding service does not answer within 2 s; found by words alone";
    assert_eq!(found.notes, [said]);
    let closing = tokio::time::Instant::now();
    place.runtime.shutdown().await;
    assert!(closing.elapsed() < Duration::from_secs(1), "what hangs does not keep a server from its end");
}

#[tokio::test]
async fn nobody_listens_and_words_are_enough() {
    let place = place(&[("helper", &spec("http://127.0.0.1:1/v1", "model: m"))]).await;
    place.note("helper", "Ada keeps a hound.").await;
    let found = place.recall("helper", "hound").await;
    assert_eq!(texts(&found), ["Ada keeps a hound."]);
    assert!(found.notes[0].starts_with("vectors: unavailable because 127.0.0.1:1 cannot be reached: "), "{found:?}");
}

#[tokio::test]
async fn vectors_of_another_model_are_never_compared_and_made_anew() {
    let service = Service::start(right("m")).await;
    let place = place(&[("helper", &spec(&service.base_url, "model: m"))]).await;
    place.note("helper", "Ada keeps a hound.").await;
    place.until(("helper", "canine"), |found| is_whole(found) && found.hits.len() == 1).await;
    // It calls itself otherwise: the same numbers may mean something else.
    service.say(right("m-2"));
    let found = place.recall("helper", "canine").await;
    assert_eq!((texts(&found), found.unmeasured), (vec![], 1));
    assert_eq!(found.notes, ["vectors: 1 memories have none yet; these are found by words alone"]);
    place.until(("helper", "canine"), |found| is_whole(found) && found.hits.len() == 1).await;
    // Another is asked for.
    write(&place.faults, "helper", &spec(&service.base_url, "model: other, dimensions: 4"), &[]);
    assert_eq!(place.recall("helper", "canine").await.unmeasured, 1);
    place.until(("helper", "canine"), |found| is_whole(found) && found.hits.len() == 1).await;
    let sent = service.bodies.lock().unwrap().last().cloned().unwrap();
    assert_eq!((&sent["model"], &sent["dimensions"]), (&json!("other"), &json!(4)));
    let before =
        Unmeasured { service: format!("{} m", service.base_url.trim_end_matches('/')), limit: 9, ..Default::default() };
    let gone = place.faults.store().memories.unmeasured(before).await.unwrap();
    assert_eq!(gone.len(), 1, "vectors that nobody needs any more are gone");
    // None is asked for.
    write(&place.faults, "helper", "{memory: {enabled: true}}", &[]);
    let asked = service.texts().len();
    assert_eq!((texts(&place.recall("helper", "canine").await), service.texts().len()), (vec![], asked));
}

#[tokio::test]
async fn a_service_that_is_another_each_time_is_not_asked_without_end() {
    let service = Service::start(right("m")).await;
    let place = place(&[("helper", &spec(&service.base_url, "model: m"))]).await;
    let turn = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let next = move || turn.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    service.say(move |body| right(&format!("m-{}", next()))(body));
    for n in 0..40 {
        place.note("helper", &format!("Hound number {n}.")).await;
    }
    let said = "because the embedding service answers as `m-";
    let found = place.until(("helper", "hound"), |found| found.notes.join("").contains(said)).await;
    assert_eq!(found.hits.len(), 10);
}

#[tokio::test]
async fn what_one_text_is_refused_for_keeps_no_other_from_its_vector() {
    let service = Service::start(|body: &Value| match inputs(body).iter().any(|text| text.contains("endless")) {
        true => Answer::Status(400, "too long"),
        false => right("m")(body),
    })
    .await;
    let place = place(&[("helper", &spec(&service.base_url, "model: m"))]).await;
    for n in 0..20 {
        place.note("helper", &format!("Hound number {n}.")).await;
    }
    place.note("helper", "An endless story about a villa.").await;
    let found = place.until(("helper", "canine"), |found| found.unmeasured == 1).await;
    assert_eq!(found.hits.len(), 10);
    assert!(found.notes[0].starts_with("vectors: 1 memories have none yet"), "{found:?}");
    assert_eq!(texts(&place.recall("helper", "story").await).first(), Some(&"An endless story about a villa."));
}

#[tokio::test]
async fn what_an_agent_may_not_know_is_not_sent_to_its_service() {
    let (own, others) = (Service::start(right("m")).await, Service::start(right("m")).await);
    let specs = [spec(&own.base_url, "model: m"), spec(&others.base_url, "model: m")];
    let place = place(&[("helper", &specs[0]), ("other", &specs[1]), ("plain", "{memory: {enabled: true}}")]).await;
    for agent in ["helper", "other", "plain"] {
        place.note(agent, &format!("A hound of {agent}.")).await;
    }
    for agent in ["helper", "other"] {
        let found = place.until((agent, "canine"), is_whole).await;
        assert_eq!(texts(&found), [format!("A hound of {agent}.")]);
    }
    let found = place.recall("plain", "canine").await;
    assert_eq!((texts(&found).len(), found.notes.len()), (0, 0));
    for (service, agent) in [(&own, "helper"), (&others, "other")] {
        let sent = service.texts();
        assert!(sent.iter().all(|text| text == "canine" || *text == format!("A hound of {agent}.")), "{sent:?}");
    }
    let nobody = RecallQuery { text: "hound".to_owned(), limit: 9, ..RecallQuery::default() };
    let found = place.runtime.recall(nobody).await.unwrap();
    let said = "vectors: unavailable because agents name different embedding services: say which agent asks; found by words alone";
    assert_eq!((found.hits.len(), found.notes), (3, vec![said.to_owned()]));
}

#[tokio::test]
async fn what_is_known_to_be_secret_is_in_no_question() {
    let service = Service::start(right("m")).await;
    let place = place(&[("helper", &spec(&service.base_url, "model: m, api_key_env: GH_TOKEN"))]).await;
    let agent: AgentName = "helper".parse().unwrap();
    place.runtime.agents().card(&agent).unwrap();
    let found = place.recall("helper", "whose key is gho_16C7e42F292c6912E7").await;
    assert!(found.notes.is_empty() && found.hits.is_empty());
    assert!(service.texts().len() == 1 && !service.texts()[0].contains("gho_16C7"), "{:?}", service.texts());
}
