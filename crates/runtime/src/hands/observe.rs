//! Looks at what was said for what is to be remembered, a piece at a time, and reports what it found. Beside turns: it reads the
//! journal, never the actor.

use outlive_core::command::{Noted, Report};
use outlive_core::content::{Failure, FailureKind, Usage};
use outlive_core::id::Seq;
use outlive_core::memory::observe::{Known, Piece, read, request};
use outlive_core::memory::{Memory, reflect};

use super::Errand;
use super::keeper::{Notes, failure};
use crate::memory::{of_session, own, seen_by};

/// Bytes of a piece: at most, and however often looking failed.
const PIECE_BYTES: (usize, usize) = (64 << 10, 512);
/// Lines read at once.
const PAGE: usize = 512;
/// Lines before a piece in which the calls are whose results it may begin with.
const BEFORE: u64 = 256;

/// Looks, and reports.
pub(crate) async fn observe(errand: Errand, notes: Notes, to: Seq) {
    let from = notes.state.upkeep.memories.observed_to;
    let looked = look(&errand, &notes, (from, to)).await;
    let report = match looked {
        // Nothing was said that counts: nobody was asked.
        Ok((to, None)) => Report::Observed { to, model: None, answer: Ok((Vec::new(), Usage::default())) },
        Ok((to, Some(found))) => Report::Observed { to, model: Some(notes.kit.keeper.name.clone()), answer: Ok(found) },
        Err((to, failed)) => Report::Observed { to, model: None, answer: Err(failed) },
    };
    errand.report_read(report).await;
}

/// Condenses what is remembered of the session, and reports.
pub(crate) async fn reflect(errand: Errand, notes: Notes) {
    let answer = match of_session(&notes.shell, errand.session, notes.state.head).await {
        Ok(rows) => notes.condense(rows.live().into_iter().map(|row| row.memory.clone()).collect()).await,
        Err(error) => Err(unread(&error)),
    };
    let (read, model) = (notes.state.head, Some(notes.kit.keeper.name.clone()));
    errand.report_read(Report::Reflected { read, shown: Vec::new(), model, answer }).await;
}

type Found = (Vec<Memory>, Usage);
type Failed = (Failure, Usage);

/// Returns how far it looked, and what it found; or how far it would have.
async fn look(errand: &Errand, notes: &Notes, (from, to): (Seq, Seq)) -> Result<(Seq, Option<Found>), (Seq, Failed)> {
    let piece = piece(errand, notes, (from, to)).await.map_err(|error| (to, unread(&error)))?;
    if piece.is_empty() {
        return Ok((piece.to.max(to), None));
    }
    let found = ask(errand, notes, &piece).await.map_err(|failed| (piece.to, failed))?;
    Ok((piece.to, Some(found)))
}

fn unread(error: &outlive_store::StoreError) -> Failed {
    (failure(FailureKind::Network, &error.to_string()), Usage::default())
}

async fn ask(errand: &Errand, notes: &Notes, piece: &Piece) -> Noted {
    let unread = |error| unread(&error);
    let rows = of_session(&notes.shell, errand.session, notes.state.head).await.map_err(unread)?;
    let others = seen_by(&notes.shell.store, &notes.state, &rows).await.map_err(unread)?;
    let own = own(&notes.shell.store, errand.session, &rows).await.map_err(unread)?;
    let known = Known::of(others.into_iter().chain(own).collect()).within(room(notes) / 2);
    let (text, usage) = notes.ask(request(piece, &known, notes.shell.moments.now())).await?;
    let has_project = notes.state.profile.as_ref().is_some_and(|profile| profile.project.is_some());
    let off = |why: String| (failure(FailureKind::OffSchema, &why), usage);
    Ok((read(&text, piece, &known, has_project).map_err(off)?, usage))
}

/// Bytes of a piece: half of the window, at three bytes a token, and less where it failed before.
fn room(notes: &Notes) -> usize {
    let window = usize::try_from(notes.kit.keeper.window.usable()).unwrap_or(usize::MAX);
    (window.saturating_mul(3) / 2).min(PIECE_BYTES.0) >> notes.state.upkeep.memories.failures.min(8)
}

/// Reads as much as is looked at in one go. What failed before is looked at in smaller pieces.
async fn piece(errand: &Errand, notes: &Notes, (from, to): (Seq, Seq)) -> Result<Piece, outlive_store::StoreError> {
    let mut aside = notes.state.profile.as_ref().map(|profile| profile.aside.clone()).unwrap_or_default();
    aside.extend(&notes.state.upkeep.memories.unheard);
    let redactor = errand.secrets.now();
    let mut piece = Piece::behind(from, room(notes).max(PIECE_BYTES.1));
    let before = from.saturating_sub(BEFORE);
    let earlier = notes.shell.store.journals.read(errand.session, before, PAGE).await?.lines;
    for line in earlier.iter().filter(|line| line.seq() <= from && line.as_str().contains("\"step.finished\"")) {
        piece.look_back(&crate::load::read(errand.session, line)?);
    }
    while piece.to < to {
        let lines = notes.shell.store.journals.read(errand.session, piece.to, PAGE).await?.lines;
        if lines.is_empty() {
            break;
        }
        for line in lines.iter().filter(|line| line.seq() <= to) {
            let clean = line.redacted(&redactor).ok().flatten();
            if !piece.take(&crate::load::read(errand.session, clean.as_ref().unwrap_or(line))?, &aside) {
                return Ok(piece);
            }
        }
    }
    Ok(piece)
}

impl Notes {
    /// Has notes condensed, the newest where there are many: those before them were looked at before.
    pub(crate) async fn condense(&self, memories: Vec<Memory>) -> Noted {
        if memories.len() < 2 {
            return Ok((Vec::new(), Usage::default()));
        }
        let known = Known::of(memories);
        let (text, usage) = self.ask(reflect::request(&known, self.shell.moments.now())).await?;
        let off = |why: String| (failure(FailureKind::OffSchema, &why), usage);
        Ok((reflect::read(&text, &known).map_err(off)?, usage))
    }
}
