//! Identifiers: a prefix that names the kind, then a ULID. An id from outside is matched whole before it reaches storage.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use ulid::{ULID_LEN, Ulid};

/// An id that does not have the form its kind asks for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not a {kind} id: expected `{prefix}` and 26 characters of Crockford base 32")]
pub struct IdError {
    kind: &'static str,
    prefix: &'static str,
    given: String,
}

/// How much of a bad id an error repeats.
const SHOWN: usize = 80;

fn parse_ulid(kind: &'static str, prefix: &'static str, text: &str) -> Result<Ulid, IdError> {
    let refuse = || IdError { kind, prefix, given: text.chars().take(SHOWN).collect() };
    let rest = text.strip_prefix(prefix).ok_or_else(refuse)?;
    let canonical = rest.len() == ULID_LEN && rest.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase());
    let ulid = if canonical { Ulid::from_string(rest).map_err(|_| refuse())? } else { return Err(refuse()) };
    // A ULID above 128 bits or with aliases of a digit has a second spelling: only the canonical one is an id.
    if ulid.array_to_str(&mut [0; ULID_LEN]) == rest { Ok(ulid) } else { Err(refuse()) }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Ulid);

        impl $name {
            /// What each id of this kind begins with.
            pub const PREFIX: &'static str = $prefix;

            /// Makes an id of these 128 bits: 48 of time in milliseconds, 80 of entropy.
            #[must_use]
            pub fn from_bits(bits: u128) -> Self {
                Self(Ulid(bits))
            }

            /// Returns the 128 bits.
            #[must_use]
            pub fn bits(self) -> u128 {
                self.0.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                parse_ulid($kind, $prefix, text).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id!(/** One durable conversation; also the name of its journal. */ SessionId, "ses_", "session");
id!(/** All that happens from one input to one ending. */ TurnId, "trn_", "turn");
id!(/** One request of the model to act. */ CallId, "call_", "call");
id!(/** One question of an agent to a person. */ QuestionId, "qst_", "question");
id!(/** One queued follow-up. */ InputId, "inp_", "input");
id!(/** One thing that is waited for. */ WaitId, "wait_", "wait");
id!(/** One time that somebody is told of something. */ NoticeId, "ntc_", "notice");
id!(/** One making of a checkpoint. */ CompactionId, "cmp_", "compaction");
id!(/** One version of a session's summary. */ CheckpointId, "chk_", "checkpoint");
id!(/** One fact that an agent remembers. */ MemoryId, "mem_", "memory");
id!(/** Something that is to be done at times; also the name of its journal. */ ScheduleId, "sch_", "schedule");
id!(/** One time that a schedule is due, whatever it takes to do it. */ RunId, "run_", "run");

/// A client's own name for a write, so that sending it twice acts once: 1 to 128 visible ASCII characters.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize)]
pub struct RequestId(String);

/// A request id that is empty, too long or not visible ASCII.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a request id has 1 to 128 visible ASCII characters without spaces")]
pub struct RequestIdError;

impl RequestId {
    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RequestId {
    type Err = RequestIdError;
    fn from_str(text: &str) -> Result<Self, RequestIdError> {
        let fits = (1..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        if fits { Ok(Self(text.to_owned())) } else { Err(RequestIdError) }
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for RequestId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// An agent's name: `^[a-z][a-z0-9-]{0,62}$`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize)]
pub struct AgentName(String);

/// A name that does not match `^[a-z][a-z0-9-]{0,62}$`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an agent name: a lowercase letter, then up to 62 of `a-z`, `0-9` and `-`")]
pub struct AgentNameError(String);

impl AgentName {
    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AgentName {
    type Err = AgentNameError;
    fn from_str(text: &str) -> Result<Self, AgentNameError> {
        let fits = text.len() <= 63
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if fits { Ok(Self(text.to_owned())) } else { Err(AgentNameError(text.chars().take(SHOWN).collect())) }
    }
}

impl fmt::Display for AgentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for AgentName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A position in a journal. The first event has 1; 0 is the head of an empty journal.
pub type Seq = u64;

/// Fresh ids of one moment: the shell brings 128 bits of time and entropy, the core counts up from them.
///
/// Two sources made of different bits give different ids, as far apart as the entropy is.
#[derive(Debug, Clone)]
pub struct Ids(u128);

impl Ids {
    /// Starts at these bits: 48 of milliseconds since 1970, 80 of entropy.
    #[must_use]
    pub fn from_bits(bits: u128) -> Self {
        Self(bits)
    }

    /// Returns bits that this source has not returned before.
    pub fn fresh(&mut self) -> u128 {
        let bits = self.0;
        self.0 = self.0.wrapping_add(1);
        bits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_as_it_was_written() {
        let id = SessionId::from_bits(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);
        assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[test]
    fn an_id_from_outside_is_matched_whole() {
        let good = SessionId::from_bits(0xABCDEF).to_string();
        for bad in [
            "",
            "ses_",
            "trn_00000000000000000000000007",
            "ses_0000000000000000000000000",
            "ses_../../etc/passwd",
            "ses_000000000000000000000000i7",
            "ses_00000000000000000000000O07",
            "ses_80000000000000000000000000",
            &format!("{good}\n"),
            &format!(" {good}"),
            &good.to_lowercase(),
            &format!("{good}0"),
        ] {
            assert!(bad.parse::<SessionId>().is_err(), "{bad:?}");
        }
        assert!(good.parse::<SessionId>().is_ok());
    }

    #[test]
    fn an_agent_name_is_a_safe_folder_name() {
        for bad in ["", "..", "A", "9a", "a/b", "a.b", "-a", &"a".repeat(64)] {
            assert!(bad.parse::<AgentName>().is_err(), "{bad:?}");
        }
        assert!("a-9".parse::<AgentName>().is_ok());
    }
}
