//! What people do about relays.

use outlive_core::command::{Chosen, Command, NewRelay, NewSignal, RelayCommand};
use outlive_core::event::{Origin, OriginKind, RelaySource};
use outlive_core::id::SessionId;
use outlive_core::relay::{Definition, read_text};
use serde_json::{Value, json};

use super::{Life, Simulation};

/// All kinds of states; `pay` must never run twice without a word, `sign` can be asked whether it was done.
const TOUR: &str = "name: tour
prompt: see all that there is
guard: {entries: 30, within: 1h}
states:
  - {name: pay, kind: script, command: pay, next: look}
  - {name: sign, kind: script, command: sign, check: is-signed, retry: {attempts: 2}, on_failure: ask}
  - {name: look, kind: poll, command: look, interval: 20s, deadline: 3m, error_budget: 2}
  - {name: rest, kind: timer, after: 40s, next: sign}
  - {name: mail, kind: signal, deadline: 2m, on_failure: ask}
  - {name: write, kind: agent, prompt: write it}
  - {name: ask, kind: park, question: Which?, options: [one, two]}
  - {name: done, kind: terminal, outcome: completed}
  - {name: gone, kind: terminal, outcome: failed}
";

fn tour() -> Definition {
    read_text(TOUR, "relays/tour.yaml").unwrap_or_else(|faults| panic!("{faults}"))
}

impl Simulation {
    pub(super) async fn relay(&mut self, life: &Life, session: SessionId) {
        let states: Vec<String> = tour().states.into_iter().map(|state| state.name).collect();
        let state = states[usize::try_from(self.rng.below(9)).unwrap()].clone();
        let by = Origin::of(OriginKind::Api);
        let chosen = Chosen { state: state.clone(), input: Value::Null, reason: Some("so".into()) };
        let what = match self.rng.below(20) {
            0..11 => {
                let state = self.rng.chance(30).then_some(state);
                let new = NewRelay { definition: tour(), source: RelaySource::Api, state, input: json!({}) };
                RelayCommand::Start(Box::new(new))
            }
            11..14 => RelayCommand::Select(chosen),
            14..16 => RelayCommand::Reopen { reason: "so".into(), with: self.rng.chance(50).then_some(chosen) },
            16 => RelayCommand::Cancel { reason: None },
            17 => RelayCommand::Redefine { definition: Box::new(tour()), reason: "so".into() },
            _ => {
                let signal = NewSignal { name: "mail".into(), payload: json!({"n": 1}), origin: by };
                return drop(self.ask(life, session, Command::Signal(signal), None).await);
            }
        };
        self.ask(life, session, Command::Relay { what, by }, None).await;
    }
}
