//! `chat` and `attach` in a real terminal, typed into and looked at through tmux.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test of real processes and files; one that cannot go on has failed"
)]

use std::cell::Cell;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// A terminal with a home of its own. Its programs and its server end with it.
struct Terminal {
    home: tempfile::TempDir,
    /// Each start has a tmux of its own: one that ends is in the way of the next.
    starts: Cell<u32>,
}

const OUTLIVE: &str = env!("CARGO_BIN_EXE_outlive");

impl Terminal {
    fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap(), starts: Cell::default() }
    }

    fn tmux(&self, arguments: &[&str]) -> Output {
        let socket = self.home.path().join(format!("tmux-{}", self.starts.get()));
        let mut tmux = Command::new("tmux");
        tmux.arg("-S").arg(socket).args(["-f", "/dev/null"]).args(arguments).env("HOME", self.home.path());
        for key in
            ["ANTHROPIC_API_KEY", "OPENAI_API_KEY", "OPENROUTER_API_KEY", "OUTLIVE_TOKEN", "OUTLIVE_WORKSPACE", "TMUX"]
        {
            tmux.env_remove(key);
        }
        tmux.output().unwrap_or_else(|error| panic!("tmux does not run ({error}): apt-get install tmux"))
    }

    /// Starts a command in a fresh terminal.
    fn start(&self, words: &str) {
        self.tmux(&["kill-server"]);
        self.starts.set(self.starts.get() + 1);
        let home = self.home.path().display();
        let line =
            format!("cd {home}; LANG=C.UTF-8 {OUTLIVE} --workspace {home} {words}; echo ended with $?; sleep 600");
        let started = self.tmux(&["-u", "new-session", "-d", "-s", "t", "-x", "100", "-y", "40", &line]);
        assert!(started.status.success(), "{started:?}");
    }

    fn keys(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys", "-t", "t"], keys].concat());
    }

    /// All that was printed, the newest last.
    fn shown(&self) -> String {
        let shown = self.tmux(&["capture-pane", "-p", "-J", "-S", "-2000", "-t", "t"]);
        String::from_utf8_lossy(&shown.stdout).trim_end().to_owned()
    }

    /// Waits until what is shown fits, and returns it.
    fn until(&self, what: &str, fits: impl Fn(&str) -> bool) -> String {
        let began = Instant::now();
        loop {
            let shown = self.shown();
            if fits(&shown) {
                return shown;
            }
            assert!(began.elapsed() < Duration::from_secs(60), "never seen: {what}\n{shown}");
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    fn until_shown(&self, what: &str) -> String {
        self.until(what, |shown| shown.contains(what))
    }

    /// Waits for the last line, the status.
    fn until_status(&self, what: &str) -> String {
        self.until(what, |shown| shown.lines().last().is_some_and(|line| line.contains(what)))
    }

    fn server(&self) -> Option<rustix::process::Pid> {
        let lock: PathBuf = self.home.path().join(".outlive/run/lock");
        let owner: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(lock).ok()?).ok()?;
        rustix::process::Pid::from_raw(owner["pid"].as_i64()?.try_into().ok()?)
    }

    fn kill_the_server(&self) {
        let pid = self.server().unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
        Command::new(OUTLIVE).arg("--workspace").arg(self.home.path()).args(["serve", "--stop"]).output().ok();
    }
}

fn count(shown: &str, what: &str) -> usize {
    shown.matches(what).count()
}

#[test]
fn a_command_is_asked_about_in_place_and_runs_before_ones_eyes() {
    let terminal = Terminal::new();
    terminal.start("chat");
    terminal.until_status("default · no model asked yet · 0 tokens · idle");
    terminal.keys(&["run echo 'out put' > made; cat made", "Enter"]);
    let shown = terminal.until_status("y = yes, once");
    assert!(shown.contains("bash wants to run:\n  echo 'out put' > made; cat made\n"), "{shown}");
    assert!(!terminal.home.path().join("made").exists(), "nobody has allowed it");
    terminal.keys(&["y", "Enter"]);
    let shown = terminal.until_status("tokens · idle");
    let shown = if shown.contains("That was all.") { shown } else { terminal.until_shown("That was all.") };
    assert!(shown.contains("⚙ bash echo 'out put' > made; cat made\nout put\n✓ done"), "{shown}");
    assert_eq!(count(&shown, "I am the rehearsal model"), 1, "{shown}");
    terminal.keys(&["C-d"]);
    terminal.until_shown("come back with: outlive attach ses_");
    terminal.until_shown("ended with 0");
}

