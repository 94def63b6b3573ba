//! Tells by running a command: the letter is its input, as one line of JSON.

use std::collections::BTreeMap;
use std::time::Duration;

use outlive_core::command::Undelivered;
use outlive_core::notice::Letter;
use outlive_tools::Place;
use outlive_tools::exec::lasting::Daemon;
use outlive_tools::exec::{Ending, Exec};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_util::sync::CancellationToken;

use crate::config::{self, Workspace};

/// Time to end.
const PATIENCE: Duration = Duration::from_secs(30);
/// Variables by which programs find the desktop of whoever runs the server.
const DESKTOP: [&str; 4] = ["DBUS_SESSION_BUS_ADDRESS", "DISPLAY", "WAYLAND_DISPLAY", "XDG_RUNTIME_DIR"];

/// A command of whoever owns the workspace.
pub struct Program {
    argv: Vec<std::ffi::OsString>,
    exec: Exec,
    place: Place,
}

impl Program {
    pub fn new(argv: &[String], exec: &Exec, place: &Workspace) -> Self {
        let place = Place { cwd: place.cwd.clone(), roots: Vec::new(), protected: Vec::new() };
        Self { argv: argv.iter().map(Into::into).collect(), exec: exec.clone(), place }
    }

    pub async fn deliver(&self, letter: &Letter) -> Result<(), Undelivered> {
        let body = serde_json::to_string(letter).map_err(|error| Undelivered::for_good(error.to_string()))?;
        let environment = environment(letter);
        let daemon = Daemon { argv: self.argv.clone(), environment: &environment, place: &self.place };
        let mut started = self.exec.start(daemon).await.map_err(Undelivered::for_now)?;
        let (said, stop) = (started.said.clone(), CancellationToken::new());
        let speaks = async {
            // One that does not read is no fault.
            drop(started.input.write_all(format!("{body}\n").as_bytes()).await);
            drop(started.input);
            let mut rest = [0; 4 << 10];
            while started.output.read(&mut rest).await.is_ok_and(|size| size > 0) {}
        };
        let ends = async {
            tokio::pin!(speaks);
            let life = started.life.live(&stop);
            tokio::pin!(life);
            let limit = tokio::time::sleep(PATIENCE);
            tokio::pin!(limit);
            let (mut has_spoken, mut is_late) = (false, false);
            loop {
                tokio::select! {
                    biased;
                    ending = &mut life => break (ending, is_late),
                    () = &mut speaks, if !has_spoken => has_spoken = true,
                    () = &mut limit, if !is_late => {
                        is_late = true;
                        stop.cancel();
                    }
                }
            }
        };
        match ends.await {
            (Ending::Exited(0), _) => Ok(()),
            (_, true) => Err(Undelivered::for_now(format!("the command did not end within {} s", PATIENCE.as_secs()))),
            (Ending::Exited(code), _) => Err(failed(&format!("the command ended with {code}"), &said.text())),
            (Ending::Signalled(signal), _) => {
                Err(failed(&format!("the command was ended by signal {signal}"), &said.text()))
            }
            (Ending::TimedOut | Ending::Stopped, _) => Err(Undelivered::for_now("the command was stopped")),
        }
    }
}

/// What it printed last says why.
fn failed(how: &str, said: &str) -> Undelivered {
    match said.lines().rev().find(|line| !line.trim().is_empty()) {
        Some(last) => Undelivered::for_now(format!("{how}: {}", last.trim())),
        None => Undelivered::for_now(how),
    }
}

fn environment(letter: &Letter) -> BTreeMap<String, String> {
    let said = &letter.data;
    let clean = |text: &str| text.replace('\0', "");
    let session = said.session_id.map(|id| id.to_string()).unwrap_or_default();
    let told = [
        ("OUTLIVE_NOTICE", letter.id.to_string()),
        ("OUTLIVE_NOTICE_TYPE", letter.kind.to_owned()),
        ("OUTLIVE_NOTICE_SUMMARY", clean(&said.summary)),
        ("OUTLIVE_NOTICE_TEXT", clean(&said.text)),
        ("OUTLIVE_NOTICE_AGENT", said.agent.clone()),
        ("OUTLIVE_NOTICE_SESSION", session),
    ];
    let desktop = DESKTOP.iter().filter_map(|name| Some(((*name).to_owned(), config::variable(name)?)));
    told.into_iter().map(|(name, value)| (name.to_owned(), value)).chain(desktop).collect()
}
