//! Where a conversation begins to be shown: a terminal gets the newest page and pages back on demand; what is no terminal,
//! and so cannot ask for more, gets all of it.

use std::collections::VecDeque;

use outlive_core::content::Usage;
use outlive_core::event::{Entry, Event, Line};
use outlive_core::session::Filled;
use outlive_protocol::Page as Items;
use outlive_protocol::approval::ApprovalView;
use outlive_protocol::context::ContextView;
use outlive_protocol::event::Events;
use outlive_protocol::question::QuestionView;
use outlive_protocol::queue::QueueView;
use outlive_protocol::session::SessionView;
use outlive_protocol::wait::WaitView;
use outlive_tui::{Activity, Before, Later, Page, Waiting};

use crate::client::Client;
use crate::commands::follow::Came;
use crate::commands::wait::slept;
use crate::exit::Failure;

/// Events of a page.
const PAGE: usize = 400;

/// Where it begins.
#[derive(Default)]
pub struct Opening {
    /// What is known of what came before.
    pub before: Before,
    /// The newest page.
    pub came: VecDeque<Came>,
    /// Seq of the first event that is shown.
    pub from: u64,
    /// What follows is heard after this seq.
    pub after: u64,
}

impl Opening {
    /// Begins after a seq.
    pub fn after(after: u64, me: Option<String>) -> Self {
        Self { before: Before { me, ..Before::default() }, after, ..Self::default() }
    }

    /// Begins with the newest page.
    ///
    /// # Errors
    ///
    /// What the server says.
    pub async fn newest(client: &Client, view: &SessionView, me: Option<String>) -> Result<Self, Failure> {
        let (session, after) = (&view.row.id, view.row.head);
        let lines = lines(client, session, after + 1).await?;
        let page = Page::of(read(&lines)?);
        let mut before = Before { me, filled: filled(client, view).await?, ..Before::default() };
        if page.first > 1 {
            before = known(client, view, &page, before).await?;
        }
        let shown = lines.into_iter().filter(|line| line.seq() >= page.first);
        let came = page.entries.into_iter().map(Box::new).zip(shown).map(|(entry, line)| Came::Event(entry, line));
        Ok(Self { before, came: came.collect(), from: page.first, after })
    }
}

/// Reads the page that ends before a seq.
///
/// # Errors
///
/// What the server says.
pub async fn earlier(client: &Client, session: &str, before: u64) -> Result<Page, Failure> {
    Ok(Page::of(read(&lines(client, session, before).await?)?))
}

async fn lines(client: &Client, session: &str, before: u64) -> Result<Vec<Line>, Failure> {
    let page: Events = client.get(&format!("/sessions/{session}/events?before={before}&limit={PAGE}")).await?;
    page.items.iter().map(|line| Line::check(line.get().as_bytes()).map_err(Failure::failed)).collect()
}

fn read(lines: &[Line]) -> Result<Vec<Entry>, Failure> {
    lines.iter().map(|line| line.read().map_err(Failure::failed)).collect()
}

/// How full the window is: as the server knows it of the last request, else of the next one. Nothing was said to a model in a
/// session that comes from elsewhere.
async fn filled(client: &Client, view: &SessionView) -> Result<Option<Filled>, Failure> {
    if let Some(context) = &view.standing.context {
        return Ok(Some(context.filled()));
    }
    if view.turn.is_some() || view.row.head < 2 {
        return Ok(None);
    }
    // An agent that cannot run now has no next request.
    let next: Result<ContextView, Failure> = client.get(&format!("/sessions/{}/context", view.row.id)).await;
    Ok(next.ok().map(|next| next.filled()))
}

/// What the page does not say: what waits, and what was spent before.
async fn known(client: &Client, view: &SessionView, page: &Page, before: Before) -> Result<Before, Failure> {
    let (session, turn) = (&view.row.id, view.turn.as_ref());
    let approvals: Items<ApprovalView> = client.get(&format!("/sessions/{session}/approvals")).await?;
    let questions: Items<QuestionView> = client.get(&format!("/sessions/{session}/questions")).await?;
    let queue: QueueView = client.get(&format!("/sessions/{session}/queue")).await?;
    let waits = client.all::<WaitView>(&format!("/waits?session={session}")).await?;
    let asks = |one: ApprovalView| {
        let ApprovalView { tool, summary, rule, because, seq, .. } = one;
        (one.call, Waiting { tool, summary, rule, because, seq })
    };
    // Of the running turn the server has no sum yet.
    let counted = page.entries.iter().filter(|entry| turn.is_none_or(|turn| Some(turn.id) != entry.turn));
    Ok(Before {
        activity: turn.map_or(Activity::Idle, |turn| Activity::Working(turn.started_at)),
        paused: view.row.status == "paused",
        waiting: approvals.items.into_iter().map(asks).collect(),
        questions: questions.items.into_iter().map(|one| (one.question, one.questions)).collect(),
        later: Later {
            queue: queue.items.into_iter().map(|item| (item.id, item.content)).collect(),
            waits: waits.items.into_iter().map(|wait| (wait.id, slept(wait))).collect(),
        },
        usage: less(view.usage, counted.filter_map(spent)),
        ..before
    })
}

fn spent(entry: &Entry) -> Option<Usage> {
    if let Event::StepFinished(finished) = &entry.event { Some(finished.usage) } else { None }
}

fn less(all: Usage, counted: impl Iterator<Item = Usage>) -> Usage {
    counted.fold(all, |left, step| Usage {
        input_tokens: left.input_tokens.saturating_sub(step.input_tokens),
        output_tokens: left.output_tokens.saturating_sub(step.output_tokens),
        cache_read_tokens: left.cache_read_tokens.saturating_sub(step.cache_read_tokens),
        cache_write_tokens: left.cache_write_tokens.saturating_sub(step.cache_write_tokens),
        cost_nano_usd: left.cost_nano_usd.saturating_sub(step.cost_nano_usd),
        steps: left.steps.saturating_sub(step.steps),
        priced_steps: left.priced_steps.saturating_sub(step.priced_steps),
    })
}
