//! Budgets and prices from the outside: files that are written, commands that are typed, what they say.

use super::Home;
use serde_json::Value;

/// A price for the rehearsal, so that it has something to cost.
const PRICED: &str = "models:\n  rehearsal/*:\n    context_window: 5000\n    price: {input: 1000, output: 1000}\n";

impl Home {
    fn budgeted(&self, name: &str, budget: &str) {
        let yaml = format!(
            "apiVersion: outlive/v1\nkind: Agent\nmetadata: {{name: {name}}}\nspec:\n  model: {{provider: rehearsal, name: \
             instant}}\n  tools: [{{builtin: files}}]\n  budget: {budget}\n"
        );
        self.write(&format!("agents/{name}/agent.yaml"), &yaml);
    }

    fn newest(&self) -> Value {
        let listed: Value = serde_json::from_str(&self.check(&["session", "list", "--json"], 0, "")).unwrap();
        let session = listed["items"][0]["id"].as_str().unwrap().to_owned();
        serde_json::from_str(&self.check(&["session", "show", &session, "--json"], 0, "")).unwrap()
    }
}

#[test]
fn a_turn_says_what_it_took_and_a_session_what_it_came_to() {
    let home = Home::new();
    home.write("models.yaml", PRICED);
    home.budgeted("paid", "{}");
    let said = home.check(&["run", "-a", "paid", "help"], 0, "outlive: ↑");
    assert!(said.contains(" tokens · $"), "{said}");
    let view = home.newest();
    let (session, spent) = (view["id"].as_str().unwrap().to_owned(), &view["spent"]);
    assert_eq!((&spent["steps"], &spent["priced_steps"]), (&1.into(), &1.into()));
    let tokens = spent["tokens"].as_u64().unwrap();
    let cost = spent["cost"].as_f64().unwrap();
    assert!((cost - tokens as f64 / 1_000.0).abs() < 1e-9, "{tokens} tokens cost {cost}");
    home.check(&["session", "show", &session], 0, &format!("spent     {tokens} tokens in 1 steps, $"));
    home.check(&["run", "-a", "paid", "--json", "help"], 0, "\"priced_steps\":1");
    home.check(&["model", "list"], 0, "rehearsal/script  window 5000  $1000 in, $1000 out a million");
}

#[test]
fn a_budget_ends_the_turn_and_says_how_to_go_on_before_and_after_a_restart() {
    let home = Home::new();
    home.budgeted("tight", "{session: {steps: 1}}");
    home.check(&["run", "-a", "tight", "help"], 0, "I understand");
    let session = home.newest()["id"].as_str().unwrap().to_owned();
    let why = "the budget of the session does not last for another step: 1 of 1 steps used, and the next step may take 1; go \
               on in a new session, or raise `spec.budget.session.steps` in agent.yaml";
    home.check(&["run", "-s", &session, "help"], 1, why);
    home.check(&["serve", "--stop"], 0, "");
    home.check(&["run", "-s", &session, "help"], 1, why);
    let view = home.newest();
    assert_eq!(view["last_turn"]["error"]["code"], "budget_exceeded");
    home.check(&["session", "show", &session], 0, "last turn failed: the budget of the session");
    home.budgeted("tight", "{session: {steps: 2}}");
    home.check(&["run", "-s", &session, "help"], 0, "I understand");
}

#[test]
fn the_day_of_the_workspace_holds_for_all_agents_and_through_a_restart() {
    let home = Home::new();
    home.write("outlive.yaml", "budget: {day: {steps: 2}}\n");
    home.budgeted("one", "{}");
    home.budgeted("two", "{}");
    home.check(&["run", "-a", "one", "help"], 0, "I understand");
    home.check(&["run", "-a", "two", "help"], 0, "I understand");
    home.check(&["run", "-a", "one", "help"], 1, "the budget of the workspace's day does not last");
    home.check(&["serve", "--stop"], 0, "");
    home.check(&["run", "-a", "two", "help"], 1, "raise `budget.day.steps` in outlive.yaml");
}

#[test]
fn a_list_of_models_that_is_wrong_stops_nothing_and_is_told_everywhere() {
    let home = Home::new();
    home.budgeted("dear", "{turn: {usd: 0.01}}");
    home.check(&["run", "-a", "dear", "help"], 0, "$0");
    // Without a restart: a step of it costs dollars now.
    home.write("models.yaml", PRICED);
    home.check(&["run", "-a", "dear", "help"], 1, "$0 of $0.0100 used, and the next step may take $");
    let wrong = "models:\n  rehearsal/*:\n    price: {input: -3, output: 1}\n";
    home.write("models.yaml", wrong);
    let why = "models.yaml:3:13: models.rehearsal/*.price.input: is 0 to 10000 US dollars for a million tokens, not -3";
    home.check(&["agent", "show", "dear"], 0, why);
    home.check(&["model", "list"], 0, why);
    home.check(&["doctor"], 1, why);
    home.check(&["run", "-a", "dear", "help"], 1, "$0 of $0.0100 used");
    home.write("models.yaml", "modls: {}\n");
    home.check(&["doctor"], 1, "models.yaml:1:1: unknown key `modls`: the nearest is `models`");
    home.write("outlive.yaml", "budget: {day: {usd: 0}}\n");
    home.check(&["serve", "--stop"], 0, "");
    home.check(&["session", "list"], 2, "outlive.yaml:1:16: budget.day.usd: is an amount in US dollars above 0");
}
