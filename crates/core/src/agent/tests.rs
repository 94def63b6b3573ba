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
    assert_eq!((agent.tools.builtin.len(), agent.model, agent.warnings.len()), (2, None, 0));
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
    assert_eq!(
        error,
        "agent.yaml:4:8: spec.instructions: `./NO.md` is missing in the agent's folder\n  spec: {instructions: ./NO.md}"
    );
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
    let yaml = format!("{HEAD}spec:\n  tools: [{{builtin: bash}}, {{builtin: memory}}]\n  access: {{}}\n");
    let agent = read(&yaml).unwrap();
    assert_eq!(agent.tools.builtin, ["bash", "memory"]);
    assert_eq!(agent.warnings, ["`access` is not in this version"]);
}

#[test]
fn settings_are_read_and_their_misspellings_refused_with_their_place() {
    let of = |spec: &str| read(&format!("{HEAD}spec:\n  {spec}\n"));
    for (spec, said) in [
        ("memory: {enabld: true}", "5:12: unknown key `enabld`: the nearest is `enabled`"),
        ("sandbox: {netwrk: false}", "5:13: unknown key `netwrk`: the nearest is `network`"),
        ("sandbox: {mode: bubblewrp}", "5:19: unknown value `bubblewrp`: the nearest is `bubblewrap`"),
    ] {
        assert_eq!(of(spec).unwrap_err().to_string(), format!("agent.yaml:{said}\n    {spec}"));
    }
    for (spec, said) in [
        ("context: {sofft: 60}", "5:13: unknown key `sofft`: the nearest is `soft`"),
        ("context: {soft: 95}", "5:13: spec.context.soft: is 1 to `hard`, which is 92"),
        ("context: {hard: 101}", "5:3: spec.context: `warn`, `soft` and `hard` are percentages, 1 to 100"),
        (
            "memory: {embedding: {base_url: http://x, model: m, dimensions: 9000}}",
            "5:54: spec.memory.embedding.dimensions: is 1 to 8192",
        ),
        ("memory: {embedding: {base_url: http://x, model: ''}}", "5:44: spec.memory.embedding.model: names no model"),
        (
            "memory: {embedding: {base_url: ftp://x, model: m}}",
            "5:24: spec.memory.embedding.base_url: begins with `http://` or `https://`",
        ),
    ] {
        assert_eq!(of(spec).unwrap_err().to_string(), format!("agent.yaml:{said}\n    {spec}"));
    }
    let upkeep = of("memory: {enabled: true}\n  context: {soft: 60, soft_tokens: auto, buffer: 1000}").unwrap().upkeep;
    assert!(upkeep.memory.is_some_and(|memory| memory.observes()));
    let window = upkeep.context.window(100_000, 20_000);
    assert_eq!((window.usable(), window.soft(), window.buffer), (80_000, 48_000, 1_000));
    let by_meaning = of("memory: {embedding: {base_url: http://x, model: m, dimensions: 8}}").unwrap();
    assert_eq!(
        (by_meaning.upkeep.memory.unwrap().embedding.unwrap().dimensions, by_meaning.warnings.len()),
        (Some(8), 0)
    );
    let silent = of("context:").unwrap().upkeep;
    assert!(silent.memory.is_none() && silent.context.compacts());
}

