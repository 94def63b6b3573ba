//! The words of all messages, in memory: read anew for each question.

use outlive_core::context::{MessageItem, fold_messages};
use outlive_core::event::{Entry, Event};

use super::{Journal, Memory};
use crate::search::Asked;
use crate::{Catching, Found, Hit, Pending, Search, SearchQuery, StoreError};

impl Journal {
    fn entries(&self) -> Vec<Entry> {
        self.lines.iter().take(self.acknowledged).filter_map(|line| line.read().ok()).collect()
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "only the first event says whose session it is")]
fn agent(entries: &[Entry]) -> Option<String> {
    entries.iter().find_map(|entry| match &entry.event {
        Event::SessionCreated(created) => Some(created.agent.to_string()),
        _other => None,
    })
}

/// Says whether all of it is there, as words are.
fn has(item: &MessageItem, asked: &Asked) -> bool {
    let words = |text: &str| -> Vec<String> {
        text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
    };
    let said = words(&item.content);
    asked.0.iter().all(|term| {
        let wanted = words(term);
        let begins = term.ends_with('*');
        let fits = |(at, (wanted_word, said_word)): (usize, (&String, &String))| {
            if begins && at + 1 == wanted.len() { said_word.starts_with(wanted_word) } else { said_word == wanted_word }
        };
        said.windows(wanted.len().max(1)).any(|window| wanted.iter().zip(window).enumerate().all(fits))
    })
}

impl Search for Memory {
    fn find(&self, query: SearchQuery) -> Pending<'_, Result<Found, StoreError>> {
        Box::pin(async move {
            let asked = Asked::read(&query.text)?;
            let world = self.world();
            let mut hits = Vec::new();
            for (session, journal) in &world.journals {
                let entries = journal.entries();
                let wanted = query.session.is_none_or(|wanted| wanted == *session)
                    && (query.agent.is_none() || query.agent == agent(&entries));
                let items = if wanted && !asked.0.is_empty() { fold_messages(&entries) } else { Vec::new() };
                let fits = |item: &MessageItem| {
                    !item.content.is_empty() && query.role.is_none_or(|role| role == item.role) && has(item, &asked)
                };
                hits.extend(items.into_iter().filter(fits).map(|item| Hit {
                    session: *session,
                    seq: item.seq,
                    at: item.at,
                    role: item.role,
                    snippet: item.content,
                }));
            }
            hits.sort_by_key(|hit| std::cmp::Reverse((hit.at, hit.session, hit.seq)));
            let more = hits.len() > query.skip.saturating_add(query.limit);
            Ok(Found { hits: hits.into_iter().skip(query.skip).take(query.limit).collect(), more, behind: 0 })
        })
    }

    fn catching(&self) -> Pending<'_, Result<Catching, StoreError>> {
        Box::pin(async move { Ok(Catching { sessions: self.world().journals.len(), behind: 0 }) })
    }

    fn begin_anew(&self) -> Pending<'_, Result<Catching, StoreError>> {
        self.catching()
    }
}
