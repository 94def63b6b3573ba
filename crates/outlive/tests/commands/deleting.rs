//! What is deleted lies in the trash, whole; what is deleted for good is in no file of the workspace, by its bytes, also when
//! the server is killed in the middle of it.

use std::path::{Path, PathBuf};

use super::{Home, OUTLIVE};

/// Said in a session that is deleted, and nowhere else. Some are written otherwise in JSON.
const WORDS: [&str; 20] = [
    "zugzwang",
    "rigmarole",
    "quinquennium",
    "flibbertigibbet",
    "gallimaufry",
    "kerfuffle",
    "Widdershins",
    "naïveté",
    "borborygmus",
    "snollygoster",
    "taradiddle",
    "callipygian",
    "mumpsimus",
    "\"absquatulate\"",
    "tab\tbed",
    "back\\slash",
    "ωμέγα",
    "lackadaisical",
    "ultracrepidarian",
    "pandiculation",
];

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let all = entries.filter_map(Result::ok).map(|entry| entry.path());
    all.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// A word as it may stand in a file: as it was said, in JSON, as a search keeps it.
fn forms(word: &str) -> Vec<String> {
    let quoted = serde_json::to_string(word).unwrap();
    let plain = word.to_lowercase().replace('ï', "i").replace('é', "e").replace('έ', "ε");
    let longest =
        plain.split(|c: char| !c.is_alphanumeric()).max_by_key(|part| part.len()).unwrap_or_default().to_owned();
    let parts = if longest.len() > 6 { vec![longest] } else { Vec::new() };
    [vec![word.to_owned(), quoted[1..quoted.len() - 1].to_owned(), word.to_lowercase(), plain], parts].concat()
}

impl Home {
    /// Every file of the workspace that holds one of the words, in any form.
    pub(super) fn holding(&self, words: &[&str]) -> Vec<String> {
        let sought: Vec<String> = words.iter().flat_map(|word| forms(word)).collect();
        let mut found = Vec::new();
        for path in files(&self.0.path().join(".outlive")) {
            // What is no text stays no text: a word is found wherever its bytes are.
            let bytes = std::fs::read(&path).unwrap_or_default();
            let text = String::from_utf8_lossy(&bytes);
            let words: Vec<&String> = sought.iter().filter(|word| text.contains(word.as_str())).collect();
            if !words.is_empty() {
                found.push(format!("{}: {words:?}", path.display()));
            }
        }
        found
    }

    /// A home whose agent runs commands unasked.
    fn with_worker() -> Self {
        let home = Self::new();
        let spec = "{model: {provider: rehearsal, name: instant}, tools: [{builtin: bash}, {builtin: files}]}";
        let yaml = format!("apiVersion: outlive/v1\nkind: Agent\nmetadata: {{name: worker}}\nspec: {spec}\n");
        home.write("agents/worker/agent.yaml", &yaml);
        home.write("agents/worker/policy.yaml", "mode: dangerous\n");
        home
    }

    /// Says something to the worker; returns the new session.
    fn tell(&self, text: &str) -> String {
        self.check(&["run", "-a", "worker", text], 0, "");
        self.sessions(&["--sort", "-created"]).swap_remove(0)
    }

    fn events(&self, session: &str) -> String {
        self.check(&["session", "events", "--json", session], 0, "")
    }

    fn artifacts(&self) -> usize {
        files(&self.0.path().join(".outlive/artifacts")).len()
    }
}