#[test]
fn a_value_that_does_not_fit_is_refused_with_its_place_and_the_way_out() {
    let check = |spec: &str, said: &str| {
        let error = read(&format!("{HEAD}spec:\n{spec}\n")).unwrap_err().to_string();
        assert_eq!(error, format!("agent.yaml:{said}"), "{spec}");
    };
    check(
        "  model: {provider: anthropc, name: x}",
        "5:11: spec.model.provider: `anthropc` is not known: the nearest is `anthropic`\n    model: {provider: anthropc, name: x}",
    );
    check(
        "  model:\n    provider: openai\n    temperature: 7\n    name: x",
        "7:5: spec.model.temperature: is a number from 0 to 2\n      temperature: 7",
    );
    check(
        "  model: {provider: openai, name: x, context_window: 0}",
        "5:38: spec.model.context_window: is at least 1\n    model: {provider: openai, name: x, context_window: 0}",
    );
    check(
        "  session: {llm_timeout_seconds: 0}",
        "5:13: spec.session.llm_timeout_seconds: is at least 1\n    session: {llm_timeout_seconds: 0}",
    );
    check(
        "  model: {provider: openai}",
        "5:3: spec.model: name is missing: name one of the provider's models\n    model: {provider: openai}",
    );
    check(
        "  model:\n    provider: rehearsal\n    fallback: [{provider: opnai, name: x}]",
        "7:17: spec.model.fallback.provider: `opnai` is not known: the nearest is `openai`\n      fallback: [{provider: opnai, name: x}]",
    );
    check(
        "  model: {provider: rehearsal, fallback_after: 0}",
        "5:32: spec.model.fallback_after: is at least 1\n    model: {provider: rehearsal, fallback_after: 0}",
    );
    check(
        "  model: {provider: rehearsal, fallback_rest: soon}",
        "5:32: spec.model.fallback_rest: `soon` is not a time such as 90s, 10m, 1h\n    model: {provider: rehearsal, fallback_rest: soon}",
    );
    check(
        "  model:\n    provider: rehearsal\n    fallback: [{provider: rehearsal}]",
        "7:5: spec.model.fallback: `rehearsal/` is there twice\n      fallback: [{provider: rehearsal}]",
    );
    check(
        "  model:\n    provider: rehearsal\n    fallback: [{provider: openai, name: x, fallback_after: 2}]",
        "7:5: spec.model.fallback: a model that stands in has no `fallback` of its own: list them side by side\n      fallback: [{provider: openai, name: x, fallback_after: 2}]",
    );
    check(
        "  session: {step_timeout: soon}",
        "5:13: spec.session.step_timeout: `soon` is not a time such as 90s, 10m, 1h\n    session: {step_timeout: soon}",
    );
    check(
        "  tools: [{builtin: bsh}]",
        "5:12: spec.tools.builtin: there is no `bsh`: the nearest is `bash`\n    tools: [{builtin: bsh}]",
    );
    check(
        "  tools: [{}]",
        "5:3: spec.tools: a tool is one of `builtin: NAME`, `cli: {…}`, `mcp: {…}`\n    tools: [{}]",
    );
    check(
        "  soul: \"${NONE}\"",
        "5:3: spec.soul: variable `NONE` has no value; set it, or write `${NONE:-default}`\n    soul: \"${NONE}\"",
    );
    let error = read(&format!("{HEAD}spec:\n  tools: [{{cli: {{readme_: gh}}}}]\n")).unwrap_err().to_string();
    assert!(
        error.starts_with("agent.yaml:5:") && error.contains("unknown key `readme_`: the nearest is `readme`"),
        "{error}"
    );
    let error = read("apiVersion: v1\nkind: Agent\nmetadata: {name: helper}\n").unwrap_err().to_string();
    assert!(error.starts_with("agent.yaml:1:1: apiVersion: `v1` is not `outlive/v1`"), "{error}");
}

