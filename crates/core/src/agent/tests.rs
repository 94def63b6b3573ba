use super::*;

fn files(yaml: &str) -> Files {
    [("agent.yaml", yaml), ("SOUL.md", "soul")]
        .into_iter()
        .map(|(p, t)| (p.to_owned(), t.as_bytes().to_vec()))
        .collect()
}

fn read(yaml: &str) -> Result<Agent, AgentError> {
    let lookup = |name: &str| (name == "MODEL").then(|| "m-1".to_owned());
    Agent::read(&"helper".parse().unwrap(), &files(yaml), &lookup)
}

const HEAD: &str = "apiVersion: outlive/v1\nkind: Agent\nmetadata: {name: helper}\n";

#[test]
fn the_starter_is_an_agent() {
    let name: AgentName = "default".parse().unwrap();
    let agent = Agent::read(&name, &starter(&name), &|_| None).unwrap();
    assert_eq!((agent.tools.len(), agent.model, agent.warnings.len()), (2, None, 0));
}

#[test]
fn an_unknown_key_is_refused_with_its_place_and_the_nearest_one() {
    let error = read(&format!("{HEAD}spec:\n  sytem_prompt: ./X.md\n")).unwrap_err().to_string();
    assert_eq!(
        error,
        "agent.yaml:5:3: unknown key `sytem_prompt`: the nearest is `system_prompt`\n    sytem_prompt: ./X.md"
    );
}

#[test]
fn a_bad_type_is_refused_with_its_place() {
    let error = read(&format!("{HEAD}spec:\n  session: {{max_steps: many}}\n")).unwrap_err().to_string();
    assert!(error.starts_with("agent.yaml:5:"), "{error}");
}

#[test]
fn a_file_that_is_named_and_missing_is_refused() {
    let error = read(&format!("{HEAD}spec: {{instructions: ./NO.md}}\n")).unwrap_err().to_string();
    assert_eq!(error, "NO.md is missing; agent.yaml names it as `instructions`");
}

#[test]
fn variables_expand_after_parsing_and_never_change_the_structure() {
    let agent =
        read(&format!("{HEAD}spec: {{model: {{provider: \"${{P:-openai}}\", name: \"${{MODEL}}\"}}}}\n")).unwrap();
    let model = agent.model.unwrap();
    assert_eq!((model.provider.as_str(), model.name.as_str()), ("openai", "m-1"));
    let error = read(&format!("{HEAD}spec: {{model: {{provider: \"${{NONE}}\"}}}}\n")).unwrap_err().to_string();
    assert!(error.contains("`NONE` has no value"), "{error}");
}

#[test]
fn what_this_version_does_not_have_is_a_warning_never_silence() {
    let yaml =
        format!("{HEAD}spec:\n  tools: [{{builtin: bash}}, {{builtin: web}}, {{mcp: {{name: fs, command: x}}}}]\n");
    let agent = read(&yaml).unwrap();
    assert_eq!(agent.tools, ["bash"]);
    assert_eq!(agent.warnings, ["builtin tool `web` is not in this version", "mcp tools are not in this version"]);
}

#[test]
fn an_agent_of_the_nearest_kin_loads() {
    let yaml = "apiVersion: duragent/v1alpha1\nkind: Agent\nmetadata:\n  name: helper\nspec:\n  model:\n    provider: openrouter\n    name: x\n  soul: ./SOUL.md\n  session:\n    on_disconnect: pause\n    max_tool_iterations: 7\n";
    let agent = read(yaml).unwrap();
    assert_eq!((agent.session.max_steps, agent.session.on_disconnect), (7, OnDisconnect::Pause));
}

#[test]
fn a_policy_that_cannot_be_read_denies_everything() {
    let mut files = files(HEAD);
    files.insert("policy.yaml".into(), b"moode: ask".to_vec());
    let agent = Agent::read(&"helper".parse().unwrap(), &files, &|_| None).unwrap();
    assert!(agent.policy.unreadable.is_some());
}

#[test]
fn the_digest_changes_with_every_file() {
    let one = read(HEAD).unwrap().digest;
    let mut changed = files(HEAD);
    changed.insert("SOUL.md".into(), b"other".to_vec());
    assert_ne!(one, Agent::read(&"helper".parse().unwrap(), &changed, &|_| None).unwrap().digest);
}
