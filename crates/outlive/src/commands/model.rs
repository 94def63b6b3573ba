//! Looks at models: what the providers offer to the keys that are here, and what one of them can really do.

mod extras;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use outlive_core::catalogue::{Capability, Catalogue, Entry};
use outlive_core::content::{Block, Failure as Refusal, Message, Reply, ReplyBlock, Request, Role, ToolSpec};
use outlive_core::id::CallId;
use outlive_model::Model;
use serde::Serialize;
use serde_json::json;

use crate::cli::{Model as Command, ModelTest};
use crate::config::Workspace;
use crate::config::models::ModelList;
use crate::exit::{Failure, Outcome, ok};
use crate::{show, wire};

/// How long a provider may take to answer.
const PATIENCE: Duration = Duration::from_secs(120);

/// What one provider offers, or why that cannot be told.
#[derive(Debug, Serialize)]
struct Offer {
    provider: &'static str,
    models: Vec<String>,
    /// What is known of those of them of which anything is.
    known: Vec<Known>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

/// What is known of a model.
#[derive(Debug, Serialize)]
struct Known {
    model: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    context_window: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u32>,
    /// In US dollars for a million tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    price: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    capabilities: Option<Vec<Capability>>,
}

/// One thing that a model was asked to do.
#[derive(Debug, Serialize)]
struct Probe {
    what: &'static str,
    works: bool,
    /// Whether an agent cannot do without.
    needed: bool,
    found: String,
}

pub async fn run(place: &Workspace, command: Command) -> Outcome {
    match command {
        Command::List(json) => list(place, json.json).await,
        Command::Test(test) => self::test(place, test).await,
    }
}

async fn list(place: &Workspace, json: bool) -> Outcome {
    let listed = ModelList::of(&place.root).now();
    let mut offers = Vec::new();
    for provider in outlive_model::PROVIDERS {
        let offered = match wire::model(&format!("{provider}/any"), (None, None), &listed.catalogue) {
            Ok(model) => patiently(model.offered()).await.map_err(|failure| failure.message),
            Err(why) => Err(why),
        };
        let (models, problem) = offered.map_or_else(|why| (Vec::new(), Some(why)), |models| (models, None));
        let known =
            models.iter().filter_map(|model| Known::of(&listed.catalogue, &format!("{provider}/{model}"))).collect();
        offers.push(Offer { provider, models, known, problem });
    }
    if json {
        show::json(&json!({ "items": offers, "warning": listed.warning }))?;
        return ok();
    }
    if let Some(warning) = listed.warning {
        eprintln!("outlive: {warning}");
    }
    offers.iter().for_each(Offer::say);
    ok()
}

impl Offer {
    fn say(&self) {
        let names = self.models.iter().map(|model| format!("{}/{model}", self.provider));
        let width = names.clone().map(|name| name.len()).max().unwrap_or(0);
        for name in names {
            let known = self.known.iter().find(|known| known.model == name).map(Known::shown).unwrap_or_default();
            say!("{}", format!("{name:width$}  {known}").trim_end());
        }
        if let Some(problem) = &self.problem {
            say!("{}: {problem}", self.provider);
        }
    }
}

impl Known {
    fn of(catalogue: &Catalogue, model: &str) -> Option<Self> {
        let entry = catalogue.entry(model);
        let usd = |nano: u64| nano as f64 / 1e9;
        let price = entry.prices.map(|prices| {
            let mut price = json!({
                "input": usd(prices.input), "output": usd(prices.output),
                "cache_read": usd(prices.cache_read), "cache_write": usd(prices.cache_write),
            });
            if let Some(above) = prices.above {
                price["above"] = json!({
                    "tokens": above.tokens, "input": usd(above.input), "output": usd(above.output),
                    "cache_read": usd(above.cache_read), "cache_write": usd(above.cache_write),
                });
            }
            price
        });
        (entry != Entry::default()).then(|| Self {
            model: model.to_owned(),
            context_window: entry.context_window,
            max_output_tokens: entry.max_output_tokens,
            price,
            capabilities: entry.capabilities,
        })
    }