#[test]
fn a_full_agent_of_the_nearest_kin_loads_and_means_what_it_means_there() {
    let yaml = "apiVersion: duragent/v1alpha1
kind: Agent
metadata: {name: helper, description: d, version: 1.0.0, labels: {domain: work}}
spec:
  model: {provider: openrouter, name: some/model, temperature: 0.7, max_input_tokens: 9000, max_output_tokens: 4096}
  soul: ./SOUL.md
  session:
    ttl_hours: 48
    compaction: archive
    context: {max_history_tokens: 20000, max_tool_result_tokens: 8000}
  access: {dm: {policy: open}, groups: {policy: allowlist, allowlist: [\"telegram:-1\"], activation: mention}}
  memory: {backend: filesystem}
  tools:
    - type: builtin
      name: bash
    - type: builtin
      name: schedule
    - {type: cli, name: git, command: ./tools/git.sh, description: runs git, readme: ./tools/git.md}
  skills_dir: ./skills/
";
    let agent = read(yaml).unwrap();
    assert_eq!((agent.session.on_disconnect, agent.session.max_steps), (OnDisconnect::Pause, 10));
    assert_eq!(agent.session.step_timeout_ms, 300_000);
    assert_eq!(agent.tools.builtin, ["bash", "schedule"]);
    assert_eq!(agent.warnings.len(), 5, "{:#?}", agent.warnings);
}

#[test]
fn an_agent_of_the_nearest_kin_loads() {
    let yaml = "apiVersion: duragent/v1alpha1\nkind: Agent\nmetadata:\n  name: helper\nspec:\n  model:\n    provider: openrouter\n    name: x\n  soul: ./SOUL.md\n  session:\n    on_disconnect: pause\n    max_tool_iterations: 7\n";
    let agent = read(yaml).unwrap();
    assert_eq!((agent.session.max_steps, agent.session.on_disconnect), (7, OnDisconnect::Pause));
    assert_eq!(agent.session.disconnect_grace_ms, 10_000);
    let patient = yaml.replace("on_disconnect: pause", "disconnect_grace: 2m");
    assert_eq!(read(&patient).unwrap().session.disconnect_grace_ms, 120_000);
    assert!(read(&yaml.replace("on_disconnect: pause", "disconnect_grace: soon")).is_err());
}

#[test]
fn the_time_that_a_model_is_kept_loaded_is_a_duration_or_a_number() {
    for (given, expected) in [("10m", "10m"), ("-1", "-1")] {
        let model = format!("model: {{provider: ollama, name: m, keep_alive: {given}}}");
        let agent = read(&format!("{HEAD}spec:\n  {model}\n")).unwrap();
        assert_eq!(agent.model.unwrap().keep_alive.as_deref(), Some(expected));
    }
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

#[test]
fn a_sandbox_is_what_was_asked_for_and_what_was_left_out_is_the_usual() {
    let check = |text: &str, mode, network, write: &[&str]| {
        let agent = read(&format!("{HEAD}spec: {{{text}}}\n")).unwrap();
        let write = write.iter().map(|folder| (*folder).to_owned()).collect();
        assert_eq!(
            (agent.tools.sandbox, agent.warnings),
            (SandboxSpec { mode, network, image: None, write }, Vec::new()),
            "{text}"
        );
    };
    let nothing = || NetworkSpec::All(false);
    check("", SandboxMode::Auto, nothing(), &["workspace"]);
    check("sandbox: {}", SandboxMode::Auto, nothing(), &["workspace"]);
    check("sandbox: {mode: trust}", SandboxMode::Trust, nothing(), &["workspace"]);
    check("sandbox: {network: true, write: []}", SandboxMode::Auto, NetworkSpec::All(true), &[]);
    let hosts = NetworkSpec::Hosts(vec!["example.org".to_owned()]);
    check("sandbox: {mode: docker, network: [example.org], write: [/srv]}", SandboxMode::Docker, hosts, &["/srv"]);
    let refused = |text: &str, said: &str| {
        let error = read(&format!("{HEAD}spec:\n  sandbox: {text}\n")).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    };
    refused("{mode: jail}", "jail");
    refused("{netwrk: true}", "unknown key `netwrk`: the nearest is `network`");
    refused("{network: some}", "`true`, `false` or a list of hosts");
}

#[test]
fn a_starter_says_in_what_its_commands_run() {
    let name: AgentName = "default".parse().unwrap();
    for mode in [SandboxMode::Auto, SandboxMode::Trust] {
        let agent = Agent::read(&name, &starter_in(&name, mode), &|_| None).unwrap();
        assert_eq!(agent.tools.sandbox, SandboxSpec { mode, ..SandboxSpec::default() });
    }
}

#[test]
fn the_web_has_settings() {
    let web = |text: &str| read(&format!("{HEAD}spec: {{tools: [{{builtin: web}}], web: {text}}}\n"));
    let read = web("{allow: [10.0.0.0/8], search: {searxng: 'http://${MODEL}:80'}}").unwrap();
    let search = Some(SearchSpec::Searxng("http://m-1:80".to_owned()));
    assert_eq!(read.tools.web, WebSpec { allow: vec!["10.0.0.0/8".to_owned()], search });
    assert_eq!(read.tools.builtin, ["web"]);
    assert_eq!(read.warnings, [""; 0]);
    for wrong in ["{alow: []}", "{search: {bing: x}}", "{search: x}", "[]", "{search: {searxng: '${NONE}'}}"] {
        let error = web(wrong).unwrap_err().to_string();
        assert!(error.starts_with("agent.yaml:"), "{error}");
    }
}

fn with(yaml: &str, more: &[(&str, &str)]) -> Result<Agent, AgentError> {
    let mut files = files(yaml);
    files.extend(more.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())));
    Agent::read(&"helper".parse().unwrap(), &files, &|_| None)
}

#[test]
fn programs_are_declared_or_lie_in_their_folders() {
    let yaml = format!(
        "{HEAD}spec:\n  tools:\n    - cli: {{name: gh, command: gh, readme: ./tools/gh.md}}\n    - {{type: cli, name: old, command: ./bin/old, description: does}}\n"
    );
    let agent = with(
        &yaml,
        &[
            ("tools/gh.md", "# gh\n\nTalks to\nthe forge.\n\nMore."),
            ("tools/deploy/README.md", "---\ndescription: deploys\ncommand: ./run.sh\n---\nHow."),
            ("tools/deploy/run.sh", "x"),
            ("tools/count/README.md", "Counts."),
            ("tools/count/count", "x"),
            ("tools/none/README.md", "Is not there."),
            ("tools/bad/README.md", "---\ncommand: [\n---\n"),
            ("tools/a b/README.md", "x"),
            ("tools/gh/README.md", "declared already"),
        ],
    )
    .unwrap();
    let tool = |name: &str, description: &str, command: &str, readme: &str| CliTool {
        name: name.to_owned(),
        description: description.to_owned(),
        command: command.to_owned(),
        readme: readme.to_owned(),
        secrets: Vec::new(),
    };
    let expected = [
        tool("gh", "Talks to the forge.", "gh", "# gh\n\nTalks to\nthe forge.\n\nMore."),
        tool("old", "does", "./bin/old", ""),
        tool("count", "Counts.", "tools/count/count", "Counts."),
        tool("deploy", "deploys", "tools/deploy/run.sh", "How."),
    ];
    assert_eq!(agent.tools.cli, expected);
    let told: Vec<&str> = agent.warnings.iter().map(|warning| warning.split(": ").next().unwrap()).collect();
    assert_eq!(told, ["tools/a b/README.md", "tools/bad/README.md:2:10", "tools/none/README.md"]);
    for wrong in ["{name: 'a b', command: x}", "{name: a}"] {
        with(&format!("{HEAD}spec: {{tools: [{{cli: {wrong}}}]}}\n"), &[]).unwrap_err();
    }
    with(&format!("{HEAD}spec: {{tools: [{{type: cli, name: a}}]}}\n"), &[]).unwrap_err();
}

#[test]
fn skills_are_the_agent_s_and_the_workspace_s_and_a_bad_one_is_told_with_its_place() {
    let agent = with(
        HEAD,
        &[
            ("skills/review/SKILL.md", "---\nname: review\ndescription: reviews\nallowed-tools: Read Bash(git diff:*), Grep\nlicense: MIT\n---\nLook.\n"),
            ("skills/review/scripts/a.sh", "echo"),
            ("../../skills/review/SKILL.md", "---\ndescription: another\n---\n"),
            ("../../skills/shared/SKILL.md", "---\ndescription: |\n  for\n  all\nallowed-tools: [read]\n---\nDo."),
            ("skills/other/SKILL.md", "---\nname: elsewhere\ndescription: x\n---\n"),
            ("skills/none/SKILL.md", "No front matter."),
            ("skills/broken/SKILL.md", "---\nname: broken\ndescription: [\n---\n"),
            ("skills/Loud/SKILL.md", "---\ndescription: x\n---\n"),
            ("skills/typed/SKILL.md", "---\ndescription: {a: b}\n---\n"),
            ("skills/loose.md", "no skill"),
        ],
    )
    .unwrap();
    let found: Vec<_> =
        agent.tools.skills.iter().map(|skill| (&*skill.name, &*skill.description, &*skill.body)).collect();
    assert_eq!(found, [("review", "reviews", "Look."), ("shared", "for all", "Do.")]);
    let [review, shared] = &agent.tools.skills[..] else { panic!() };
    assert_eq!((review.folder.as_str(), shared.folder.as_str()), ("skills/review", "../../skills/shared"));
    assert_eq!(review.files.keys().collect::<Vec<_>>(), ["scripts/a.sh"]);
    assert_eq!(review.allowed_tools.as_deref().unwrap(), ["Read", "Bash(git diff:*)", "Grep"]);
    for (tool, may) in [("read", true), ("bash", true), ("grep", true), ("write", false), ("web_fetch", false)] {
        assert_eq!(review.allows(tool), may, "{tool}");
    }
    let told: Vec<&str> = agent.warnings.iter().map(|warning| warning.split(": ").next().unwrap()).collect();
    let expected = [
        "skills/Loud/SKILL.md",
        "skills/broken/SKILL.md:3:14",
        "skills/none/SKILL.md:1",
        "skills/other/SKILL.md:1",
        "skills/typed/SKILL.md:2:14",
    ];
    assert_eq!(told, expected, "{:#?}", agent.warnings);
}

#[test]
fn directives_are_the_workspace_s_then_the_agent_s_and_have_bounds() {
    let long = "x".repeat(64 << 10);
    let agent = with(
        HEAD,
        &[
            ("directives/b.md", "b"),
            ("directives/a.md", "a"),
            ("../../directives/z.md", "z"),
            ("directives/c/d.md", "no"),
            ("directives/e.txt", "no"),
        ],
    )
    .unwrap();
    assert_eq!(agent.system, ["soul", "z", "a", "b"]);
    assert_ne!(agent.digest, with(HEAD, &[("directives/b.md", "b"), ("directives/a.md", "a")]).unwrap().digest);
    with(HEAD, &[("directives/a.md", &long)]).unwrap();
    let refused = with(HEAD, &[("../../directives/a.md", &format!("{long}x"))]).unwrap_err().to_string();
    assert!(refused.starts_with("directives/a.md: a directive is at most 65536 bytes long"), "{refused}");
    let names: Vec<String> = (0..5).map(|n| format!("directives/{n}.md")).collect();
    let many: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), long.as_str())).collect();
    with(HEAD, &many).unwrap_err();
}

