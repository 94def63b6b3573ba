//! Sessions and agents carried between workspaces, with the real binary.

use super::Home;

fn session(home: &Home) -> String {
    let listed: serde_json::Value = serde_json::from_str(&home.check(&["session", "list", "--json"], 0, "")).unwrap();
    listed["items"][0]["id"].as_str().unwrap().to_owned()
}

fn path(home: &Home, name: &str) -> String {
    home.0.path().join(name).display().to_string()
}

#[test]
fn an_export_imported_elsewhere_is_exported_byte_for_byte_the_same() {
    let (here, there) = (Home::new(), Home::new());
    here.check(&["agent", "new", "scribe"], 0, "");
    here.write("agents/scribe/policy.yaml", "mode: dangerous\n");
    // More than the model sees of a result: the whole of it is an artifact.
    here.check(&["run", "-a", "scribe", "run seq 1 20000"], 0, "");
    let session = session(&here);
    let (one, two) = (path(&here, "one.tar"), path(&there, "two.tar"));
    here.check(&["session", "export", &session, "-o", &one], 0, "wrote ");
    let said = there.check(&["session", "import", &one], 0, "and 1 artifact\n");
    assert!(said.contains("agent `scribe` came along"), "{said}");
    there.check(&["session", "export", &session, "-o", &two], 0, "");
    let (one_bytes, two_bytes) = (std::fs::read(&one).unwrap(), std::fs::read(&two).unwrap());
    assert!(one_bytes == two_bytes, "the two exports differ");
    assert!(String::from_utf8_lossy(&one_bytes).contains("artifacts/"));
    there.check(&["session", "import", &one], 0, "is there already, event for event");

    there.check(&["serve", "--stop"], 0, "");
    there.check(&["session", "export", &session, "-o", &two], 0, "");
    assert!(one_bytes == std::fs::read(&two).unwrap(), "a restart changed it");
    there.check(&["run", "-s", &session, "write on.txt: goes on"], 0, "");
    there.check(&["session", "import", &one], 1, "went on here to event");
    there.check(&["session", "import", &one, "--as-new"], 0, "is here");
    there.check(&["session", "delete", "--for-good", "-y", &session], 0, "");
    there.check(&["session", "import", &one], 0, "is here");
    there.check(&["serve", "--stop"], 0, "");
    there.check(&["verify"], 0, "");
}

#[test]
fn what_an_imported_session_remembers_is_its_own_until_somebody_says_otherwise() {
    let (here, there) = (Home::new(), Home::new());
    here.check(&["run", "write one.txt: first"], 0, "");
    let from = session(&here);
    here.check(
        &["memory", "add", "To deploy, run the script of Zorblax.", "--session", &from, "--scope", "all"],
        0,
        "",
    );
    let archive = path(&here, "one.tar");
    here.check(&["session", "export", &from, "-o", &archive], 0, "");
    there.check(&["session", "import", &archive], 0, "is here");
    there.check(&["session", "import", &archive, "--as-new"], 0, "is here");
    there.check(&["session", "import", &archive], 0, "is there already, event for event");
    let scopes = |home: &Home| -> Vec<(String, String)> {
        let page: serde_json::Value = serde_json::from_str(&home.check(&["memory", "list", "--json"], 0, "")).unwrap();
        let text = |item: &serde_json::Value, key: &str| item[key].as_str().unwrap().to_owned();
        page["items"].as_array().unwrap().iter().map(|item| (text(item, "id"), text(item, "scope"))).collect()
    };
    let known = scopes(&there);
    assert_eq!(known.len(), 2, "the session, and its copy: {known:?}");
    assert!(known.iter().all(|(_, scope)| scope == "session"), "{known:?}");
    there.check(&["run", "write two.txt: x"], 0, "");
    let context = |home: &Home| {
        let listed: serde_json::Value =
            serde_json::from_str(&home.check(&["session", "list", "--json"], 0, "")).unwrap();
        let newest = listed["items"][0]["id"].as_str().unwrap().to_owned();
        home.check(&["memory", "search", "--session", &newest, "Zorblax"], 0, "")
    };
    assert!(context(&there).contains("nothing found"), "another session is told nothing of it");
    there.check(&["memory", "edit", &known[0].0, "--scope", "all"], 0, "is known to these");
    assert!(context(&there).contains("Zorblax"), "once a person says so");
    assert!(scopes(&there).iter().all(|(_, scope)| scope == "all"));
    there.check(&["memory", "edit", &known[0].0], 2, "<TEXT>");
}

