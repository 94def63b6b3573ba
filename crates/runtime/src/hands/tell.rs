//! Tells somebody outside of something: once, and says whether they have it.

use outlive_core::command::{Report, Undelivered};
use outlive_core::content::Block;
use outlive_core::event::{Entry, Event};
use outlive_core::id::Seq;
use outlive_core::notice::Letter;
use outlive_core::session::{Notice, State};
use outlive_store::StoreError;

use super::Errand;
use crate::load;
use crate::shell::Shell;

/// Events in which what an agent said last is looked for.
const NEAR: usize = 64;

/// Who is to be told of what.
pub(crate) struct Tell {
    pub(crate) notice: Notice,
    pub(crate) shell: Shell,
    /// The session as it is now.
    pub(crate) state: State,
}

/// Tells them.
pub(crate) async fn tell(errand: Errand, tell: Tell) {
    let (notice, topic) = (tell.notice.notice, tell.notice.topic);
    let outcome = deliver(&errand, &tell).await;
    match &outcome {
        Ok(()) => tracing::debug!(%notice, topic = topic.as_str(), "delivered"),
        Err(undelivered) => {
            tracing::warn!(%notice, target_name = tell.notice.target, why = undelivered.why, "a notice is not delivered");
        }
    }
    errand.report(Report::Told { notice, outcome }).await;
}

async fn deliver(errand: &Errand, tell: &Tell) -> Result<(), Undelivered> {
    let Notice { notice, target, topic, of, .. } = &tell.notice;
    let courier = tell.shell.kits.courier().filter(|courier| courier.targets().iter().any(|it| it.name == *target));
    let gone = || Undelivered::for_good(format!("`notify` in outlive.yaml names no `{target}` any more"));
    let courier = courier.ok_or_else(gone)?;
    let read = near(errand, tell, *of).await.map_err(|error| Undelivered::for_now(error.to_string()))?;
    let Some((last, before)) = read.split_last().filter(|(last, _)| last.seq == *of) else {
        return Err(Undelivered::for_good("what it was to tell of is not in the journal any more"));
    };
    let letter = Letter::of((*notice, *topic), last, &said(before, last), &tell.state);
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