    /// In one line: the window, and what a million tokens cost.
    fn shown(&self) -> String {
        let window = self.context_window.map(|tokens| format!("window {tokens}"));
        let price = self.price.as_ref().map(|price| match (price["input"].as_f64(), price["output"].as_f64()) {
            (Some(0.0), Some(0.0)) => "free".to_owned(),
            (input, output) => {
                format!("${} in, ${} out a million", input.unwrap_or_default(), output.unwrap_or_default())
            }
        });
        window.into_iter().chain(price).collect::<Vec<_>>().join("  ")
    }
}

async fn test(place: &Workspace, test: ModelTest) -> Outcome {
    let known = ModelList::of(&place.root).now();
    let model = wire::model(&test.name, (test.base_url, test.api_key_env.as_deref()), &known.catalogue);
    let model = model.map_err(Failure::Usage)?;
    let mut probes = probe(&*model).await;
    if probes.iter().any(|probe| probe.works) {
        probes.extend(extras::probe(&*model).await);
    }
    if test.json {
        show::json(&json!({ "model": test.name, "probes": probes }))?;
    } else {
        for probe in &probes {
            let works = match (probe.works, probe.needed) {
                (true, _) => "ok ",
                (false, true) => "NO ",
                (false, false) => "-  ",
            };
            say!("{works} {:<17} {}", probe.what, probe.found);
        }
    }
    if probes.iter().all(|probe| probe.works || !probe.needed) {
        ok()
    } else {
        Err(Failure::Failed(format!("{} cannot do everything that an agent needs; see above", test.name)))
    }
}

async fn patiently<T>(asked: impl Future<Output = Result<T, Refusal>>) -> Result<T, Refusal> {
    let silent = |_| {
        let message = format!("no answer within {} s", PATIENCE.as_secs());
        Refusal { kind: outlive_core::content::FailureKind::Timeout, message, retry_after_ms: None }
    };
    tokio::time::timeout(PATIENCE, asked).await.map_err(silent)?
}

/// Asks for one thing after another; what builds on something that failed is not tried.
async fn probe(model: &dyn Model) -> Vec<Probe> {
    let mut probes = Vec::new();
    let mut note = |what, (works, found): (bool, String)| probes.push(Probe { what, works, needed: true, found });
    let said = vec![user("help: say in a few words who you are")];
    let (answer, pieces) = ask(model, said).await;
    match &answer {
        Err(failure) => {
            note("answers", (false, failure.message.clone()));
            return probes;
        }
        Ok(reply) => {
            note("answers", (!texts(reply).is_empty(), beginning(&texts(reply))));
            note("streams", (pieces > 1, format!("{pieces} pieces")));
            let (tokens, cached) = (reply.usage.output_tokens, reply.usage.cache_read_tokens);
            note(
                "tells its usage",
                (tokens > 0, format!("{} in, {tokens} out, {cached} cached", reply.usage.all_input())),
            );
        }
    }
    let asked = user("read ping.txt");
    let (called, _) = ask(model, vec![Arc::clone(&asked)]).await;
    note("calls a tool", calls(&called, 1));
    if let Ok(reply) = &called
        && let Some(told) = results(reply)
    {
        let (after, _) = ask(model, [vec![asked], told].concat()).await;
        let read = after.map(|reply| texts(&reply)).map_err(|failure| failure.message);
        note("takes a result", read.map_or_else(|why| (false, why), |text| (!text.is_empty(), beginning(&text))));
    }
    let (called, _) = ask(model, vec![user("parallel read a.txt, b.txt: both in one step")]).await;
    note("calls in parallel", calls(&called, 2));
    probes
}

fn user(text: &str) -> Arc<Message> {
    Arc::new(Message { role: Role::User, content: vec![Block::Text { text: text.to_owned() }] })
}

async fn ask(model: &dyn Model, messages: Vec<Arc<Message>>) -> (Result<Reply, Refusal>, usize) {
    answer(model, request(messages)).await
}

fn request(messages: Vec<Arc<Message>>) -> Request {
    let read = ToolSpec {
        name: "read".to_owned(),
        description: "Reads a file.".to_owned(),
        input_schema: json!({
            "type": "object",
            "properties": {"path": {"type": "string"}},
            "required": ["path"],
            "additionalProperties": false
        }),
    };
    Request {
        system: vec!["You are being tried out. Use the tool when you are told to read a file.".to_owned()].into(),
        tools: vec![read].into(),
        messages,
        max_output_tokens: 2_048,
        ..Request::default()
    }
}

/// Asks, and counts the pieces in which the answer comes.
async fn answer(model: &dyn Model, request: Request) -> (Result<Reply, Refusal>, usize) {
    let pieces = Arc::new(AtomicUsize::new(0));
    let heard = Arc::clone(&pieces);
    let sink = Arc::new(move |_delta| {
        heard.fetch_add(1, Ordering::Relaxed);
    });
    let reply = patiently(model.stream(request, sink)).await;
    (reply, pieces.load(Ordering::Relaxed))
}

fn texts(reply: &Reply) -> String {
    let text = |block: &ReplyBlock| if let ReplyBlock::Text(text) = block { Some(text.clone()) } else { None };
    reply.content.iter().filter_map(text).collect::<Vec<_>>().join(" ").trim().to_owned()
}

fn beginning(text: &str) -> String {
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() > 60 { format!("{}…", line.chars().take(60).collect::<String>()) } else { line }
}

fn used(reply: &Reply) -> Vec<(String, serde_json::Value)> {
    let call = |block: &ReplyBlock| match block {
        ReplyBlock::ToolUse { name, arguments } => Some((name.clone(), serde_json::from_str(arguments).ok()?)),
        ReplyBlock::Text(_) | ReplyBlock::Thinking { .. } | ReplyBlock::RedactedThinking(_) => None,
    };
    reply.content.iter().filter_map(call).collect()
}

fn calls(reply: &Result<Reply, Refusal>, least: usize) -> (bool, String) {
    match reply {
        Err(failure) => (false, failure.message.clone()),
        Ok(reply) => {
            let called = used(reply);
            let shown: Vec<String> = called.iter().map(|(name, arguments)| format!("{name} {arguments}")).collect();
            let found =
                if shown.is_empty() { format!("it said: {}", beginning(&texts(reply))) } else { shown.join(", ") };
            (called.len() >= least, found)
        }
    }
}

/// Returns the reply as a message, and the results of its calls as the next one.
fn results(reply: &Reply) -> Option<Vec<Arc<Message>>> {
    let (mut said, mut told) = (Vec::new(), Vec::new());
    for block in &reply.content {
        match block {
            ReplyBlock::Text(text) => said.push(Block::Text { text: text.clone() }),
            ReplyBlock::Thinking { thinking, signature } => {
                said.push(Block::Thinking { thinking: thinking.clone(), signature: signature.clone() });
            }
            ReplyBlock::RedactedThinking(data) => said.push(Block::RedactedThinking { data: data.clone() }),
            ReplyBlock::ToolUse { name, arguments } => {
                let id = CallId::from_bits(told.len() as u128 + 1);
                let input = serde_json::from_str(arguments).ok()?;
                said.push(Block::ToolUse { id, name: name.clone(), input, malformed: None });
                told.push(Block::ToolResult { id, content: "pong".to_owned(), is_error: false });
            }
        }
    }
    let message = |role, content| Arc::new(Message { role, content });
    (!told.is_empty()).then(|| vec![message(Role::Assistant, said), message(Role::User, told)])
}
