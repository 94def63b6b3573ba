//! What was used today, over all sessions: what budgets of a day are held against.
//!
//! A fold, like a list: each session's journal says what it used on which day, and the ledger only adds that up. It is read
//! from the sessions that the list shows as changed today, and those of which it could not tell at the start, once, when
//! the first budget of a day asks; from then on each session notes what its own journal has come to.
//!
//! Invariant: what running steps may still use is set aside before they are asked, so that sessions beside each other do
//! not spend the same money twice. What is set aside is given back when its step is recorded, or its actor is gone.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use outlive_core::budget::Grant;
use outlive_core::content::Usage;
use outlive_core::event::TurnError;
use outlive_core::id::{AgentName, SessionId};
use outlive_core::session::State;
use outlive_store::{ListQuery, Sort, Store, StoreError};
use tokio::sync::OnceCell;

use crate::load;

/// Rows read at once.
const PAGE: usize = 500;
const DAY_MICROS: i64 = 86_400_000_000;

/// What was used today. Clones are the same one.
#[derive(Clone, Default)]
pub(crate) struct Ledger(Arc<Inner>);

#[derive(Default)]
struct Inner {
    books: Mutex<Books>,
    /// Set once what was used before this start is in the books.
    read: OnceCell<()>,
}

#[derive(Default)]
struct Books {
    /// In days since 1970.
    day: i64,
    accounts: HashMap<SessionId, Account>,
    /// Sessions of which the list could not tell at the start.
    unsettled: Vec<SessionId>,
    /// Counts what was set aside, to tell one from the next.
    serial: u64,
}

/// One session's.
struct Account {
    agent: AgentName,
    used: Usage,
    aside: Option<(u64, Usage)>,
}

/// Who asks for a step, and what its own journal says it used today.
pub(crate) struct Claim {
    pub(crate) session: SessionId,
    pub(crate) agent: AgentName,
    pub(crate) day: i64,
    pub(crate) used: Usage,
}

/// Sums of a day, with what is set aside for others.
pub(crate) struct Sums {
    /// Of all the agent's sessions.
    pub(crate) agent: Usage,
    /// Of all sessions.
    pub(crate) workspace: Usage,
}

/// What is set aside for a step. Given back when dropped.
pub(crate) struct Aside {
    ledger: Ledger,
    session: SessionId,
    serial: u64,
}

impl Ledger {
    /// Makes an empty one, of a workspace whose list cannot tell of these sessions.
    pub(crate) fn new(unsettled: Vec<SessionId>) -> Self {
        let books = Mutex::new(Books { unsettled, ..Books::default() });
        Self(Arc::new(Inner { books, read: OnceCell::new() }))
    }

