//! Tells somebody outside of something: once, and says whether they have it.

use std::collections::BTreeSet;
use std::time::Duration;

use outlive_core::command::{Report, Then, Undelivered};
use outlive_core::content::Block;
use outlive_core::event::{Entry, Event};
use outlive_core::id::{CallId, QuestionId, Seq};
use outlive_core::notice::{Letter, Teller};
use outlive_core::session::{Notice, State};
use outlive_core::turn::Phase;
use outlive_store::StoreError;

use super::Errand;
use crate::load;
use crate::shell::Shell;

/// Events in which what an agent said last is looked for.
const NEAR: usize = 64;
/// How long one waits for its turn at a target.
const IN_LINE: Duration = Duration::from_secs(60);

/// Who is to be told of what.
pub(crate) struct Tell {
    pub(crate) notice: Notice,
    pub(crate) shell: Shell,
    pub(crate) about: About,
}

/// What of a session matters to whoever is told.
pub(crate) struct About {
    teller: Teller,
    /// What waits for a person: nobody needs to be told of what does not any more.
    asked: BTreeSet<QuestionId>,
    awaiting: BTreeSet<CallId>,
}

impl About {
    pub(crate) fn of(state: &State) -> Self {
        let asked = state.open_questions().iter().map(|open| open.question).collect();
        let awaits = |call: &&outlive_core::turn::Call| matches!(call.phase, Phase::Awaiting { .. });
        let awaiting = state.calls().iter().filter(awaits).map(|call| call.id).collect();
        Self { teller: Teller::of(state), asked, awaiting }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "only what waits for a person can be decided")]
    fn is_over(&self, event: &Event) -> bool {
        match event {
            Event::QuestionAsked(asked) => !self.asked.contains(&asked.question),
            Event::ApprovalRequested(asked) => !self.awaiting.contains(&asked.call),
            _happened => false,
        }
    }
}

/// Tells them.
pub(crate) async fn tell(errand: Errand, tell: Tell) {
    let (notice, topic) = (tell.notice.notice, tell.notice.topic);
    let outcome = deliver(&errand, &tell).await;
    match &outcome {
        Ok(()) => tracing::debug!(%notice, topic = topic.as_str(), "delivered"),
        Err(Undelivered { then: Then::Drop, .. }) => tracing::debug!(%notice, "nobody needs to be told any more"),
        // What a mail server or a command says may hold what was said: the journal has it.
        Err(_) => tracing::warn!(%notice, target_name = tell.notice.target, "a notice is not delivered"),
    }
    errand.report(Report::Told { notice, outcome }).await;
}

async fn deliver(errand: &Errand, tell: &Tell) -> Result<(), Undelivered> {
    let Notice { notice, target, topic, of, .. } = &tell.notice;
    let courier = tell.shell.kits.courier().filter(|courier| courier.targets().iter().any(|it| it.name == *target));
    // Another start may know it again.
    let gone = || Undelivered::for_now(format!("`notify` in outlive.yaml names no `{target}`"));
    let courier = courier.ok_or_else(gone)?;
    let _turn = tell.shell.hearers.lines.turn(target, IN_LINE).await?;
    // Read once it is its turn: what was forgotten meanwhile is not there.
    let read = near(errand, tell, *of).await.map_err(|error| Undelivered::for_now(error.to_string()))?;
    let Some((last, before)) = read.split_last().filter(|(last, _)| last.seq == *of) else {
        return Err(Undelivered::for_good("what it was to tell of is not in the journal any more"));
    };
    if tell.about.is_over(&last.event) {
        return Err(Undelivered { why: "it is decided".to_owned(), then: Then::Drop });
    }
    let mut letter = Letter::of((*notice, *topic), last, &said(before, last), &tell.about.teller);
    letter.data.redact(&errand.secrets.now());
    courier.deliver(target, &letter).await
}

/// Returns an event, and some before it, without secrets that were not known when they were written.
async fn near(errand: &Errand, tell: &Tell, of: Seq) -> Result<Vec<Entry>, StoreError> {
    let before = of.saturating_sub(NEAR as Seq);
    let read = tell.shell.store.journals.read(errand.session, before, NEAR).await?;
    let secrets = errand.secrets.now();
    let clean = |line: &outlive_core::event::Line| {
        let clean = line.redacted(&secrets).ok().flatten();
        load::read(errand.session, clean.as_ref().unwrap_or(line))
    };
    read.lines.iter().filter(|line| line.seq() <= of).map(clean).collect()
}

/// Returns what the agent said last in the turn of an event; of what is in no turn, in the turn before it.
fn said(before: &[Entry], event: &Entry) -> String {
    let of_turn = |entry: &&Entry| event.turn.is_none() || entry.turn == event.turn;
    before.iter().rev().filter(of_turn).find_map(spoken).unwrap_or_default()
}

fn spoken(entry: &Entry) -> Option<String> {
    let Event::StepFinished(finished) = &entry.event else { return None };
    let text = |block: &Block| if let Block::Text { text } = block { Some(text.clone()) } else { None };
    let said: Vec<String> = finished.content.iter().filter_map(text).collect();
    (!said.is_empty()).then(|| said.join("\n\n"))
}
