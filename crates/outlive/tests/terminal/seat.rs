//! A person's seat: a home of their own, a shell in a tmux of its own, keys to press and a screen to look at. All of it is
//! gone when the seat is left.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

const BINARY: &str = env!("CARGO_BIN_EXE_outlive");
/// Time for a screen to show what it must, on a machine that has much else to do.
const PATIENCE: Duration = Duration::from_secs(60);

pub enum Key {
    Enter,
    AltEnter,
    Tab,
    Up,
    PageUp,
    Char(char),
    Control(char),
}

pub struct Seat {
    home: tempfile::TempDir,
}

impl Seat {
    /// Starts a shell in a terminal of 140 columns.
    pub fn take() -> Self {
        let seat = Self { home: tempfile::tempdir().unwrap() };
        let path = Path::new(BINARY).parent().unwrap().display().to_string();
        let shell = format!("PATH={path}:$PATH PS1='shell$ ' exec sh");
        seat.tmux(&["new-session", "-d", "-x", "140", "-y", "45", &shell]);
        seat.sees("shell$");
        seat
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("HOME", self.home.path()).env("TMUX_TMPDIR", self.home.path()).current_dir(self.home.path());
        command.env("LC_ALL", "C.UTF-8").env("OUTLIVE_LOG", "error").stdin(Stdio::null());
        let keys = outlive_model::PROVIDERS.into_iter().filter_map(outlive_model::key_variable);
        for key in keys.chain(["OUTLIVE_TOKEN", "OUTLIVE_WORKSPACE", "TMUX", "NO_COLOR", "XDG_STATE_HOME", "ENV"]) {
            command.env_remove(key);
        }
        command
    }