    /// Reads what was used today before this start, once.
    pub(crate) async fn open(&self, store: &Store, day: i64) -> Result<(), StoreError> {
        let read = self.0.read.get_or_try_init(|| async {
            let unsettled = self.lock().unsettled.clone();
            for session in changed_since(store, day.saturating_mul(DAY_MICROS), unsettled).await? {
                match load::state(store, session).await {
                    Ok(loaded) => self.add(session, &loaded.state),
                    Err(error @ (StoreError::Corrupt { .. } | StoreError::NotFound(_))) => {
                        tracing::warn!(%session, %error, "what the session used today is not counted");
                    }
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        });
        read.await.copied()
    }

    /// Takes down what a session's journal says it used: all of it is durable.
    pub(crate) fn note(&self, session: SessionId, state: &State) {
        let Some(profile) = &state.profile else { return };
        let spent = &state.totals.spent;
        if spent.is_empty() {
            return;
        }
        let mut books = self.lock();
        books.turn_to(spent.day);
        if spent.day == books.day {
            books.account(session, &profile.agent).used = spent.today;
        }
    }

    /// As [`Ledger::note`], where the session itself has not said more since.
    fn add(&self, session: SessionId, state: &State) {
        if !self.lock().accounts.contains_key(&session) {
            self.note(session, state);
        }
    }

    /// Asks whether a step may be asked, with the sums of the day; what is granted is set aside for it. Nobody else is
    /// asked meanwhile.
    pub(crate) fn claim(
        &self,
        claim: &Claim,
        grant: impl FnOnce(&Sums) -> Result<Grant, TurnError>,
    ) -> Result<(Grant, Aside), TurnError> {
        let mut books = self.lock();
        books.turn_to(claim.day);
        let granted = grant(&books.sums(claim))?;
        books.serial += 1;
        let serial = books.serial;
        let account = books.account(claim.session, &claim.agent);
        (account.used, account.aside) = (claim.used, Some((serial, granted.most)));
        Ok((granted, Aside { ledger: self.clone(), session: claim.session, serial }))
    }

    fn lock(&self) -> MutexGuard<'_, Books> {
        self.0.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Books {
    /// Begins a new day; the clock may go back, the books do not.
    fn turn_to(&mut self, day: i64) {
        if day > self.day {
            self.day = day;
            self.accounts.retain(|_, account| account.aside.is_some());
            self.accounts.values_mut().for_each(|account| account.used = Usage::default());
        }
    }

    fn account(&mut self, session: SessionId, agent: &AgentName) -> &mut Account {
        let new = || Account { agent: agent.clone(), used: Usage::default(), aside: None };
        self.accounts.entry(session).or_insert_with(new)
    }

    fn sums(&self, claim: &Claim) -> Sums {
        let mut sums = Sums { agent: claim.used, workspace: claim.used };
        for (_, other) in self.accounts.iter().filter(|(session, _)| **session != claim.session) {
            let mut used = other.used;
            used.add(other.aside.map(|(_, most)| most).unwrap_or_default());
            sums.workspace.add(used);
            if other.agent == claim.agent {
                sums.agent.add(used);
            }
        }
        sums
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        let mut books = self.ledger.lock();
        if let Some(account) = books.accounts.get_mut(&self.session) {
            account.aside.take_if(|(serial, _)| *serial == self.serial);
        }
    }
}

/// Returns the sessions that may have used something since then: these, and those that the list knows of.
async fn changed_since(store: &Store, micros: i64, unsettled: Vec<SessionId>) -> Result<Vec<SessionId>, StoreError> {
    let (mut sessions, mut after) = (unsettled, None);
    loop {
        let query = ListQuery { sort: Sort::Updated, limit: PAGE, after, ..ListQuery::default() };
        let rows = store.index.list(query).await?;
        after = rows.last().map(|row| row.place(Sort::Updated));
        let is_last = rows.len() < PAGE || rows.last().is_some_and(|row| row.updated_at < micros);
        sessions.extend(rows.iter().filter(|row| row.updated_at >= micros).map(|row| row.session));
        if is_last {
            sessions.sort_unstable();
            sessions.dedup();
            return Ok(sessions);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(session: u128, agent: &str, day: i64) -> Claim {
        Claim { session: SessionId::from_bits(session), agent: agent.parse().unwrap(), day, used: Usage::default() }
    }

    fn most(tokens: u64) -> Grant {
        Grant { capped: None, most: Usage { input_tokens: tokens, steps: 1, ..Usage::default() } }
    }

    /// What the session is told that was used, by its agent and by all.
    fn told(ledger: &Ledger, claim: &Claim) -> (u64, u64) {
        let mut told = (0, 0);
        let refused = ledger.claim(claim, |sums| {
            told = (sums.agent.tokens(), sums.workspace.tokens());
            Err(TurnError { code: String::new(), message: String::new() })
        });
        assert!(refused.is_err());
        told
    }

    #[test]
    fn what_is_set_aside_for_one_session_is_not_there_for_another_until_it_is_given_back() {
        let ledger = Ledger::default();
        let (_, first) = ledger.claim(&claim(1, "a", 5), |_| Ok(most(100))).unwrap();
        let (_, _other) = ledger.claim(&claim(2, "b", 5), |_| Ok(most(7))).unwrap();
        assert_eq!(told(&ledger, &claim(3, "a", 5)), (100, 107));
        assert_eq!(told(&ledger, &claim(1, "a", 5)), (0, 7), "its own is not held against it");
        let (_, second) = ledger.claim(&claim(1, "a", 5), |_| Ok(most(40))).unwrap();
        drop(first);
        assert_eq!(told(&ledger, &claim(3, "a", 5)), (40, 47), "an older step gives back only its own");
        drop(second);
        assert_eq!(told(&ledger, &claim(3, "a", 5)), (0, 7));
    }

    #[test]
    fn a_new_day_begins_with_nothing_but_what_runs() {
        let ledger = Ledger::default();
        let used = Usage { output_tokens: 50, ..Usage::default() };
        let (_, running) = ledger.claim(&Claim { used, ..claim(1, "a", 5) }, |_| Ok(most(100))).unwrap();
        assert_eq!(told(&ledger, &claim(2, "a", 5)), (150, 150));
        assert_eq!(told(&ledger, &claim(2, "a", 6)), (100, 100));
        drop(running);
        assert_eq!(told(&ledger, &claim(2, "a", 5)), (0, 0), "the books do not go back");
    }
}
