//! The one good agent that a new workspace begins with.

use std::collections::BTreeMap;

use super::SandboxMode;

const AGENT: &str = "\
apiVersion: outlive/v1
kind: Agent
metadata:
  name: NAME
  description: a careful helper that works in this folder
  version: \"1\"
spec:
  # Without a model, the best that is there is taken: a key in the environment (ANTHROPIC_API_KEY, OPENAI_API_KEY,
  # GEMINI_API_KEY, OPENROUTER_API_KEY), a local Ollama, else the offline rehearsal. To choose:
  # model: {provider: anthropic, name: claude-sonnet-4-5}
  system_prompt: ./SYSTEM_PROMPT.md
  session: {on_disconnect: continue, max_steps: 50, step_timeout: 10m}
  tools: [{builtin: bash}, {builtin: files}]
  SANDBOX
";

const CONFINED: &str = "\
# In what commands run: auto takes bubblewrap, else Docker, else refuses; trust is no sandbox. What they may reach and
  # write besides their own /tmp: no network, and the folder that tools work in.
  sandbox: {mode: MODE, network: false, write: [workspace]}";

const TRUSTING: &str = "\
# No sandbox worked on this machine when this agent was made, so its commands may do what the server's user may do; the
  # policy asks before each. To confine them: install bubblewrap, and write auto instead of trust.
  sandbox: {mode: trust}";

const PROMPT: &str = "\
You work in the folder that your tools start in. Look before you change something, say what you did, and stop when the
request is done.

A tool result that says that its outcome is unknown means that the process died while the tool ran: check what happened
before you repeat it.
";

const POLICY: &str = "\
# What this agent may do. mode: ask (commands and whatever reaches beyond the folder are asked about), restrict (only what
# is allowed here), dangerous (everything that is not denied).
mode: ask
deny: []
ask: []
allow: []
";

/// Returns the files of a new agent with this name.
#[must_use]
pub fn starter(name: &crate::id::AgentName) -> BTreeMap<String, Vec<u8>> {
    starter_in(name, SandboxMode::Auto)
}

/// Returns the files of a new agent with this name, whose commands run in this.
#[must_use]
pub fn starter_in(name: &crate::id::AgentName, mode: SandboxMode) -> BTreeMap<String, Vec<u8>> {
    let sandbox = match mode {
        SandboxMode::Trust => TRUSTING.to_owned(),
        SandboxMode::Auto | SandboxMode::Bubblewrap | SandboxMode::Docker => CONFINED.replace("MODE", mode.name()),
    };
    let files = [
        ("agent.yaml", AGENT.replace("NAME", name.as_str()).replace("SANDBOX", &sandbox)),
        ("SYSTEM_PROMPT.md", PROMPT.to_owned()),
        ("policy.yaml", POLICY.to_owned()),
    ];
    files.into_iter().map(|(path, text)| (path.to_owned(), text.into_bytes())).collect()
}