#[test]
fn hooks_are_read_in_both_ways_of_writing_them() {
    use crate::hooks::{After, Before, Within};
    let hooks = |text: &str| read(&format!("{HEAD}spec:\n  hooks: {text}\n")).map(|agent| agent.tools.hooks);
    let ours = hooks(
        "{before: [{match: edit, type: depends_on, prior: read, match_arg: path}, {match: bash, type: skip_duplicate}, \
         {match: bash, type: guard, pattern: 'rm -rf'}, {match: '*', type: program, program: [./check, x], timeout: 5s}], \
         after: [{match: read, message: look, unless: {limit: 1}}, {match: bash, type: program, program: [p]}]}",
    )
    .unwrap();
    let [(on, depends), (_, skips), (_, _guard), (_, program)] = &ours.before[..] else { panic!() };
    assert_eq!(on.to_string(), "edit");
    assert!(matches!(depends, Before::DependsOn { within: Within::Session, .. }));
    assert!(matches!(skips, Before::SkipDuplicate { within: Within::Turn, .. }));
    let Before::Program(program) = program else { panic!() };
    assert_eq!((program.words.join(" ").as_str(), program.limit_ms), ("./check x", 5_000));
    assert!(matches!(&ours.after[..], [(_, After::Text { .. }), (_, After::Program(_))]));
    let theirs = hooks(
        "{before_tool: [{match: 'p:send', type: depends_on, prior: 'p:look', match_arg: handle}, {match: 'm:*', type: \
         skip_duplicate, match_args: [key]}], after_tool: [{match: 'p:look', message: m, unless: {wait: true}}]}",
    )
    .unwrap();
    assert_eq!((theirs.before.len(), theirs.after.len()), (2, 1));
    assert!(matches!(&theirs.before[1].1, Before::SkipDuplicate { within: Within::Session, .. }));
    for wrong in [
        "{before: [{match: edit}]}",
        "{before: [{match: edit, type: text, message: x}]}",
        "{before: [{match: edit, type: depends_on}]}",
        "{before: [{match: edit, type: guard, pattern: '('}]}",
        "{before: [{match: edit, type: program, program: []}]}",
        "{before: [{match: edit, type: program, program: [a], timeout: 1h}]}",
        "{before: [{match: 'a b', type: skip_duplicate}]}",
        "{before: [{type: skip_duplicate}]}",
        "{after: [{match: edit, type: guard, pattern: x}]}",
        "{after: [{match: edit}]}",
        "{befor: []}",
    ] {
        let error = hooks(wrong).unwrap_err().to_string();
        assert!(error.starts_with("agent.yaml:5:"), "{wrong}: {error}");
    }
}

