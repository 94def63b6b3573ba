//! Reads `/proc`: which processes there are, whose they are, and what they are marked with.
//!
//! Invariant: a process is known by its number and its start time together, since numbers are used again.

#![expect(clippy::disallowed_methods, reason = "`/proc` is no storage: it is how processes are seen")]

use std::collections::{HashMap, HashSet};

use rustix::process::{Pid, PidfdFlags, Signal};

/// The variable that all processes of a call carry, unless they shed it.
pub(crate) const MARK: &str = "OUTLIVE_CALL";

/// One process at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Process {
    pub pid: i32,
    pub parent: i32,
    pub group: i32,
    pub session: i32,
    /// Clock ticks from boot to its start.
    pub start: u64,
    /// Dead, but not yet collected by its parent.
    pub zombie: bool,
}

impl Process {
    /// Returns the process of this number.
    pub fn of(pid: i32) -> Option<Self> {
        let text = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
        // The name may hold anything, brackets and spaces included: what follows its last bracket is plain.
        let after = text.iter().rposition(|byte| *byte == b')')? + 1;
        let fields: Vec<&str> = std::str::from_utf8(&text[after..]).ok()?.split_ascii_whitespace().collect();
        let number = |index: usize| fields.get(index)?.parse::<i32>().ok();
        Some(Self {
            pid,
            zombie: matches!(*fields.first()?, "Z" | "X"),
            parent: number(1)?,
            group: number(2)?,
            session: number(3)?,
            start: fields.get(19)?.parse().ok()?,
        })
    }

    /// Whether it carries the mark of this call.
    pub fn is_marked(&self, call: &str) -> bool {
        let environment = std::fs::read(format!("/proc/{}/environ", self.pid)).unwrap_or_default();
        let expected = format!("{MARK}={call}");
        environment.split(|byte| *byte == 0).any(|entry| entry == expected.as_bytes())
    }

    /// Whether it is the first process of a namespace of its own.
    pub fn begins_namespace(&self) -> bool {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap_or_default();
        let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
        // One number for each namespace, from ours inwards.
        numbers.is_some_and(|numbers| numbers.split_ascii_whitespace().skip(1).last() == Some("1"))
    }

    /// Sends a signal to exactly this process, never to one that has its number now.
    pub fn signal(&self, signal: Signal) {
        let Some(pid) = Pid::from_raw(self.pid) else { return };
        let opened = rustix::process::pidfd_open(pid, PidfdFlags::empty());
        if Self::of(self.pid).is_none_or(|now| now.start != self.start) {
            return;
        }
        // It may be gone already: that is what was wanted.
        let _gone = match opened {
            Ok(exact) => rustix::process::pidfd_send_signal(exact, signal),
            Err(_old_kernel) => rustix::process::kill_process(pid, signal),
        };
    }
}

/// Returns all processes.
pub(crate) fn all() -> Vec<Process> {
    let Ok(listed) = std::fs::read_dir("/proc") else { return Vec::new() };
    let numbers = listed.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    numbers.filter_map(Process::of).collect()
}

/// Adds to `members` whatever descends from one of them.
pub(crate) fn add_descendants(members: &mut Vec<Process>, all: &[Process]) {
    let mut children: HashMap<i32, Vec<Process>> = HashMap::new();
    for process in all {
        children.entry(process.parent).or_default().push(*process);
    }
    let mut known: HashSet<i32> = members.iter().map(|member| member.pid).collect();
    let mut next = 0;
    while let Some(parent) = members.get(next) {
        let born = children.remove(&parent.pid).unwrap_or_default();
        members.extend(born.into_iter().filter(|child| known.insert(child.pid)));
        next += 1;
    }
}

/// Returns what names this boot of the machine.
pub(crate) fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// Returns this process's number.
pub(crate) fn own() -> i32 {
    rustix::process::getpid().as_raw_nonzero().get()
}