    /// A file at home, where the shell is.
    pub fn has_file(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.home.path().join(name), bytes).unwrap();
    }

    fn tmux(&self, arguments: &[&str]) -> Output {
        let mut tmux = self.command("tmux");
        let output = tmux.args(["-L", "outlive", "-u", "-f", "/dev/null"]).args(arguments).output();
        let output = output.unwrap_or_else(|error| panic!("tmux is needed (apt-get install tmux): {error}"));
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        output
    }

    pub fn types(&self, text: &str) {
        self.tmux(&["send-keys", "-l", text]);
    }

    pub fn enters(&self, text: &str) {
        self.types(text);
        self.press(&[Key::Enter]);
    }

    /// Begins a new conversation.
    pub fn chats(&self) {
        self.enters("outlive chat");
        self.sees("tokens · idle");
    }

    pub fn press(&self, keys: &[Key]) {
        for key in keys {
            let name = match key {
                Key::Enter => "Enter".to_owned(),
                Key::PageUp => "PPage".to_owned(),
                Key::AltEnter => "M-Enter".to_owned(),
                Key::Tab => "Tab".to_owned(),
                Key::Up => "Up".to_owned(),
                Key::Char(c) => c.to_string(),
                Key::Control(c) => format!("C-{c}"),
            };
            self.tmux(&["send-keys", &name]);
        }
    }

    pub fn pastes(&self, text: &str) {
        self.tmux(&["set-buffer", text]);
        self.tmux(&["paste-buffer", "-p"]);
    }

    pub fn resize(&self, columns: u32, rows: u32) {
        self.tmux(&["resize-window", "-x", &columns.to_string(), "-y", &rows.to_string()]);
    }

    fn capture(&self, more: &[&str]) -> String {
        let shown = self.tmux(&[&["capture-pane", "-p"], more].concat());
        String::from_utf8_lossy(&shown.stdout).into_owned()
    }

    fn screen(&self) -> String {
        self.capture(&[]).lines().map(|line| format!("{}\n", line.trim_end())).collect()
    }

    /// All that was ever on the screen, long lines joined.
    pub fn all(&self) -> String {
        self.capture(&["-J", "-S", "-"]).lines().map(|line| format!("{}\n", line.trim_end())).collect()
    }

    pub fn count(&self, text: &str) -> usize {
        self.all().matches(text).count()
    }

    /// What output could have changed: the alternate screen, the title, the cursor's flag, the scroll region.
    pub fn state(&self) -> String {
        let format = "#{alternate_on} #{pane_title} #{cursor_flag} #{scroll_region_upper} #{scroll_region_lower}";
        String::from_utf8_lossy(&self.tmux(&["display-message", "-p", format]).stdout).into_owned()
    }

    /// SIGTERM to the chat.
    pub fn ends_the_chat(&self) {
        let shell = String::from_utf8_lossy(&self.tmux(&["display-message", "-p", "#{pane_pid}"]).stdout).into_owned();
        let shell = shell.trim();
        let chat = std::fs::read_to_string(format!("/proc/{shell}/task/{shell}/children")).unwrap();
        kill_process(Pid::from_raw(chat.trim().parse().unwrap()).unwrap(), Signal::TERM).unwrap();
    }

    /// Waits until the screen shows this.
    pub fn sees(&self, text: &str) {
        self.waits(text, |screen| screen.contains(text).then_some(()));
    }

    /// Waits for a line that holds this, and returns it.
    pub fn sees_line(&self, text: &str) -> String {
        self.waits(text, |screen| screen.lines().find(|line| line.contains(text)).map(str::to_owned))
    }

    /// Waits until the shell has the terminal back, as it was: it echoes and reads lines.
    pub fn sees_shell(&self) {
        self.waits("shell$", |screen| screen.trim_end().ends_with("shell$").then_some(()));
        self.enters("stty -a | tr ' ;' '\\n\\n' | grep -x -e icanon -e echo | tr '\\n' +");
        self.sees("icanon+echo+");
    }

    /// Waits until the screen has shown this, scrolled away or not.
    pub fn has_seen(&self, text: &str) {
        self.waits_for(text, || self.all().contains(text).then_some(()));
    }

    fn waits<T>(&self, what: &str, found: impl Fn(&str) -> Option<T>) -> T {
        self.waits_for(what, || found(&self.screen()))
    }

    fn waits_for<T>(&self, what: &str, found: impl Fn() -> Option<T>) -> T {
        let began = Instant::now();
        loop {
            if let Some(found) = found() {
                return found;
            }
            let late = began.elapsed() > PATIENCE;
            assert!(!late, "the screen never shows {what:?}:\n{}\n{}", self.log(), self.screen());
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.home.path().join(".outlive/run/server.log")).unwrap_or_default()
    }

    /// The server's process, if one runs.
    pub fn server(&self) -> Option<i32> {
        let lock = std::fs::read_to_string(self.home.path().join(".outlive/run/lock")).ok()?;
        let owner: serde_json::Value = serde_json::from_str(&lock).ok()?;
        let pid = i32::try_from(owner["pid"].as_i64()?).ok()?;
        // A number that was given to another process since then is not ours.
        let command = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).ok()?;
        command.contains(self.home.path().to_str()?).then_some(pid)
    }

    /// SIGKILL.
    pub fn kill_the_server(&self) -> i32 {
        let pid = self.server().unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
        pid
    }

    /// The default agent asks another model.
    pub fn makes_an_agent(&self, base_url: &str) {
        self.makes_an_agent_with(&format!("{{provider: openai, name: m, base_url: '{base_url}'}}"));
    }

    /// The default agent asks this model.
    pub fn makes_an_agent_with(&self, model: &str) {
        let folder = self.home.path().join(".outlive/agents/default");
        std::fs::create_dir_all(&folder).unwrap();
        let yaml =
            format!("apiVersion: outlive/v1\nkind: Agent\nmetadata: {{name: default}}\nspec:\n  model: {model}\n");
        std::fs::write(folder.join("agent.yaml"), yaml).unwrap();
    }

    /// Talks through a pipe; returns what is printed.
    pub fn pipes(&self, text: &str) -> String {
        self.pipes_with(&["chat"], text)
    }

    /// As [`Seat::pipes`], with these arguments.
    pub fn pipes_with(&self, arguments: &[&str], text: &str) -> String {
        let mut chat = self.command(BINARY);
        let mut chat = chat.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        chat.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        String::from_utf8_lossy(&chat.wait_with_output().unwrap().stdout).into_owned()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.command("tmux").args(["-L", "outlive", "kill-server"]).output().ok();
        self.command(BINARY).args(["serve", "--stop"]).output().ok();
        if let Some(pid) = self.server().and_then(Pid::from_raw) {
            kill_process(pid, Signal::KILL).ok();
        }
    }
}
