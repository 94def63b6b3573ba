//! The one good agent that a new workspace begins with.

use std::collections::BTreeMap;

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
";

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
    let files = [
        ("agent.yaml", AGENT.replace("NAME", name.as_str())),
        ("SYSTEM_PROMPT.md", PROMPT.to_owned()),
        ("policy.yaml", POLICY.to_owned()),
    ];
    files.into_iter().map(|(path, text)| (path.to_owned(), text.into_bytes())).collect()
}