#[test]
fn a_server_of_tools_is_read_with_all_that_it_is_started_with() {
    let agent = read(&format!(
        "{HEAD}spec:\n  tools:\n    - mcp: {{name: fs, command: \"${{P:-serve}}\", args: [a, b], env: {{M: \"on ${{MODEL}}\"}}, secrets: [KEY]}}\n    \
         - mcp: {{name: far, url: \"https://example.org/mcp\", timeout: 90s, deny: [\"rm*\"], protocol: 2026-07-28}}\n"
    ));
    let tools = agent.unwrap().tools;
    let held = Expanded { variable: "MODEL".to_owned(), value: crate::secret::Secret::new("m-1") };
    assert_eq!(tools.expanded, [held], "what a variable held is known, a default is none");
    let servers = tools.mcp;
    let args = vec!["a".to_owned(), "b".to_owned()];
    let env = std::collections::BTreeMap::from([("M".to_owned(), "on m-1".to_owned())]);
    let secrets = vec!["KEY".to_owned()];
    assert_eq!(servers[0].way, McpWay::Stdio { command: "serve".to_owned(), args, env, secrets });
    assert_eq!((servers[0].timeout_ms, servers[0].protocol), (60_000, McpProtocol::Auto));
    assert_eq!((servers[1].timeout_ms, servers[1].protocol), (90_000, McpProtocol::V2026));
    assert_eq!(servers[1].deny, ["rm*"]);
}

