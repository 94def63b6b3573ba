//! The commands, a file each.

mod agent;
mod agent_files;
mod answer;
mod attach;
mod audit;
mod backup;
pub mod bench;
mod chat;
mod checkpoint;
pub mod context;
mod decide;
mod doctor;
mod follow;
mod history;
pub mod import;
mod init;
mod list;
mod listening;
mod logs;
mod mcp;
pub mod memory;
mod model;
mod moving;
mod notice;
mod noting;
mod policy;
mod queue;
mod reindex;
mod relay;
mod run;
mod schedule;
mod search;
mod serve;
mod session;
mod stop;
mod token;
mod trash;
mod verify;
mod wait;
mod work;

use std::path::Path;

use clap::CommandFactory as _;
use outlive_core::event::{Choice, Question};
use outlive_protocol::Page;
use outlive_protocol::approval::{ApprovalView, InboxItem};
use outlive_protocol::question::QuestionView;
use reqwest::Method;

use crate::cli::{Cli, Command, Json};
use crate::client::{self, connect};
use crate::config::{self, Workspace};
use crate::exit::{Failure, Outcome, ok};
use crate::show;

/// Does what was typed.
///
/// # Errors
///
/// Why not, with its exit code.
pub async fn run(cli: Cli) -> Outcome {
    let named = cli.workspace.as_deref();
    let place = || existing(named);
    match cli.command {
        Command::Init { dir } => init::run(dir.as_deref().or(named)).await,
        Command::Chat(talk) => chat::run(&made(named)?, &talk).await,
        Command::Run(run) => run::run(&made(named)?, &run).await,
        Command::Attach(attach) => attach::run(&place()?, attach).await,
        Command::Serve(serve) if serve.unit => serve::run(config::workspace(named)?, &serve).await,
        Command::Serve(serve) if serve.status || serve.stop => serve::run(place()?, &serve).await,
        Command::Serve(serve) => serve::run(made(named)?, &serve).await,
        Command::Session(command) => session::run(&place()?, command).await,
        Command::Trash(command) => trash::run(&place()?, command).await,
        Command::Search(search) => search::run(&place()?, &search).await,
        Command::Memory(command) => memory::run(&place()?, command).await,
        Command::Import(bring) if bring.dry_run => import::run(&config::workspace(named)?, &bring).await,
        Command::Import(bring) => import::run(&place()?, &bring).await,
        Command::Reindex(json) => reindex::run(&place()?, &json).await,
        Command::Model(command) => model::run(&place()?, command).await,
        Command::Policy(command) => policy::run(&place()?, &command),
        Command::Mcp(command) => mcp::run(&place()?, command).await,
        Command::Agent(command) => agent::run(&place()?, command).await,
        Command::Approve(decide) => decide::run(&place()?, decide, decide::Word::Approve).await,
        Command::Answer(answer) => answer::run(&place()?, answer).await,
        Command::Deny(decide) => decide::run(&place()?, decide, decide::Word::Deny).await,
        Command::Interrupt { session } => interrupt(&place()?, &session).await,
        Command::Relay(command) => relay::run(&place()?, command).await,
        Command::Notice(command) => notice::run(&place()?, command).await,
        Command::Wait(command) => wait::run(&place()?, command).await,
        Command::Signal(signal) => wait::signal(&place()?, signal).await,
        Command::Schedule(command) => schedule::run(&place()?, command).await,
        Command::Queue(command) => queue::run(&place()?, command).await,
        Command::Inbox(json) => inbox(&place()?, &json).await,
        Command::Token(command) => token::run(&place()?, command).await,
        Command::Stop(wanted) => stop::run(&place()?, &wanted).await,
        Command::Audit(command) => audit::run(&place()?, &command),
        Command::Verify { repair, json } => verify::run(&place()?, repair, json),
        Command::Backup(wanted) if wanted.check.is_some() => backup::run(&config::workspace(named)?, &wanted).await,
        Command::Backup(wanted) => backup::run(&place()?, &wanted).await,
        Command::Doctor(json) => doctor::run(&place()?, &json).await,
        Command::Status(json) => status(&place()?, json.json),
        Command::Logs(logs) => logs::run(&place()?, &logs).await,
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "outlive", &mut script);
            show::out(&String::from_utf8_lossy(&script));
            ok()
        }
        Command::Bench(bench) => bench::run(&bench).await,
    }
}

/// The workspace. One that is named must be there: a name that is mistyped is no wish for another workspace.
fn existing(named: Option<&Path>) -> Result<Workspace, Failure> {
    let place = config::workspace(named)?;
    if is_missing(named, &place) {
        let (root, dir) = (place.root.display(), place.cwd.display());
        let why = format!(
            "there is no workspace {root}: `outlive init {dir}` makes one, and so does `outlive chat` or `outlive serve` for it"
        );
        return Err(Failure::NotFound(why));
    }
    Ok(place)
}