#[test]
fn what_is_deleted_is_gone_and_comes_back_whole_and_what_is_deleted_for_good_leaves_no_byte() {
    let home = Home::with_worker();
    let print = "run seq 30000 | sed s/^/pandiculation-/";
    let kept = home.tell("a keepsake that stays");
    let gone = home.tell(&WORDS.join(" "));
    home.check(&["run", "-s", &gone, print], 0, "");
    home.check(&["run", "-s", &kept, "more of the keepsake"], 0, "");
    home.check(&["session", "rename", &gone, "Widdershins and the Kerfuffle"], 0, "");
    assert_eq!(home.artifacts(), 1);
    let (before, others) = (home.events(&gone), home.events(&kept));

    home.check(&["session", "delete", &gone], 0, "is in the trash");
    assert_eq!(home.sessions(&[]), std::slice::from_ref(&kept));
    home.check(&["search", "zugzwang"], 0, "nothing found");
    for command in [["session", "show"], ["session", "events"], ["session", "messages"], ["session", "delete"]] {
        home.check(&[command.as_slice(), &[&gone]].concat(), 3, "(session_not_found)");
    }
    home.check(&["attach", &gone], 3, "(session_not_found)");
    home.check(&["trash", "list"], 0, "Widdershins and the Kerfuffle");
    home.check(&["session", "list", "--trash"], 0, &gone);
    home.kill_server();
    home.check(&["session", "restore", &gone], 0, "titled Widdershins and the Kerfuffle");
    assert_eq!(home.events(&gone), before);
    home.check(&["search", "zugzwang"], 0, "zugzwang");
    home.check(&["verify"], 0, "");
    assert_eq!(home.sessions(&[]).len(), 2);

    home.check(&["session", "delete", "--for-good", &gone], 2, "say --yes");
    home.check(&["session", "delete", &gone], 0, "");
    home.check(&["session", "delete", "--for-good", "--yes", &gone], 0, "for good");
    assert_eq!(home.holding(&WORDS), [] as [String; 0]);
    assert_eq!((home.artifacts(), home.events(&kept)), (0, others));
    home.check(&["session", "restore", &gone], 3, "(session_not_found)");
    home.check(&["run", "-s", &kept, "and goes on"], 0, "");
    home.kill_server();
    home.check(&["search", "keepsake"], 0, "keepsake");
    assert_eq!(home.holding(&WORDS), [] as [String; 0]);
    home.check(&["verify"], 0, "");
}

#[test]
fn an_output_that_another_session_refers_to_stays_until_that_is_deleted_for_good_too() {
    let home = Home::with_worker();
    let print = "run seq 30000 | sed s/^/pandiculation-/";
    let sessions = [home.tell(print), home.tell(print)];
    assert_eq!(home.artifacts(), 1);
    home.check(&["session", "delete", "--for-good", "--yes", &sessions[0]], 0, "");
    assert_eq!(home.artifacts(), 1);
    home.check(&["session", "delete", &sessions[1]], 0, "");
    assert_eq!(home.artifacts(), 1);
    home.check(&["trash", "empty"], 2, "say --yes");
    home.check(&["trash", "empty", "--yes"], 0, "deleted 1 session for good");
    home.check(&["trash", "empty", "--yes"], 0, "the trash is empty");
    assert_eq!((home.artifacts(), home.holding(&["pandiculation"])), (0, vec![]));
}

#[test]
fn what_was_being_deleted_for_good_when_the_server_was_killed_is_gone_after_the_next_start() {
    let home = Home::with_worker();
    let kept = home.tell("a keepsake that stays");
    let trash = home.0.path().join(".outlive/trash");
    let is_marked = || files(&trash).iter().any(|path| path.extension().is_some_and(|end| end == "gone"));
    let mut caught = 0;
    for round in 0..12 {
        let gone = home.tell(&WORDS.join(" "));
        home.check(&["run", "-s", &gone, "run seq 30000 | sed s/^/pandiculation-/"], 0, "");
        if round % 2 == 0 {
            home.check(&["session", "delete", &gone], 0, "");
        }
        let others = home.events(&kept);
        let mut deleting = home.command(OUTLIVE);
        deleting.args(["session", "delete", "--for-good", "--yes", &gone]).stdout(std::process::Stdio::null());
        let mut deleting = deleting.stderr(std::process::Stdio::null()).spawn().unwrap();
        while !is_marked() && deleting.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        home.kill_server();
        deleting.wait().unwrap();
        caught += usize::from(is_marked());
        home.check(&["session", "show", &gone], 3, "(session_not_found)");
        assert_eq!(home.holding(&WORDS), [] as [String; 0], "round {round}");
        assert_eq!((home.events(&kept), home.artifacts(), is_marked()), (others, 0, false), "round {round}");
        if caught >= 3 {
            break;
        }
    }
    assert!(caught >= 1, "never killed in the middle");
}