#[test]
fn an_export_is_the_same_where_another_agent_of_its_name_is_at_home() {
    let (here, there) = (Home::new(), Home::new());
    there.check(&["agent", "new", "scribe"], 0, "");
    here.check(&["agent", "new", "scribe"], 0, "");
    here.write("agents/scribe/SOUL.md", "terse\n");
    here.check(&["run", "-a", "scribe", "write one.txt: first"], 0, "");
    let session = session(&here);
    let (one, two) = (path(&here, "one.tar"), path(&there, "two.tar"));
    here.check(&["session", "export", &session, "-o", &one], 0, "");
    there.check(&["session", "import", &one], 0, "kept as a version");
    there.check(&["session", "export", &session, "-o", &two], 0, "");
    assert!(std::fs::read(&one).unwrap() == std::fs::read(&two).unwrap(), "the two exports differ");
    // Once it has gone on with the agent that is at home, that one is what the journal names.
    there.check(&["run", "-s", &session, "help"], 0, "");
    there.check(&["session", "export", &session, "-o", &two], 0, "");
    assert!(!String::from_utf8_lossy(&std::fs::read(&two).unwrap()).contains("terse"));
}

#[test]
fn a_file_that_is_none_is_refused_with_its_place() {
    let (here, there) = (Home::new(), Home::new());
    here.check(&["run", "write one.txt: first"], 0, "");
    let session = session(&here);
    let whole = path(&here, "whole.tar");
    here.check(&["session", "export", &session, "-o", &whole], 0, "");
    let bytes = std::fs::read(&whole).unwrap();
    let cut = path(&there, "cut.tar");
    std::fs::write(&cut, &bytes[..bytes.len() - 600]).unwrap();
    there.check(&["session", "import", &cut], 2, "(archive_invalid)");
    there.check(&["session", "import", &path(&there, "none.tar")], 3, "there is no file");
    there.check(&["agent", "import", &whole], 2, "`outlive session import` takes it");
    there.check(&["session", "show", &session], 3, "");
    here.check(&["session", "export", &session, "-o", &path(&here, "no/where.tar")], 1, "no/where.tar");
}

#[test]
fn people_get_markdown_and_json() {
    let home = Home::new();
    home.check(&["run", "write one.txt: first"], 0, "");
    let session = session(&home);
    let text = home.check(&["session", "export", &session, "--format", "markdown"], 0, "# write one.txt: first");
    assert!(text.contains("## You") && text.contains("<summary>write: ok</summary>"), "{text}");
    let json = home.check(&["session", "export", &session, "--format", "json"], 0, "");
    let read: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(read["messages"][0]["content"], "write one.txt: first");
}

#[test]
fn an_agent_goes_comes_back_and_is_carried_elsewhere() {
    let (here, there) = (Home::new(), Home::new());
    here.check(&["agent", "new", "scribe"], 0, "");
    here.check(&["run", "-a", "scribe", "write one.txt: first"], 0, "");
    let session = session(&here);
    here.write("agents/scribe/memory/MEMORY.md", "remembered\n");
    let file = path(&here, "scribe.tar");
    here.check(&["agent", "export", "scribe", "-o", &file], 0, "wrote ");
    here.check(&["agent", "delete", "scribe"], 2, "--yes");
    here.check(&["agent", "delete", "scribe", "--yes"], 0, "outlive agent restore scribe");
    here.check(&["session", "messages", &session], 0, "write one.txt: first");
    here.check(&["run", "-s", &session, "write two.txt: x"], 1, "outlive agent versions scribe");
    here.check(&["agent", "versions", "scribe"], 0, "VERSION");
    here.check(&["agent", "restore", "scribe"], 0, "again");
    here.check(&["run", "-s", &session, "write three.txt: y"], 0, "");
    let memory = here.0.path().join(".outlive/agents/scribe/memory/MEMORY.md");
    assert_eq!(std::fs::read_to_string(memory).unwrap(), "remembered\n");

    there.check(&["agent", "import", &file], 0, "agent `scribe` is here");
    there.check(&["agent", "validate", "scribe"], 0, "good");
    there.write("agents/scribe/SOUL.md", "another one\n");
    there.check(&["agent", "import", &file], 1, "(agent_exists)");
    there.check(&["agent", "import", &file, "--replace"], 0, "");
    let said = there.check(&["agent", "versions", "scribe"], 0, "");
    assert_eq!(said.lines().count(), 2, "{said}");
}
