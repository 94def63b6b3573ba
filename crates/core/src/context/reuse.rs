//! How much of each request was sent before, byte for byte from its beginning: what a provider need not read again.

use crate::content::{Message, Request};

use super::transcript::size;

/// A sum over requests that follow each other.
#[derive(Debug, Default)]
pub struct Reuse {
    last: Option<Request>,
    again: u64,
    sent: u64,
}

impl Reuse {
    /// Adds the next request.
    pub fn add(&mut self, request: &Request) {
        if let Some(last) = self.last.replace(request.clone()) {
            self.again += common(&last, request);
            self.sent += bytes(request);
        }
    }

    /// What comes next is of another conversation.
    pub fn part(&mut self) {
        self.last = None;
    }

    /// Returns which part of what was sent was sent before, of all requests but the first of each conversation.
    #[must_use]
    pub fn rate(&self) -> f64 {
        if self.sent == 0 { 1.0 } else { self.again as f64 / self.sent as f64 }
    }
}

fn of(message: &Message) -> u64 {
    message.content.iter().map(size).sum()
}

fn offer(request: &Request) -> u64 {
    // Structs of strings and JSON values always serialize.
    serde_json::to_string(&*request.tools).unwrap_or_default().len() as u64
}

fn bytes(request: &Request) -> u64 {
    let system: usize = request.system.iter().map(String::len).sum();
    offer(request) + system as u64 + request.messages.iter().map(|message| of(message)).sum::<u64>()
}

/// Bytes that both begin with, by whole blocks and messages: tools, system prompt, conversation.
fn common(last: &Request, next: &Request) -> u64 {
    if last.tools != next.tools {
        return 0;
    }
    let blocks = last.system.iter().zip(&*next.system).take_while(|(one, other)| one == other);
    let (count, system) = blocks.fold((0, 0), |(count, sum), (block, _)| (count + 1, sum + block.len() as u64));
    if count < last.system.len().max(next.system.len()) {
        return offer(next) + system;
    }
    let same = last.messages.iter().zip(&next.messages).take_while(|(one, other)| one == other);
    offer(next) + system + same.map(|(message, _)| of(message)).sum::<u64>()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::content::{Block, Role};

    fn request(system: &[&str], said: &[&str]) -> Request {
        let message = |text: &&str| {
            let content = vec![Block::Text { text: (*text).to_owned() }];
            Arc::new(Message { role: Role::User, content })
        };
        Request {
            system: system.iter().map(|block| (*block).to_owned()).collect(),
            messages: said.iter().map(message).collect(),
            ..Request::default()
        }
    }

    #[test]
    fn what_follows_the_first_difference_is_sent_anew() {
        let check = |next: Request, again: u64| {
            let mut reuse = Reuse::default();
            reuse.add(&request(&["who", "notes"], &["one", "two"]));
            reuse.add(&next);
            assert_eq!((reuse.again, reuse.sent), (again + 2, bytes(&next)));
        };
        check(request(&["who", "notes"], &["one", "two", "three"]), 14);
        check(request(&["who", "notes"], &["one", "Two", "three"]), 11);
        check(request(&["who", "Notes"], &["one", "two", "three"]), 3);
        check(request(&["who"], &["one", "two"]), 3);
    }
}
