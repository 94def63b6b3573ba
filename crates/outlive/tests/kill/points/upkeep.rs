//! Stories of what goes on by itself: a conversation is condensed, things are remembered, a loop goes round.

use super::*;

impl Talk {
    pub(super) async fn condense(&self) {
        let session = self.create("worker").await;
        for _ in 0..8 {
            self.say(&session, "help").await;
            self.until(&session, "idle").await;
        }
        self.post(&session, "compact", json!({})).await;
        let route = format!("/sessions/{session}/checkpoints");
        while let Some((200, made)) = self.server.ask("GET", &route, None).await
            && made["compacting"] == true
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(super) async fn remember(&self) {
        let session = self.create("minds").await;
        self.say(&session, "my dog is called Bramble").await;
        self.until(&session, "idle").await;
        let route = format!("/sessions/{session}/events?after=0&limit=1000");
        let is_noted = |page: &Value| page.to_string().contains("memory.observed");
        while let Some((200, page)) = self.server.ask("GET", &route, None).await
            && !is_noted(&page)
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let added = json!({"text": "the cat is called Willow-Wisp", "session": session, "request_id": "added"});
        let Some((201, noted)) = self.server.ask("POST", "/memory", Some(added)).await else { return };
        let memory = format!("/memory/{}", noted["memory"]["id"].as_str().unwrap());
        let edited = json!({"text": "the cat is called Thistledown"});
        self.server.ask("PATCH", &memory, Some(edited)).await;
        self.say(&session, "help").await;
        self.until(&session, "idle").await;
        self.server.ask("DELETE", &memory, Some(json!({}))).await;
        // Erasing may take longer than its answer.
        let is_erased = |page: &Value| page.to_string().contains("memory.erased");
        while let Some((200, page)) = self.server.ask("GET", &route, None).await
            && !is_erased(&page)
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
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
}
