//! Which request ids were answered, and how: the same id gets the same answer, with no second effect.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::event::Asked;
use crate::id::{RequestId, Seq, TurnId};
use crate::limits::REQUESTS_REMEMBERED;

/// Request ids of the newest writes, oldest forgotten first, but for the one that made the session.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(from = "Vec<Remembered>", into = "Vec<Remembered>")]
pub struct Requests {
    order: VecDeque<RequestId>,
    by_id: BTreeMap<RequestId, Remembered>,
}

/// One answered request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Remembered {
    /// The client's name for it.
    pub request_id: RequestId,
    /// Digest of what was asked.
    pub digest: String,
    /// The first event that it caused.
    pub seq: Seq,
    /// The turn of that event.
    pub turn: Option<TurnId>,
}

impl Requests {
    /// Returns what was answered to this id.
    #[must_use]
    pub fn get(&self, id: &RequestId) -> Option<&Remembered> {
        self.by_id.get(id)
    }

    /// Remembers an answer.
    pub fn remember(&mut self, asked: &Asked, seq: Seq, turn: Option<TurnId>) {
        let id = asked.request_id.clone();
        let entry = Remembered { request_id: id.clone(), digest: asked.request_digest.clone(), seq, turn };
        if self.by_id.insert(id.clone(), entry).is_none() {
            self.order.push_back(id);
        }
        while self.order.len() > REQUESTS_REMEMBERED {
            // Who made the session may ask again at any time: the first answer is never forgotten.
            let oldest =
                self.order.front().and_then(|id| self.by_id.get(id)).map_or(0, |first| usize::from(first.seq == 1));
            if let Some(oldest) = self.order.remove(oldest) {
                self.by_id.remove(&oldest);
            }
        }
    }
}

impl From<Vec<Remembered>> for Requests {
    fn from(list: Vec<Remembered>) -> Self {
        let order = list.iter().map(|r| r.request_id.clone()).collect();
        Self { order, by_id: list.into_iter().map(|r| (r.request_id.clone(), r)).collect() }
    }
}

impl From<Requests> for Vec<Remembered> {
    fn from(mut requests: Requests) -> Self {
        requests.order.iter().filter_map(|id| requests.by_id.remove(id)).collect()
    }
}