#[test]
fn a_server_of_tools_that_cannot_be_is_refused_with_its_place() {
    let check = |entry: &str, why: &str| {
        let error = read(&format!("{HEAD}spec:\n  tools: [{{mcp: {entry}}}]\n")).unwrap_err().to_string();
        assert!(error.contains(why), "{entry}: {error}");
    };
    check("{name: fs}", "spec.tools.mcp: server `fs` has neither a `command` nor a `url`");
    check("{name: fs, command: x, url: \"https://a\"}", "server `fs` has a `command` and a `url`");
    check("{name: a b, command: x}", "`a b` is no name of a server");
    check("{name: fs, url: \"ftp://a\"}", "`ftp://a` is no address");
    check("{name: fs, command: x, headers: {A: b}}", "belong to a server with a `url`");
    check("{name: fs, url: \"https://a\", secrets: [K]}", "belong to a server with a `command`");
    check("{name: fs, command: x, timeout: soon}", "`soon` is not a time");
    check("{name: fs, command: x, protocol: 2024-11-05}", "protocol `2024-11-05` is not spoken");
    check("{name: fs, comand: x}", "command");
    let ours = "server `fs`: `url`: `OUTLIVE_TOKEN` is not given to servers of tools";
    check("{name: fs, url: \"https://a/${OUTLIVE_TOKEN:-x}\"}", ours);
    check("{name: fs, url: \"https://a\", headers: {A: \"${PATH}\"}}", "`headers`: `PATH` is not given");
    check("{name: fs, command: x, env: {A: \"${NONE}\"}}", "`env`: variable `NONE` has no value");
    check("{name: fs, command: x, args: [\"-k${MODEL}\"]}", "`args`: whoever is on this machine sees");
    check("{name: fs, command: x, secrets: [OUTLIVE_TOKEN]}", "`OUTLIVE_TOKEN` cannot be granted");
    check("{name: fs, url: \"https://a\", auth: {client_secret_env: OUTLIVE_TOKEN}}", "cannot be granted");
    check("{name: fs, command: x}}, {mcp: {name: fs, command: y}", "server `fs` is there twice");
}
