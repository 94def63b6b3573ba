//! The server dies around each line of a schedule's journal: each attempt of a run says its message once, and ends.

use outlive_core::event::Line;

use super::*;

const TYPES: [&str; 9] = super::ELSEWHERE;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_around_any_line_of_a_schedule_each_run_is_said_once_and_ends() {
    let points = ["before", "written", "synced"].into_iter().flat_map(|moment| TYPES.map(|what| (moment, what)));
    let mut running = JoinSet::new();
    for (moment, what) in points {
        running.spawn(async move { killed_around(moment, what).await });
        while running.len() >= 3 {
            running.join_next().await.unwrap().unwrap();
        }
    }
    while let Some(done) = running.join_next().await {
        done.unwrap();
    }
}

async fn killed_around(moment: &str, what: &str) {
    let house = House::new();
    let point = format!("{moment}:{what}");
    let server = house.serve_with(Some(&point)).await.unwrap();
    tokio::time::timeout(Duration::from_secs(120), story(&server)).await.unwrap_or_else(|_| panic!("{point}"));
    server.gone().await;
    assert!(server.was_killed(), "nothing led to {point}");
    let is_there = lines(&house).iter().any(|entry| entry.event.name() == what);
    assert!(is_there || moment != "synced", "{point}: what was written is gone");
    let server = house.serve().await;
    let began = Instant::now();
    loop {
        let all = server.get("/schedules").await;
        assert!(all["aside"].is_null(), "{point}: {all}");
        let items = all["items"].as_array().unwrap().clone();
        for item in &items {
            let route = format!("/schedules/{}/pause", item["id"].as_str().unwrap());
            server.ask("POST", &route, Some(json!({}))).await;
        }
        if items.iter().all(|item| item["runs"].as_array().unwrap().iter().all(|run| run["status"] == "queued")) {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{point}: {all}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let entries = lines(&house);
    let started = |entry: &Entry| if let Event::RunStarted(it) = &entry.event { Some(it.clone()) } else { None };
    for started in entries.iter().filter_map(started) {
        assert_eq!(started.attempt, 1, "{point}");
        let said = server.get(&format!("/sessions/{}/messages", started.session)).await;
        let said = said["items"].as_array().unwrap().iter().filter(|item| item["role"] == "user").count();
        assert_eq!(said, 1, "{point}: {started:?}");
        let is_its_end = |entry: &&Entry| matches!(&entry.event, Event::RunEnded(end) if end.run == started.run);
        assert_eq!(entries.iter().filter(is_its_end).count(), 1, "{point}: {started:?}");
    }
}

/// Leads to every kind of line, unless the server is gone before.
async fn story(server: &Server) {
    let plan = json!({"every": "1h", "agent": "worker", "message": "help", "overlap": "queue"});
    let Some((201, made)) = server.ask("POST", "/schedules", Some(plan.clone())).await else { return };
    let route = format!("/schedules/{}", made["id"].as_str().unwrap());
    let mut plan = plan;
    plan["every"] = "2h".into();
    server.ask("PUT", &route, Some(plan)).await;
    for what in ["pause", "resume", "run", "run", "run"] {
        server.ask("POST", &format!("{route}/{what}"), Some(json!({}))).await;
    }
    let missed = json!({"at": "2020-01-01T00:00:00Z", "agent": "worker", "message": "help", "overdue": "skip"});
    server.ask("POST", "/schedules", Some(missed)).await;
    while let Some((200, shown)) = server.ask("GET", &route, None).await
        && shown["counts"]["done"] != 3
    {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    server.ask("DELETE", &route, None).await;
}

/// All lines of all schedules that are whole.
fn lines(house: &House) -> Vec<Entry> {
    let Ok(folders) = std::fs::read_dir(house.root().join("schedules")) else { return Vec::new() };
    let texts = folders.flatten().filter_map(|folder| std::fs::read(folder.path().join("events.jsonl")).ok());
    let whole = |text: Vec<u8>| {
        let lines = text.split_inclusive(|byte| *byte == b'\n').filter_map(|line| line.strip_suffix(b"\n"));
        lines.map(|line| Line::check(line).and_then(|line| line.read()).unwrap()).collect::<Vec<Entry>>()
    };
    texts.flat_map(whole).collect()
}