/// The workspace, made where one is named that is not there.
fn made(named: Option<&Path>) -> Result<Workspace, Failure> {
    let place = config::workspace(named)?;
    if is_missing(named, &place) {
        let root = place.root.display();
        outlive_store::workspace::make(&place.root)
            .map_err(|error| Failure::Failed(format!("cannot make {root}: {error}")))?;
        eprintln!("outlive: made a new workspace, {root}");
    }
    Ok(place)
}

fn is_missing(named: Option<&Path>, place: &Workspace) -> bool {
    named.is_some() && !place.root.is_dir()
}

async fn interrupt(place: &Workspace, session: &str) -> Outcome {
    let client = connect(place).await?;
    let done: outlive_protocol::session::Done =
        client.send(Method::POST, &format!("/sessions/{session}/interrupt"), &serde_json::json!({})).await?;
    match done.turn_id {
        Some(turn) => say!("turn {turn} is being stopped"),
        None => say!("nothing runs in this session"),
    }
    ok()
}

async fn inbox(place: &Workspace, json: &Json) -> Outcome {
    let client = connect(place).await?;
    let page: Page<InboxItem> = client.all("/inbox").await?;
    let asleep = wait::all(&client, None).await?.items;
    if json.json {
        show::json(&serde_json::json!({"items": page.items, "next_cursor": page.next_cursor, "asleep": asleep}))?;
        return ok();
    }
    stop::tell(place);
    if page.items.is_empty() {
        say!("nothing waits for you");
    }
    for item in &page.items {
        match item {
            InboxItem::Approval(approval) => approval_lines(approval),
            InboxItem::Question(question) => question_lines(question),
        }
    }
    wait::asleep(asleep);
    ok()
}

fn question_lines(asked: &QuestionView) {
    say!("{}  in {}", asked.question, asked.session_id);
    asked.questions.iter().for_each(|question| say!("{}", shown(question)));
    say!("  outlive answer -q {} ANSWER", asked.question);
}

/// The lines of one question: what a server or a model wrote there must not drive the terminal.
fn shown(question: &Question) -> String {
    let choice = |(choice, number): (&Choice, u32)| format!("\n    {number}  {}", show::label(&choice.label));
    let choices: String = question.options.iter().zip(1..).map(choice).collect();
    format!("  {}{choices}", show::seen(&question.text))
}

fn approval_lines(approval: &ApprovalView) {
    say!("{}  in {}", approval.call, approval.session_id);
    say!("{}", wanted(approval));
    say!("  outlive approve {0}   or   outlive deny {0}", approval.call);
}

/// What an agent wants to run, and why somebody is asked: no word of its model drives the terminal that is asked.
fn wanted(approval: &ApprovalView) -> String {
    let own = |text: &str| show::seen(text).replace('\n', "\n      ");
    let because: String = approval.because.iter().map(|because| format!("\n    asks: {}", own(because))).collect();
    let (summary, rule) = (own(&approval.summary), own(&approval.rule));
    format!("  {}: {summary}{because}\n    always would store: {rule}", show::label(&approval.tool))
}

fn status(place: &Workspace, json: bool) -> Outcome {
    let address = client::running(place);
    if json {
        show::json(&serde_json::json!({
            "running": address.is_some(), "address": address, "workspace": place.root, "log": place.log(),
            "stopped": stop::line(place),
        }))?;
    } else {
        stop::tell(place);
        match &address {
            Some(address) => say!("a server runs for {} at http://{address}", place.root.display()),
            None => say!("no server runs for {}; commands start one", place.root.display()),
        }
    }
    if address.is_some() { ok() } else { Err(Failure::Unreachable("no server runs".to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_stranger_asks_drives_no_terminal() {
        let hostile = "echo a\u{1b}[2K\nrm\u{202e} b";
        let approval = ApprovalView {
            session_id: outlive_core::id::SessionId::from_bits(1),
            call: outlive_core::id::CallId::from_bits(1),
            seq: 1,
            tool: "bash".to_owned(),
            summary: hostile.to_owned(),
            rule: hostile.to_owned(),
            because: vec![hostile.to_owned()],
            arguments: serde_json::Value::Null,
        };
        let told = "echo a\u{241b}[2K\n      rm<U+202E> b";
        assert_eq!(wanted(&approval), format!("  bash: {told}\n    asks: {told}\n    always would store: {told}"));
        let label = "yes\u{1b}]0;x\u{7}\nno\u{202e}".to_owned();
        let options = vec![Choice { label, description: None }];
        let question = Question { text: "Who?\n\u{1b}[2J\rMe".to_owned(), options, multiple: false };
        assert_eq!(shown(&question), "  Who?\n\u{241b}[2J\u{240d}Me\n    1  yes\u{241b}]0;x\u{2407} no<U+202E>");
        let told = "outlive: asks you: Who?\n\u{241b}[2J\u{240d}Me (yes\u{241b}]0;x\u{2407} no<U+202E>)";
        assert_eq!(run::asked(&question), told);
    }
}
