//! What is fed garbage, in one program: `OUTLIVE_FUZZ` names the target. One program is linked once, and what it is made of
//! is instrumented once.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

mod agent_yaml;
mod anthropic_stream;
mod archive;
mod commit_log;
mod foreign;
mod gemini_stream;
mod journal_line;
mod ollama_stream;
mod openai_stream;
mod policy;
mod responses_stream;
mod tokens;

type Target = fn(&[u8]);

const TARGETS: [(&str, Target); 12] = [
    ("agent_yaml", agent_yaml::run),
    ("anthropic_stream", anthropic_stream::run),
    ("archive", archive::run),
    ("commit_log", commit_log::run),
    ("foreign", foreign::run),
    ("gemini_stream", gemini_stream::run),
    ("journal_line", journal_line::run),
    ("ollama_stream", ollama_stream::run),
    ("openai_stream", openai_stream::run),
    ("policy", policy::run),
    ("responses_stream", responses_stream::run),
    ("tokens", tokens::run),
];

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var("OUTLIVE_FUZZ").unwrap_or_default();
    let found = TARGETS.iter().find(|(known, _)| *known == name);
    found
        .unwrap_or_else(|| {
            panic!("OUTLIVE_FUZZ names no target: {name:?}; there are {:?}", TARGETS.map(|(known, _)| known))
        })
        .1
});

fuzz_target!(|bytes: &[u8]| (*TARGET)(bytes));
