//! What goes on by itself: conversations are condensed, what was said is remembered, some of it goes wrong, a loop goes round.

use super::*;

impl Talk {
    pub(super) async fn condense(&self) {
        let session = self.create("worker").await;
        self.talk_a_while(&session).await;
        self.post(&session, "compact", json!({})).await;
        self.until_condensed(&session).await;
    }

    pub(super) async fn remember(&self) {
        let session = self.create("minds").await;
        self.say(&session, "my dog is called Bramble").await;
        self.until(&session, "idle").await;
        self.until_written(&session, "memory.observed").await;
        let added = json!({"text": "the cat is called Willow-Wisp", "session": session, "request_id": "added"});
        let Some((201, noted)) = self.server.ask("POST", "/memory", Some(added)).await else { return };
        let memory = format!("/memory/{}", noted["memory"]["id"].as_str().unwrap());
        let edited = json!({"text": "the cat is called Thistledown"});
        self.server.ask("PATCH", &memory, Some(edited)).await;
        self.say(&session, "help").await;
        self.until(&session, "idle").await;
        self.server.ask("DELETE", &memory, Some(json!({}))).await;
        // Erasing may take longer than its answer.
        self.until_written(&session, "memory.erased").await;
    }

    /// Two notes that begin alike become one.
    pub(super) async fn reflect(&self) {
        let session = self.create("minds").await;
        // It takes part from its first turn on.
        self.say(&session, "help").await;
        self.until(&session, "idle").await;
        for text in ["the cat is called Willow-Wisp", "the cat is fond of milk"] {
            let added = json!({"text": text, "session": session, "request_id": text});
            self.server.ask("POST", "/memory", Some(added)).await;
        }
        self.server.ask("POST", "/memory/reflect", Some(json!({"session": session}))).await;
    }

    /// Events alone make the checkpoint then, and what was not noted is looked at later.
    pub(super) async fn helpless(&self) {
        let session = self.create("helpless").await;
        self.say(&session, "my dog is called Bramble").await;
        self.until_written(&session, "memory.failed").await;
        self.talk_a_while(&session).await;
        self.post(&session, "compact", json!({})).await;
        self.until_condensed(&session).await;
    }

    pub(super) async fn cancel(&self) {
        let session = self.create("silent").await;
        self.talk_a_while(&session).await;
        self.post(&session, "compact", json!({})).await;
        let route = format!("/sessions/{session}/checkpoints");
        self.server.ask("POST", &route, Some(json!({"action": "cancel"}))).await;
        self.until_condensed(&session).await;
    }

    pub(super) async fn narrow(&self) {
        let session = self.create("narrow").await;
        self.say(&session, &"much is said here. ".repeat(1_000)).await;
        self.until(&session, "idle").await;
    }

    pub(super) async fn prune(&self) {
        let session = self.create("listing").await;
        for _ in 0..8 {
            self.say(&session, "run seq 2000").await;
            self.until(&session, "idle").await;
        }
        self.say(&session, "help").await;
        self.until(&session, "idle").await;
    }

    pub(super) async fn iterate(&self) {
        let session = self.create("worker").await;
        // It passes at the third iteration, whatever is run again.
        let run = "echo x >> grown; test $(wc -l < grown) -ge 3";
        let body = json!({"goal": "help", "checks": [{"name": "grown", "run": run}], "iterations": 9});
        self.post(&session, "loop", body).await;
        let route = format!("/sessions/{session}");
        while let Some((200, view)) = self.server.ask("GET", &route, None).await
            && view["loop"]["exit"].is_null()
            && view["loop"].is_object()
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// What its script does may be done twice: which attempt a death has cut short is another matter.
    pub(super) async fn relay(&self) {
        let session = self.create("worker").await;
        let look =
            json!({"name": "look", "kind": "poll", "command": "test -e packed", "interval": "1s", "next": "rest"});
        let states = |rest: &str| {
            json!([
                {"name": "pack", "kind": "script", "command": "touch packed", "effect": "idempotent", "next": "look"},
                look.clone(),
                {"name": "rest", "kind": "timer", "after": rest, "next": "ask"},
                {"name": "ask", "kind": "park", "question": "Fine?", "next": "done"},
                {"name": "done", "kind": "terminal", "outcome": "completed"},
            ])
        };
        let definition = |rest: &str| json!({"name": "trip", "prompt": "help", "states": states(rest)});
        self.post(&session, "relay", json!({"action": "start", "definition": definition("5ms")})).await;
        self.until(&session, "asking").await;
        let redefine = json!({"action": "redefine", "reason": "slower", "definition": definition("10ms")});
        self.post(&session, "relay", redefine).await;
        self.answer_all(&session).await;
        self.until(&session, "idle").await;
        self.post(&session, "relay", json!({"action": "reopen", "reason": "again", "state": "rest"})).await;
        self.until(&session, "asking").await;
        self.answer_all(&session).await;
        self.until(&session, "idle").await;
    }

    async fn answer_all(&self, session: &str) {
        let route = format!("/sessions/{session}/questions");
        let Some((200, open)) = self.server.ask("GET", &route, None).await else { return };
        for question in open["items"].as_array().into_iter().flatten() {
            let Some(id) = question["question"].as_str() else { continue };
            self.post(session, &format!("questions/{id}"), json!({"answers": ["fine"]})).await;
        }
    }

    /// One wait is put off and comes, one is ended by its signal.
    pub(super) async fn wait(&self) {
        let session = self.create("worker").await;
        self.post(&session, "waits", json!({"reason": "the post", "for": "1h"})).await;
        self.post(&session, "waits", json!({"reason": "the reply", "signal": "reply"})).await;
        self.post(&session, "signals", json!({"name": "reply", "payload": {"text": "help"}})).await;
        self.until(&session, "sleeping").await;
        let Some((200, waits)) = self.server.ask("GET", &format!("/waits?session={session}"), None).await else {
            return;
        };
        let Some(wait) = waits["items"][0]["id"].as_str() else { return };
        self.server.ask("POST", &format!("/waits/{wait}/move"), Some(json!({"for": "1ms"}))).await;
        self.until(&session, "idle").await;
    }

    /// Who hears has it; who is deaf is tried again, then let be.
    pub(super) async fn be_told(&self) {
        let session = self.create("told").await;
        self.say(&session, "help").await;
        self.until_written(&session, "notice.delivered").await;
        self.until_written(&session, "notice.failed").await;
        let Some((200, left)) = self.server.ask("GET", "/notices", None).await else { return };
        let Some(notice) = left["items"][0]["id"].as_str() else { return };
        for what in ["retry", "drop"] {
            self.server.ask("POST", &format!("/notices/{notice}/{what}"), Some(json!({}))).await;
        }
    }

    async fn talk_a_while(&self, session: &str) {
        let much = format!("help: {}", "what is said at length. ".repeat(80));
        for _ in 0..10 {
            self.say(session, &much).await;
            self.until(session, "idle").await;
        }
    }

    /// Waits until nothing is condensed, or the server is gone.
    async fn until_condensed(&self, session: &str) {
        let route = format!("/sessions/{session}/checkpoints");
        while let Some((200, made)) = self.server.ask("GET", &route, None).await
            && made["compacting"] == true
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until the journal has such an event, or the server is gone.
    async fn until_written(&self, session: &str, kind: &str) {
        let route = format!("/sessions/{session}/events?after=0&limit=1000");
        while let Some((200, page)) = self.server.ask("GET", &route, None).await
            && !page.to_string().contains(kind)
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
