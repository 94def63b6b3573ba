//! What is sent: a message, or a word for this program.

use outlive_core::event::Behavior;

use super::{Talk, Wish};
use crate::Style;
use crate::view::tokens;

const HELP: &str = "\
  Enter sends; Alt-Enter, Ctrl-J, or a backslash before Enter makes a new line; Up and Down go through what was sent
  while a turn runs, what you send waits for its end
  /steer TEXT    reaches the running turn before its next step
  /attach PATH   an image, a PDF or a text goes with your next message; Ctrl-C takes it back
  /queue         what waits for the running turn
  /session       this session
  /more          what came before what is shown; PageUp does the same
  /pause         start nothing new; /resume goes on
  Ctrl-C stops the turn; Ctrl-D detaches, and the turn goes on; Ctrl-Z gives you the shell; Ctrl-L draws anew";

impl Talk {
    pub(super) fn words(&mut self, text: &str) -> Option<Wish> {
        match text.split_once(char::is_whitespace).unwrap_or((text, "")) {
            ("/help", _) => self.print(HELP),
            ("/steer", "") => self.print("  /steer TEXT: what is the running turn to be told?"),
            ("/steer", text) => self.say(text.trim(), Behavior::Steer),
            ("/attach", path) => self.attach(path),
            ("/queue", _) => self.print(&self.queued()),
            ("/more", _) => self.more(),
            ("/session", _) => self.print(&self.session()),
            ("/pause", _) => Some(Wish::Pause),
            ("/resume", _) => Some(Wish::Resume),
            ("/quit" | "/exit" | "/detach", _) => Some(Wish::Leave),
            (word, _) if word.strip_prefix('/').is_some_and(|rest| !rest.contains('/')) => {
                self.tell(Style::Bad, &format!("there is no {word}: /help lists what there is"));
                None
            }
            _ => self.say(text, Behavior::FollowUp),
        }
    }

    fn print(&mut self, text: &str) -> Option<Wish> {
        self.tell(Style::Dim, text);
        None
    }

    fn queued(&self) -> String {
        if self.screen.later.queue.is_empty() {
            return "  nothing waits".to_owned();
        }
        let line = |(input, text): &(outlive_core::id::InputId, String)| {
            format!("  {input}  {}", text.lines().next().unwrap_or_default())
        };
        self.screen.later.queue.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    fn session(&self) -> String {
        let usage = self.screen.usage;
        let model = if self.screen.asked.model.is_empty() { &self.who.model } else { &self.screen.asked.model };
        format!(
            "  session {}\n  agent   {}\n  model   {model}\n  tokens  {} in, {} out\n  cost    {}\n  back    {}",
            self.who.session,
            self.who.agent,
            tokens(usage.all_input()),
            tokens(usage.output_tokens),
            usage.cost_shown().unwrap_or_else(|| "unknown".to_owned()),
            self.who.back
        )
    }
}