#[test]
fn several_lines_are_typed_sent_and_found_again() {
    let terminal = Terminal::new();
    terminal.start("chat");
    terminal.until_status("idle");
    terminal.keys(&["help", "M-Enter", "of two lines"]);
    terminal.until_shown("› help\n  of two lines\n");
    terminal.keys(&["Enter"]);
    terminal.until_shown("I understand:");
    terminal.until_status("tokens · idle");
    terminal.start("chat");
    terminal.until_status("idle");
    terminal.keys(&["Up"]);
    terminal.until_shown("› help\n  of two lines\ndefault");
    terminal.keys(&["C-c"]);
    terminal.until("an empty line", |shown| shown.lines().rev().nth(1).is_some_and(|line| line.trim() == "›"));
    // A paste in brackets is typed, not sent.
    terminal.tmux(&["set-buffer", "pasted one\npasted two\n"]);
    terminal.tmux(&["paste-buffer", "-p", "-t", "t"]);
    terminal.until_shown("› pasted one\n  pasted two\n");
    assert!(terminal.until_status("idle").contains("0 tokens · idle"));
}

#[test]
fn control_c_stops_the_turn_and_what_is_typed_meanwhile_waits() {
    let terminal = Terminal::new();
    terminal.start("chat");
    terminal.until_status("idle");
    terminal.keys(&["wait 400", "Enter"]);
    terminal.until_status("y = yes, once");
    terminal.keys(&["y", "Enter"]);
    terminal.until_shown("1 of 400 s");
    terminal.keys(&["help", "Enter"]);
    terminal.until_status("1 queued");
    terminal.keys(&["C-c"]);
    terminal.until_shown("interrupted");
    terminal.until_shown("I understand:");
    terminal.until_status("tokens · idle");
}

#[test]
fn a_killed_server_comes_back_and_what_it_did_is_told_once() {
    let terminal = Terminal::new();
    terminal.start("chat");
    terminal.until_status("idle");
    terminal.keys(&["run echo begun; sleep 600", "Enter"]);
    terminal.until_status("y = yes, once");
    terminal.keys(&["y", "Enter"]);
    terminal.until_shown("\nbegun\n");
    terminal.keys(&["typed meanwhile"]);
    terminal.kill_the_server();
    terminal.until_shown("⟲ the process died");
    terminal.until_shown("That was all.");
    let shown = terminal.until_status("tokens · idle");
    assert_eq!(count(&shown, "\nbegun\n"), 1, "{shown}");
    assert_eq!(count(&shown, "I am the rehearsal model"), 1, "{shown}");
    assert!(shown.contains("\n› typed meanwhile\ndefault"), "what was typed stays: {shown}");
    // Who comes back later reads the same story.
    terminal.start("attach");
    let shown = terminal.until_shown("That was all.");
    assert!(shown.contains("⟲ the process died"), "{shown}");
    terminal.until_status("tokens · idle");
}

#[test]
fn an_answer_that_a_kill_cut_is_marked_and_printed_anew() {
    let terminal = Terminal::new();
    terminal.start("chat");
    terminal.until_status("idle");
    terminal.keys(&["help", "Enter"]);
    terminal.until_shown("I am the rehearsal model");
    terminal.kill_the_server();
    terminal.until_shown("joined by");
    let shown = terminal.until_status("tokens · idle");
    let (void, anew) =
        shown.split_once("(asked again: what was shown of this answer is void)").unwrap_or_else(|| panic!("{shown}"));
    assert_eq!(count(void, "I am the rehearsal model"), 1, "{shown}");
    assert_eq!(count(anew, "I am the rehearsal model"), 1, "{shown}");
    assert_eq!(count(anew, "I understand:"), 1, "{shown}");
}
