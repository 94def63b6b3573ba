//! Tries to break out of what commands run in, for real, so that `doctor` tells what holds here and not what should.

use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;
use std::time::Duration;

use outlive_core::id::CallId;

use crate::exec::{Ending, Exec, Job};
use crate::{Invocation, Place};

/// Time for one attempt.
const LIMIT: Duration = Duration::from_secs(10);

/// A way out: a command line that ends with 0 where it is one. It is told of `$SECRET`, a file that must not be read,
/// `$STATE`, a folder that must not be written, and of `$PORT`, `$NAME` and `$PID` of who runs it.
struct Attempt {
    what: &'static str,
    command: &'static str,
}

const ATTEMPTS: [Attempt; 15] = [
    Attempt { what: "read the token", command: r#"grep -q . "$SECRET""# },
    Attempt { what: "write the server's own files", command: r#"echo x >"$STATE/broke-out""# },
    Attempt { what: "write into the system", command: "echo x >/usr/.broke-out && rm /usr/.broke-out" },
    Attempt { what: "write a setting of the kernel", command: "echo 1 >/proc/sys/vm/swappiness" },
    Attempt { what: "leave by /proc/1/root", command: r#"grep -q . "/proc/1/root$SECRET""# },
    Attempt { what: "read another's environment", command: "cat /proc/[0-9]*/environ | grep -qaz '^CARGO\\|_KEY='" },
    Attempt { what: "see who runs it", command: r#"kill -0 "$PID""# },
    Attempt { what: "connect to a port here", command: r#"exec 3<>"/dev/tcp/127.0.0.1/$PORT""# },
    Attempt { what: "see sockets of others", command: r#"grep -q "@$NAME" /proc/net/unix"# },
    Attempt { what: "reach the network", command: "grep -qv '\\(lo\\|face\\|Inter-\\)' /proc/net/dev" },
    Attempt { what: "make a new namespace", command: "unshare --user --map-root-user true" },
    Attempt { what: "mount something", command: "mount -t tmpfs none /mnt" },
    Attempt { what: "gain privileges", command: "! grep -q '^NoNewPrivs:.1' /proc/self/status" },
    Attempt { what: "keep capabilities", command: "! grep -q '^CapBnd:.0*$' /proc/self/status" },
    Attempt { what: "call the kernel without a filter", command: "! grep -q '^Seccomp:.2' /proc/self/status" },
];

/// How an attempt went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held {
    /// It is no way out.
    Held,
    /// It is one.
    BrokeOut,
    /// It was not tried to its end, and why.
    Untold(String),
}

/// Tries every way out, and returns each with how it went.
///
/// # Errors
///
/// Why nothing could be tried.
pub async fn all(exec: &Exec, place: &Place, secret: &Path, state: &Path) -> Result<Vec<(&'static str, Held)>, String> {
    let port = TcpListener::bind(("127.0.0.1", 0)).map_err(|error| format!("no port to try: {error}"))?;
    let number = port.local_addr().map_err(|error| error.to_string())?.port();
    let own = crate::proc::own();
    let name = format!("outlive-attempt-{own}");
    let address = SocketAddr::from_abstract_name(&name).map_err(|error| error.to_string())?;
    let _listening = UnixListener::bind_addr(&address).map_err(|error| format!("no socket to try: {error}"))?;
    let told = format!("SECRET={}\nSTATE={}\nPORT={number}\nNAME={name}\nPID={own}\n", quoted(secret), quoted(state));
    let mut tried = Vec::new();
    for (number, attempt) in (1..).zip(&ATTEMPTS) {
        let command = format!("{told}{{ {}\n}} 2>/dev/null", attempt.command);
        let call = CallId::from_bits((u128::from(own.unsigned_abs()) << 32) | number);
        let invocation = Invocation::of_nobody(call, place.clone());
        let ran = exec.run(Job { invocation: &invocation, command: &command, limit: LIMIT }).await?;
        let held = match ran.ending {
            Ending::Exited(0) => Held::BrokeOut,
            Ending::Exited(_) => Held::Held,
            Ending::Signalled(_) | Ending::TimedOut | Ending::Stopped => {
                Held::Untold(ran.output.text.trim().to_owned())
            }
        };
        tried.push((attempt.what, held));
    }
    Ok(tried)
}

fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}
