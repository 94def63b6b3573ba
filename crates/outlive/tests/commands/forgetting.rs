//! What is forgotten is in no file of the workspace, by its bytes.

use serde_json::Value;

use super::Home;

/// Said in what is noted, and nowhere else.
const SAID: &str = "My zugzwang is the borborygmus of a flibbertigibbet";
const ADDED: &str = "The gallimaufry of Ada keeps a quinquennium of mumpsimus";
const SHORT: &str = "Ada: Kerfuffle";
const WORDS: [&str; 8] =
    ["zugzwang", "borborygmus", "flibbertigibbet", "gallimaufry", "quinquennium", "mumpsimus", "Kerfuffle", "kerfuffl"];

/// What is remembered that says this, once it is noted.
fn noted(home: &Home, text: &str) -> String {
    for _ in 0..600 {
        let listed: Value = serde_json::from_str(&home.check(&["memory", "list", "--json"], 0, "")).unwrap();
        if let Some(row) = listed["items"].as_array().unwrap().iter().find(|row| row["text"] == text) {
            return row["id"].as_str().unwrap().to_owned();
        }
    }
    unreachable!("`{text}` is not noted")
}

fn sessions(home: &Home) -> Vec<String> {
    let listed: Value = serde_json::from_str(&home.check(&["session", "list", "--json"], 0, "")).unwrap();
    listed["items"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn what_was_noted_and_recalled_and_forgotten_is_in_no_file_of_the_workspace() {
    let home = Home::new();
    let spec = "{model: {provider: rehearsal, name: instant}, memory: {enabled: true}}";
    let yaml = format!("apiVersion: outlive/v1\nkind: Agent\nmetadata: {{name: minds}}\nspec: {spec}\n");
    home.write("agents/minds/agent.yaml", &yaml);
    home.write("agents/minds/policy.yaml", "mode: dangerous\n");
    home.check(&["run", "-a", "minds", SAID], 0, "");
    let add = |text: &str| home.check(&["memory", "add", text, "--agent", "minds"], 0, "mem_");
    add(ADDED);
    let memories = [noted(&home, SAID), noted(&home, ADDED)];
    home.check(&["run", "-a", "minds", "call recall {\"query\": \"What of Ada and mine?\"}"], 0, "gallimaufry");
    home.check(&["memory", "search", "What of Ada?"], 0, "mumpsimus");
    // One that lies in the trash, and a backup that nobody can erase from.
    let before = sessions(&home);
    home.check(&["run", "-a", "minds", SAID], 0, "");
    let discarded = sessions(&home).into_iter().find(|session| !before.contains(session)).unwrap();
    home.check(&["session", "delete", &discarded], 0, "");
    let archive = home.0.path().join("made.tar").display().to_string();
    home.check(&["backup", &archive], 0, "a good backup");
    home.check(&["memory", "forget", &memories[1], "--dry-run"], 0, "would be forgotten");
    assert!(!home.holding(&["mumpsimus"]).is_empty(), "nothing was done");
    home.check(&["memory", "forget", &memories[0]], 0, "--sources` has it go, too");
    home.check(&["memory", "forget", &memories[0]], 0, &format!("backup {archive} may hold its words"));
    // What is forgotten can be forgotten with its sources, also later.
    add(SHORT);
    for memory in memories.iter().chain([&noted(&home, SHORT)]) {
        home.check(&["memory", "forget", memory, "--sources"], 0, "no line of any journal holds its words");
    }
    assert_eq!(home.holding(&WORDS), [] as [String; 0], "once it is said to be erased, it is");
    home.check(&["serve", "--stop"], 0, "");
    assert_eq!(home.holding(&WORDS), [] as [String; 0]);
    home.check(&["memory", "search", "What of Ada?"], 0, "");
    home.check(&["verify"], 0, "");
    assert_eq!(home.holding(&WORDS), [] as [String; 0]);
}
