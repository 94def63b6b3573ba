//! What `session` shows, over sessions that a test makes up.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::Arc;

use outlive_core::event::Outcome;
use outlive_core::id::{AgentName, CallId, SessionId};
use outlive_core::limits::RESULT_BYTES;
use outlive_core::policy::{Closed, Reach};
use outlive_tools::registry::Toolbox;
use outlive_tools::session::{Part, Said, Sessions, Sibling, Siblings};
use outlive_tools::{Finished, Invocation, Pending, Place};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// Sessions 1 to 3 of `own`, and 4 of `other`; each says much.
struct Four;

fn id(n: u128) -> SessionId {
    SessionId::from_bits(n)
}

impl Siblings for Four {
    fn list(&self, agent: AgentName, _text: Option<String>, limit: usize) -> Pending<'_, Result<Vec<Sibling>, String>> {
        let all = if agent.as_str() == "own" { vec![1, 2, 3] } else { vec![4] };
        let sibling = |n| Sibling {
            session: id(n),
            title: format!("title\n{n}"),
            status: "idle".to_owned(),
            updated_at: "now".to_owned(),
        };
        Box::pin(std::future::ready(Ok(all.into_iter().take(limit).map(sibling).collect())))
    }

    fn read(&self, agent: AgentName, session: SessionId, part: Part) -> Pending<'_, Result<Vec<Said>, String>> {
        let is_own = session != id(4);
        if is_own != (agent.as_str() == "own") {
            return Box::pin(std::future::ready(Err("no such session".to_owned())));
        }
        let said = |seq| Said { seq, role: "user".to_owned(), text: "x".repeat(10_000) };
        Box::pin(std::future::ready(Ok((part.after + 1..=200).take(part.limit).map(said).collect())))
    }
}

fn tools() -> Toolbox {
    Toolbox::new(vec![Arc::new(Sessions::new(Arc::new(Four), "own".parse().unwrap()))])
}

async fn call(arguments: Value) -> (Reach, String, Finished) {
    let (tools, place) = (tools(), Place { cwd: "/".into(), roots: Vec::new(), protected: Vec::new() });
    let (tool, assessment) = tools.prepare("session", &arguments, &place).unwrap();
    let invocation = Invocation {
        session: id(1),
        call: CallId::from_bits(9),
        attempt: 1,
        idempotency_key: String::new(),
        arguments,
        place,
        ruled: None,
        closed: Closed::default(),
        sink: Arc::new(|_| {}),
        asker: outlive_tools::unheard(),
        stop: CancellationToken::new(),
    };
    (assessment.subject.reach, assessment.subject.target, tool.run(invocation).await)
}

#[tokio::test]
async fn its_own_agent_s_sessions_are_listed_without_itself() {
    let (reach, target, finished) = call(json!({})).await;
    assert_eq!((reach, target.as_str()), (Reach::Within, "own"));
    let lines: Vec<&str> = finished.content.lines().collect();
    assert_eq!(lines, [format!("{}  now  idle  title 2", id(2)), format!("{}  now  idle  title 3", id(3))]);
}

#[tokio::test]
async fn another_agent_s_sessions_are_asked_about_by_its_name_and_no_other_way() {
    let (reach, target, finished) = call(json!({"agent": "other", "id": id(4).to_string()})).await;
    assert_eq!((reach, target), (Reach::Beyond, format!("other/{}", id(4))));
    assert_eq!(finished.outcome, Outcome::Ok);
    for wrong in [json!({"id": id(4).to_string()}), json!({"agent": "other", "id": id(2).to_string()})] {
        assert_eq!(call(wrong).await.2.outcome, Outcome::Error);
    }
    let place = Place { cwd: "/".into(), roots: Vec::new(), protected: Vec::new() };
    for wrong in [json!({"id": "../x"}), json!({"agent": "A B"}), json!({"limit": 1_000}), json!({"id": ""})] {
        assert!(tools().prepare("session", &wrong, &place).is_err(), "{wrong}");
    }
}

#[tokio::test]
async fn what_was_said_is_shown_in_bounds_and_read_on() {
    let (_, _, finished) = call(json!({"id": id(2).to_string(), "limit": 100})).await;
    assert!(finished.content.len() <= RESULT_BYTES, "{}", finished.content.len());
    assert!(finished.content.starts_with("[what was said in session ") && finished.content.contains("untrusted"));
    assert!(finished.content.contains("[… cut]\n[go on with after: 7]\n["), "{}", &finished.content[27_000..]);
    let (_, _, end) = call(json!({"id": id(2).to_string(), "after": 198})).await;
    assert!(end.content.contains("--- 199 user") && !end.content.contains("go on with"));
    let (_, _, none) = call(json!({"id": id(2).to_string(), "after": 200})).await;
    assert!(none.content.contains("(nothing more was said)"));
}
