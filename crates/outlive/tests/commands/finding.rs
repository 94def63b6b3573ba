//! What was said is found again, from a terminal: after a kill, with the indexes deleted, and not once it is deleted.

use super::{Home, OUTLIVE};

impl Home {
    /// Kills the server as a power cut would.
    pub(crate) fn kill_server(&self) {
        let owner = outlive_store::files::lock::owner(&self.0.path().join(".outlive/run")).unwrap();
        let pid = rustix::process::Pid::from_raw(i32::try_from(owner.pid).unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    }

    pub(crate) fn sessions(&self, arguments: &[&str]) -> Vec<String> {
        let output = self.command(OUTLIVE).args(["session", "list", "--json"]).args(arguments).output().unwrap();
        let page: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        page["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
    }
}

#[test]
fn what_was_said_is_found_after_a_kill_and_without_its_indexes_and_not_once_it_is_deleted() {
    let home = Home::new();
    home.check(&["run", "the xylophone plays a quodlibet"], 0, "");
    home.check(&["run", "nothing of that kind"], 0, "");
    home.check(&["search", "xylophone", "QUOD*"], 0, "the xylophone plays a quodlibet");
    home.check(&["search", "--role", "tool", "xylophone"], 0, "nothing found");
    home.check(&["search", "\"plays xylophone\""], 0, "nothing found");
    home.check(&["search", "--json", "\" ^ ( * \u{1f44b}"], 0, "\"items\": []");
    home.check(&["search", "  "], 2, "q is empty");
    home.kill_server();
    home.check(&["search", "xylophone"], 0, "the xylophone plays");
    home.kill_server();
    for name in ["index.db", "search.db"] {
        std::fs::remove_file(home.0.path().join(".outlive").join(name)).unwrap();
    }
    home.check(&["reindex"], 0, "2 sessions can be listed and searched");
    home.check(&["search", "xylophone"], 0, "the xylophone plays");
    let sessions = home.sessions(&["--sort", "created"]);
    assert_eq!(sessions.len(), 2);
    assert_eq!(home.sessions(&["-q", "xylophone"]), sessions[..1]);
    assert_eq!(home.sessions(&["--label", "env=prod"]), Vec::<String>::new());
    home.check(&["session", "archive", &sessions[1]], 0, "");
    assert_eq!(home.sessions(&["--archived"]), sessions[1..]);
    assert_eq!(home.sessions(&["--archived=false", "--sort", "-title"]), sessions[..1]);
    home.check(&["session", "delete", &sessions[0]], 0, "is in the trash");
    home.check(&["search", "xylophone"], 0, "nothing found");
    for entry in std::fs::read_dir(home.0.path().join(".outlive")).unwrap() {
        let path = entry.unwrap().path();
        let bytes = if path.is_file() { std::fs::read(&path).unwrap() } else { Vec::new() };
        for word in ["xylophone", "quodlibet"] {
            assert!(!String::from_utf8_lossy(&bytes).contains(word), "{} holds `{word}`", path.display());
        }
    }
}
