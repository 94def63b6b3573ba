//! Commands that try to get out of bubblewrap, as root and as an ordinary user. None of them may.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests look at files, start programs, and read this process's own environment"
)]

mod stage;

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use outlive_core::agent::{NetworkSpec, SandboxMode, SandboxSpec};
use outlive_core::event::Outcome;
use outlive_tools::Finished;
use outlive_tools::sandbox::attempts::Held;
use outlive_tools::sandbox::{Limits, Sandbox, WORKSPACE};
use serde_json::json;
use stage::{Stage, lives};
use tempfile::TempDir;

/// The copy that an ordinary user can reach, where the tests run as one.
const CONFINER: &str = "OUTLIVE_TEST_CONFINER";

fn confiner() -> PathBuf {
    std::env::var_os(CONFINER).map_or_else(stage::confiner, PathBuf::from)
}

/// A folder that commands see, where there is one that we may write: `/tmp` is their own.
fn folder() -> TempDir {
    let seen = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"));
    seen.or_else(|_| tempfile::tempdir()).unwrap()
}

fn sandbox(limits: Limits, base: &Path) -> Sandbox {
    let write = vec![WORKSPACE.to_owned()];
    let hidden = vec![base.join("ws/token"), base.join("ws/state")];
    let usual = Sandbox { mode: SandboxMode::Bubblewrap, write, limits, ..Sandbox::default() };
    usual.hiding(hidden, vec![base.join("ws/state/agents")])
}

fn stage_within(limits: Limits) -> Stage {
    let folder = folder();
    let sandbox = sandbox(limits, &folder.path().canonicalize().unwrap());
    let stage = Stage::with(folder, |exec| exec.confined_by(confiner()).within(sandbox));
    std::fs::write(stage.ws("token"), "the-token").unwrap();
    std::fs::write(stage.ws("own/policy.yaml"), "mode: ask").unwrap();
    std::fs::write(stage.out("victim"), "whole").unwrap();
    stage
}

fn stage() -> Stage {
    stage_within(Limits::default())
}

async fn bash(stage: &Stage, command: &str) -> Finished {
    let ran = stage.run("bash", json!({"command": command, "timeout_ms": 20_000})).await;
    assert!(!ran.content.contains("not started"), "./test installs bubblewrap: {ran:?}");
    ran
}

/// Runs each line by itself. None may end with 0.
async fn none_succeeds(stage: &Stage, attempts: &[&str]) {
    for attempt in attempts {
        let ran = bash(stage, attempt).await;
        assert_eq!(ran.outcome, Outcome::Error, "`{attempt}` succeeded: {ran:?}");
    }
}

async fn python(stage: &Stage, script: &str) -> Finished {
    std::fs::write(stage.ws("attempt.py"), script).unwrap();
    bash(stage, "python3 attempt.py").await
}

#[tokio::test]
async fn a_command_works_in_its_folder_and_has_a_tmp_of_its_own() {
    let stage = stage();
    let ran = bash(&stage, "pwd; echo kept >made; echo x >/tmp/scratch; cat /tmp/scratch; ls /run; exit 3").await;
    assert!(ran.content.starts_with(stage.place.cwd.to_str().unwrap()), "{ran:?}");
    assert!(ran.content.ends_with("x\noutlive\n[exit code 3]"), "{ran:?}");
    assert_eq!(std::fs::read_to_string(stage.ws("made")).unwrap(), "kept\n");
}

#[tokio::test]
async fn nothing_beyond_what_was_granted_can_be_written() {
    let stage = stage();
    let out = stage.out("");
    let out = out.to_str().unwrap();
    std::os::unix::fs::symlink(out, stage.ws("link")).unwrap();
    let name = format!("outlive-broke-out-{}", std::process::id());
    let owned: Vec<String> = [
        "echo x >>../out/victim".to_owned(),
        format!("echo x >>{out}/victim"),
        format!("echo x >{out}/new"),
        "echo x >>link/victim".to_owned(),
        "rm -f link/victim; [ ! -e link/victim ] && [ -d link/ ]".to_owned(),
        format!("ln {out}/victim hard && echo x >>hard"),
        format!("mv {out}/victim moved"),
        format!("echo x >>/proc/self/root{out}/victim"),
        format!("echo x >>/proc/1/root{out}/victim"),
        "echo x >>/proc/self/cwd/../out/victim".to_owned(),
        format!("exec 3<{out} && echo x >>/proc/self/fd/3/victim"),
        format!("chmod 777 {out}/victim"),
        format!("touch -d 2001-01-01 {out}/victim"),
        format!("truncate -s 0 {out}/victim"),
        format!("echo x >/usr/{name}"),
        format!("echo x >/etc/{name}"),
        format!("echo x >/{name}"),
        "echo 1 >/sys/kernel/mm/transparent_hugepage/enabled".to_owned(),
        "echo 1 >/proc/sys/vm/swappiness".to_owned(),
        "echo h >/proc/sysrq-trigger".to_owned(),
        "echo core >/proc/sys/kernel/core_pattern".to_owned(),
        "mkdir /sys/fs/cgroup/broke-out".to_owned(),
    ]
    .into();
    none_succeeds(&stage, &owned.iter().map(String::as_str).collect::<Vec<_>>()).await;
    assert_eq!(std::fs::read_to_string(stage.out("victim")).unwrap(), "whole");
    assert_eq!(std::fs::read_dir(out).unwrap().count(), 1);
    for folder in ["/usr", "/etc", "/"] {
        assert!(!Path::new(folder).join(&name).exists());
    }
}

#[tokio::test]
async fn what_is_protected_is_never_written_nor_replaced() {
    let mut stage = stage();
    std::fs::create_dir_all(stage.ws("deep/er/state")).unwrap();
    std::fs::write(stage.ws("deep/er/state/policy.yaml"), "mode: ask").unwrap();
    stage.place.protected.push(stage.ws("deep/er/state"));
    let attempts = [
        "echo x >>own/policy.yaml",
        "rm own/policy.yaml",
        "echo x >own/new",
        "mv own other",
        "ln own/policy.yaml hard && echo x >>hard",
        "chmod 777 own/policy.yaml",
        "echo x >>deep/er/state/policy.yaml",
        "mv deep/er/state elsewhere",
        // What holds it could be renamed, and another put in its place.
        "mv deep/er elsewhere && mkdir -p deep/er/state && echo x >deep/er/state/policy.yaml",
        "mv deep elsewhere && mkdir -p deep/er/state && echo x >deep/er/state/policy.yaml",
        "rm -rf own deep; [ ! -e own/policy.yaml ]",
    ];
    none_succeeds(&stage, &attempts).await;
    for path in ["own/policy.yaml", "deep/er/state/policy.yaml"] {
        assert_eq!(std::fs::read_to_string(stage.ws(path)).unwrap(), "mode: ask");
    }
    assert_eq!(bash(&stage, "cat own/policy.yaml; echo fine >deep/er/beside").await.content, "mode: ask");
}

#[tokio::test]
async fn secrets_are_not_even_readable() {
    let stage = stage();
    let attempts = [
        "grep -q . token",
        "cat token | grep -q .",
        "cp token copy && grep -q . copy",
        "ln token hard && grep -q . hard",
        "mv token away && grep -q . away",
        "rm -f token; grep -q . token",
        "grep -q . /proc/self/root$PWD/token",
        "grep -q . /proc/1/root$PWD/token",
        "grep -q . /etc/shadow",
        "grep -qr . /etc/ssh/ssh_host_*_key",
    ];
    none_succeeds(&stage, &attempts).await;
    assert_eq!(std::fs::read_to_string(stage.ws("token")).unwrap(), "the-token");
    std::fs::create_dir_all(stage.ws("state/agents/skill")).unwrap();
    std::fs::write(stage.ws("state/journal"), "secret").unwrap();
    std::fs::write(stage.ws("state/agents/skill/run"), "shown").unwrap();
    none_succeeds(&stage, &["grep -q . state/journal", "echo x >state/agents/skill/run", "mv state/agents moved"])
        .await;
    assert_eq!(bash(&stage, "ls state; cat state/agents/skill/run").await.content, "agents\nshown");
    assert_eq!(std::fs::read_to_string(stage.ws("state/journal")).unwrap(), "secret");
}

/// A stage with a home folder that commands see; none where all that we may write is a `/tmp`, of which each has its own.
fn stage_with_home() -> Option<(Stage, PathBuf)> {
    let places = [Some(env!("CARGO_TARGET_TMPDIR").into()), std::env::var_os("HOME")];
    let mut places = places.into_iter().flatten().map(PathBuf::from).filter(|place| !place.starts_with("/tmp"));
    let folder = places.find_map(|place| tempfile::tempdir_in(place).ok())?;
    let base = folder.path().canonicalize().unwrap();
    let (home, sandbox) = (base.join("home"), sandbox(Limits::default(), &base));
    let told = ("HOME".to_owned(), home.to_str().unwrap().to_owned());
    let exec = outlive_tools::exec::Exec::new([told], &base.join("run"), &base.join("run/children"));
    Some((Stage::with(folder, |_usual| exec.confined_by(confiner()).within(sandbox)), home))
}

/// Trap: a mask on a file comes off with the file, and masks nothing that is not there yet.
#[tokio::test]
async fn a_secret_that_is_replaced_or_made_while_a_command_runs_is_not_seen() {
    let Some((stage, home)) = stage_with_home() else {
        println!("NOT TRIED: there is no folder for a home that commands would see");
        return;
    };
    let put = |name: &str, text: &str| {
        let path = home.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let beside = path.with_extension("new");
        std::fs::write(&beside, text).unwrap();
        std::fs::rename(beside, path).unwrap();
    };
    put(".npmrc", "a secret");
    put(".cargo/credentials.toml", "a secret");
    put(".cargo/config.toml", "fine\n");
    put(".config/git/config", "fine\n");
    put("notes/today", "fine\n");
    std::os::unix::fs::symlink("notes/today", home.join("link")).unwrap();
    let command = "cd; cat .cargo/config.toml .config/git/config notes/today link
        for path in . .config .config/git notes; do touch $path/made 2>/dev/null && echo written; done
        cd \"$OLDPWD\"; echo ready; until [ -e go ]; do sleep 0.02; done
        cat {,/proc/1/root}$HOME/{.npmrc,.netrc,.ssh/id,.cargo/credentials.toml,.config/gh/hosts.yml} 2>/dev/null; echo done";
    let outside = async {
        while !stage.said.lock().unwrap().contains("ready") {
            tokio::task::yield_now().await;
        }
        for name in [".npmrc", ".netrc", ".ssh/id", ".cargo/credentials.toml", ".config/gh/hosts.yml"] {
            put(name, "another secret");
        }
        std::fs::write(stage.ws("go"), "").unwrap();
    };
    let ((), ran) = tokio::join!(outside, bash(&stage, command));
    assert_eq!(ran.content, "fine\nfine\nfine\nfine\nready\ndone\n");
}

#[tokio::test]
async fn devices_are_neither_there_nor_made() {
    let attempts = [
        "head -c1 /dev/mem",
        "head -c1 /dev/kmsg",
        "ls /dev/vda /dev/sda /dev/nvme0n1 /dev/loop0 /dev/fuse /dev/kvm 2>/dev/null | grep -q .",
        "mknod mem c 1 1 && head -c1 mem",
        "mknod /dev/mem c 1 1 && head -c1 /dev/mem",
        "mknod /tmp/disk b 254 0 && head -c1 /tmp/disk",
    ];
    none_succeeds(&stage(), &attempts).await;
}

/// Trap: without an environment of its own for bubblewrap, process 1 shows the server's.
#[tokio::test]
async fn no_environment_in_proc_has_a_secret_of_the_server() {
    // Test programs run with variables of their own; these stand for the server's keys.
    assert!(std::env::vars().any(|(name, _)| name.starts_with("CARGO")));
    let stage = stage();
    let ran = bash(&stage, "cat /proc/[0-9]*/environ /proc/self/environ 2>/dev/null | tr '\\0' '\\n'; env").await;
    let given = ["PATH=", "HOME=", "TERM=", "TMPDIR=/tmp", "OUTLIVE_CALL=", "PWD=", "SHLVL=", "_=", "OLDPWD="];
    let lines: Vec<&str> = ran.content.lines().filter(|line| !line.is_empty()).collect();
    assert!(lines.len() > 10, "{ran:?}");
    for line in lines {
        assert!(given.iter().any(|name| line.starts_with(name)), "{line}");
    }
}

/// Trap: descriptors of the server come along unless they are closed.
#[tokio::test]
async fn no_descriptor_of_the_server_comes_along() {
    let inherited = std::fs::File::open("/etc/hosts").unwrap();
    rustix::io::fcntl_setfd(&inherited, rustix::io::FdFlags::empty()).unwrap();
    let ran = bash(&stage(), "ls /proc/$$/fd /proc/1/fd; readlink /proc/$$/fd/0").await;
    let numbers: Vec<&str> = ran.content.lines().filter(|line| line.parse::<u32>().is_ok_and(|fd| fd > 2)).collect();
    // Process 1 has one of its own: it tells bubblewrap how the command ended.
    assert!(numbers.len() <= 1 && ran.content.ends_with("/dev/null\n"), "{ran:?}");
    let ran = bash(&stage(), "readlink /proc/1/fd/* /proc/$$/fd/* | grep -v '^pipe:\\|^/dev/null$'").await;
    assert!(ran.content.lines().all(|line| line.contains("eventfd") || line.starts_with('[')), "{ran:?}");
}

/// Trap: a network namespace that is shared has the server's port and all abstract sockets.
#[tokio::test]
async fn no_socket_of_the_machine_is_reached() {
    let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = port.local_addr().unwrap().port();
    let name = format!("outlive-test-{}", std::process::id());
    let _abstract = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    let stage = stage();
    // Bound before the command starts, within what it may write.
    let _named = UnixListener::bind(stage.ws("s")).unwrap();
    let script = format!(
        r#"
import socket
def reached(family, address, kind=socket.SOCK_STREAM):
    try:
        s = socket.socket(family, kind)
        s.settimeout(3)
        s.connect(address)
        s.send(b"x")
    except OSError:
        return
    print("reached", family, address)
reached(socket.AF_INET, ("127.0.0.1", {port}))
reached(socket.AF_INET, ("127.0.0.2", {port}))
reached(socket.AF_INET, ("0.0.0.0", {port}))
reached(socket.AF_INET6, ("::ffff:127.0.0.1", {port}))
reached(socket.AF_INET, ("1.1.1.1", 80))
reached(socket.AF_INET, ("169.254.169.254", 80))
reached(socket.AF_INET, ("1.1.1.1", 53), socket.SOCK_DGRAM)
reached(socket.AF_INET6, ("2606:4700:4700::1111", 80))
reached(socket.AF_UNIX, "\0{name}")
reached(socket.AF_UNIX, "s")
reached(socket.AF_UNIX, "/run/docker.sock")
reached(socket.AF_UNIX, "/run/dbus/system_bus_socket")
reached(socket.AF_VSOCK, (2, 1024))
for family in (socket.AF_PACKET, 38, 31):
    try:
        socket.socket(family, socket.SOCK_RAW)
        print("made", family)
    except OSError:
        pass
try:
    socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)
    print("made raw")
except OSError:
    pass
here = socket.socket()
here.bind(("127.0.0.1", 0))
here.listen()
s = socket.create_connection(here.getsockname())
print("its own loopback works")
"#
    );
    let ran = python(&stage, &script).await;
    assert_eq!(ran.content, "its own loopback works\n");
}

#[tokio::test]
async fn processes_outside_are_neither_seen_nor_touched() {
    let mut victim = Command::new("sleep").arg("1000").stdin(Stdio::null()).spawn().unwrap();
    let (pid, own) = (victim.id(), std::process::id());
    let owned = [
        format!("kill -9 {pid}"),
        format!("kill -0 {own}"),
        format!("cat /proc/{pid}/status"),
        format!("ls /proc/{own}/fd"),
        "kill -9 -1; kill -0 1 && [ $(ls -d /proc/[0-9]* | wc -l) -gt 40 ]".to_owned(),
        "nsenter -t 1 -a true".to_owned(),
        "renice -n -5 $$".to_owned(),
    ];
    none_succeeds(&stage(), &owned.iter().map(String::as_str).collect::<Vec<_>>()).await;
    assert!(lives(pid), "it was killed from within");
    victim.kill().unwrap();
    victim.wait().unwrap();
}

#[tokio::test]
async fn no_privilege_is_kept_or_gained() {
    let stage = stage();
    let ran = bash(&stage, "grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status").await;
    for line in ran.content.lines() {
        let (name, value) = line.split_once(":\t").unwrap();
        let expected = match name {
            "NoNewPrivs" => "1",
            "Seccomp" => "2",
            _ => "0000000000000000",
        };
        assert_eq!(value, expected, "{name}");
    }
    let attempts = [
        "unshare -Ur true",
        "unshare -n true",
        "mount -t tmpfs none /mnt",
        "mount --bind / /mnt",
        "mount -o remount,rw /",
        "umount -l own",
        "umount /proc",
        "chroot / true",
        "setpriv --reuid=12345 --clear-groups true",
        "hostname other",
        "date -s 2001-01-01",
        "dmesg",
    ];
    none_succeeds(&stage, &attempts).await;
}

/// Each call with arguments that would make it work or fail otherwise than by being refused.
#[tokio::test]
async fn doors_to_the_kernel_are_shut() {
    let script = r"
import ctypes, errno, os, platform
libc = ctypes.CDLL(None, use_errno=True)
X = platform.machine() == 'x86_64'
calls = {
    'ptrace': (101 if X else 117, (0, 0, 0, 0)),
    'process_vm_readv': (310 if X else 270, (1, 0, 0, 0, 0, 0)),
    'unshare': (272 if X else 97, (0x10000000,)),
    'clone into a new user namespace': (56 if X else 220, (0x10000011, 0, 0, 0, 0)),
    'setns': (308 if X else 268, (0, 0)),
    'mount': (165 if X else 40, (0, 0, 0, 0, 0)),
    'open_tree': (428, (-100, 0, 1)),
    'fsopen': (430, (0, 0)),
    'move_mount': (429, (0, 0, 0, 0, 0)),
    'mount_setattr': (442, (0, 0, 0, 0, 0)),
    'pivot_root': (155 if X else 41, (0, 0)),
    'keyctl': (250 if X else 219, (0, -3, 1)),
    'add_key': (248 if X else 217, (0, 0, 0, 0, -3)),
    'request_key': (249 if X else 218, (0, 0, 0, -3)),
    'bpf': (321 if X else 280, (0, 0, 0)),
    'perf_event_open': (298 if X else 241, (0, 0, -1, -1, 0)),
    'userfaultfd': (323 if X else 282, (1,)),
    'io_uring_setup': (425, (8, 0)),
    'io_uring_enter': (426, (0, 0, 0, 0, 0, 0)),
    'open_by_handle_at': (304 if X else 265, (0, 0, 0)),
    'kexec_load': (246 if X else 104, (0, 0, 0, 0)),
    'init_module': (175 if X else 105, (0, 0, 0)),
    'clone3': (435, (0, 0)),
}
for name, (number, arguments) in calls.items():
    done = libc.syscall(number, *arguments)
    if name.startswith('clone') and done == 0:
        os._exit(0)
    code = ctypes.get_errno()
    if done != -1 or code not in (errno.EPERM, errno.ENOSYS):
        print('open:', name, done, code)
print('tried', len(calls))
";
    assert_eq!(python(&stage(), script).await.content, "tried 23\n");
}

/// Trap: what is typed into a terminal from within is run outside.
#[tokio::test]
async fn nothing_is_typed_into_a_terminal() {
    let script = r"
import fcntl, os, pty, termios
try:
    os.open('/dev/tty', os.O_RDWR)
    print('a terminal of somebody')
except OSError:
    pass
master, slave = pty.openpty()
os.setsid() if os.getpid() != os.getsid(0) else None
fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
for request in (termios.TIOCSTI, 0xffffffff00005412 & 0xffffffff, 0x541c):
    for fd in (0, 1, slave):
        try:
            fcntl.ioctl(fd, request, b'x')
            print('typed', hex(request), fd)
        except OSError:
            pass
print('tried')
";
    let ran = python(&stage(), script).await;
    assert_eq!(ran.content, "tried\n");
}

#[tokio::test]
async fn nothing_is_left_behind_that_runs_as_its_owner() {
    let stage = stage();
    let attempts = [
        "cp /bin/true su && chmod u+s su",
        "cp /bin/true su && chmod 4755 su",
        "cp /bin/true su && chmod g+s su",
        "install -m 4755 /bin/true su2",
        "mkdir -m 2777 shared",
    ];
    none_succeeds(&stage, &attempts).await;
    let script = r"
import ctypes, os
libc = ctypes.CDLL(None)
def tried(how, *arguments):
    try:
        how(*arguments)
    except PermissionError:
        print('refused')
tried(os.open, 'opened', os.O_CREAT | os.O_WRONLY, 0o6755)
tried(os.open, '.', os.O_TMPFILE | os.O_WRONLY, 0o6755)
tried(os.mknod, 'node', 0o106755)
libc.creat(b'created', 0o6755)
how = (ctypes.c_uint64 * 3)(os.O_CREAT | os.O_WRONLY, 0o6755, 0)
libc.syscall(437, -100, b'second', how, 24)
f = os.open('made', os.O_CREAT | os.O_WRONLY, 0o755)
libc.syscall(452, -100, b'made', 0o6755, 0)
libc.fchmod(f, 0o6755)
print('tried')
";
    assert_eq!(python(&stage, script).await.content, "refused\nrefused\nrefused\ntried\n");
    for name in ["su", "su2", "made", "node", "opened", "created", "second"] {
        let mode = std::fs::metadata(stage.ws(name)).map_or(0, |found| found.permissions().mode());
        assert_eq!(mode & 0o6000, 0, "{name}");
    }
}

#[tokio::test]
async fn a_link_that_a_command_leaves_grants_nothing_the_next_time() {
    let folder = folder();
    let write = [WORKSPACE, "build", "../ws/build/deep"].map(str::to_owned).to_vec();
    let sandbox = Sandbox { write, ..sandbox(Limits::default(), &folder.path().canonicalize().unwrap()) };
    let stage = Stage::with(folder, |exec| exec.confined_by(confiner()).within(sandbox));
    std::fs::write(stage.out("victim"), "whole").unwrap();
    let out = stage.out("");
    bash(&stage, &format!("ln -s {} build", out.display())).await;
    none_succeeds(&stage, &["echo x >>build/victim", &format!("echo x >>{}/victim", out.display())]).await;
    assert_eq!(std::fs::read_to_string(stage.out("victim")).unwrap(), "whole");
}

#[tokio::test]
async fn the_number_of_processes_is_bounded() {
    let script = r"
import os, signal
born = []
try:
    while len(born) < 400:
        child = os.fork()
        if child == 0:
            signal.pause()
        born.append(child)
except OSError:
    pass
print(len(born) < 64)
";
    let stage = stage_within(Limits { processes: 64, ..Limits::default() });
    let ran = python(&stage, script).await;
    assert!(ran.content.starts_with("True\n"), "{ran:?}");
}

#[tokio::test]
async fn memory_is_bounded() {
    let stage = stage_within(Limits { memory_bytes: 256 << 20, ..Limits::default() });
    let ran = bash(&stage, "python3 -c 'x = bytearray(2 << 30); print(len(x))'").await;
    assert_eq!(ran.outcome, Outcome::Error, "{ran:?}");
    // Its own /tmp is memory, too.
    let stage = stage_within(Limits { scratch_bytes: 8 << 20, ..Limits::default() });
    none_succeeds(&stage, &["head -c 64M /dev/zero >/tmp/big", "head -c 64M /dev/zero >/var/tmp/big"]).await;
}

/// Folders of the kernel's that bear the name of this call.
fn cgroups(stage: &Stage) -> Vec<PathBuf> {
    let name = format!("outlive-{}", stage.call);
    let found = Command::new("find").args(["/sys/fs/cgroup", "-type", "d", "-name", &name]).output().unwrap();
    String::from_utf8_lossy(&found.stdout).lines().map(PathBuf::from).collect()
}

#[tokio::test]
async fn memory_of_all_together_is_bounded_where_cgroups_can_be_made() {
    let stage = stage_within(Limits { memory_bytes: 256 << 20, ..Limits::default() });
    let script = r"
import os, sys, time
print('ready', flush=True)
while not os.path.exists('go'):
    time.sleep(0.01)
children = []
for _ in range(8):
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        mine = bytearray(100 << 20)
        os.write(write, b'x')
        time.sleep(100)
    os.close(write)
    children.append(read)
print('all', all(os.read(read, 1) == b'x' for read in children))
";
    std::fs::write(stage.ws("attempt.py"), script).unwrap();
    let looked = async {
        while !stage.said.lock().unwrap().contains("ready") {
            tokio::task::yield_now().await;
        }
        let found = cgroups(&stage);
        std::fs::write(stage.ws("go"), "").unwrap();
        found
    };
    let (found, ran) = tokio::join!(looked, bash(&stage, "python3 attempt.py"));
    assert_eq!(cgroups(&stage), Vec::<PathBuf>::new(), "they go with the command");
    if found.is_empty() {
        println!("NOT TRIED: no cgroup can be made here as this user");
        return;
    }
    assert!(!ran.content.contains("all True"), "{ran:?}");
}

#[tokio::test]
async fn the_size_of_a_file_is_bounded() {
    let stage = stage_within(Limits { file_bytes: 1 << 20, ..Limits::default() });
    none_succeeds(&stage, &["head -c 4M /dev/zero >big"]).await;
    assert_eq!(std::fs::metadata(stage.ws("big")).unwrap().len(), 1 << 20);
}

#[tokio::test]
async fn a_fork_bomb_stays_small_and_is_ended_whole() {
    let stage = stage_within(Limits { processes: 64, ..Limits::default() });
    let arguments = json!({"command": "bomb() { bomb | bomb & }; bomb; sleep 100", "timeout_ms": 2_000});
    let ran = stage.run("bash", arguments).await;
    assert_eq!(ran.outcome, Outcome::Timeout, "{ran:?}");
    assert!(!ran.content.contains("could not be ended"), "{ran:?}");
    assert_eq!(std::fs::read_dir(stage.children()).unwrap().count(), 0, "its record is gone");
}

#[tokio::test]
async fn endless_output_is_ended_in_time_and_kept_in_bounds() {
    let stage = stage();
    let ran = stage.run("bash", json!({"command": "yes", "timeout_ms": 1_500})).await;
    assert_eq!(ran.outcome, Outcome::Timeout);
    assert!(ran.content.len() < 100 << 10 && ran.whole.unwrap().len() <= 8 << 20);
}

#[tokio::test]
async fn what_ignores_the_polite_signal_or_closes_its_outputs_ends_all_the_same() {
    let stage = stage();
    let command = "trap '' TERM; (trap '' TERM; setsid sleep 1000 &); echo ready; while :; do sleep 1; done";
    let ran = stage.run("bash", json!({"command": command, "timeout_ms": 700})).await;
    assert_eq!(ran.outcome, Outcome::Timeout, "{ran:?}");
    assert!(!ran.content.contains("could not be ended"), "{ran:?}");
    let ran = bash(&stage, "exec >&- 2>&-; sleep 0.2; exit 7").await;
    assert_eq!(ran.content, "[exit code 7]");
    let ran = bash(&stage, "kill -9 $$").await;
    assert_eq!(ran.outcome, Outcome::Error);
}

#[tokio::test]
async fn what_is_to_stop_may_clean_up() {
    let mut stage = stage();
    stage.stop_at = Some("ready");
    let ran = bash(&stage, "trap 'echo cleaned >clean; exit' TERM; echo ready; while :; do sleep 0.05; done").await;
    assert_eq!(ran.outcome, Outcome::Interrupted);
    assert_eq!(std::fs::read_to_string(stage.ws("clean")).unwrap(), "cleaned\n");
}

#[tokio::test]
async fn what_it_left_running_is_counted_and_ended() {
    let ran = bash(&stage(), "sleep 1000 & setsid sleep 1000 & echo done").await;
    assert!(ran.content.contains("done\n[2 processes that it left running"), "{ran:?}");
    let ran = bash(&stage(), "echo done").await;
    assert_eq!(ran.content, "done\n");
}

#[tokio::test]
async fn what_is_not_to_be_had_is_refused_with_the_way_out() {
    let limits = Limits::default;
    let without = |mode, path: &'static str| {
        let folder = tempfile::tempdir().unwrap();
        let sandbox = Sandbox { mode, ..sandbox(limits(), folder.path()) };
        Stage::with(folder, move |_usual| {
            let run = std::env::temp_dir();
            let exec = outlive_tools::exec::Exec::new([("PATH".to_owned(), path.to_owned())], &run, &run);
            exec.confined_by(confiner()).within(sandbox)
        })
    };
    for mode in [SandboxMode::Auto, SandboxMode::Bubblewrap] {
        let stage = without(mode, "/nonexistent");
        let ran = stage.run("bash", json!({"command": "echo ran >ran"})).await;
        assert!(ran.content.contains("bubblewrap") && ran.content.contains("mode: trust"), "{ran:?}");
        assert!(!stage.ws("ran").exists());
    }
    let stage = without(SandboxMode::Trust, "/usr/bin:/bin");
    assert_eq!(stage.run("bash", json!({"command": "echo ran"})).await.content, "ran\n");
}

#[test]
fn whoever_writes_commands_is_told_what_holds() {
    let told = |stage: &Stage| stage.tools.specs()[0].description.clone();
    let usual =
        "It runs in a sandbox: only the workspace and a /tmp of its own can be written, and there is no network.";
    assert!(told(&stage()).ends_with(usual), "{}", told(&stage()));
    assert!(!told(&Stage::new()).contains("sandbox"));
}

#[test]
fn what_can_never_hold_is_refused_before_anything_runs() {
    let check = |mode, host: &str, part: &str| {
        let network = NetworkSpec::Hosts(vec![host.to_owned()]);
        let refused = Sandbox::of(&SandboxSpec { mode, network, ..SandboxSpec::default() }).unwrap_err();
        assert!(refused.contains("spec.sandbox.network") && refused.contains(part), "{refused}");
    };
    check(SandboxMode::Trust, "example.org", "leave one of them out");
    check(SandboxMode::Auto, "https://example.org", "is not a host");
}

#[tokio::test]
async fn a_grant_that_is_not_there_or_is_everything_is_refused() {
    for (write, part) in [("nowhere", "`write` names"), ("/", "all of `/`")] {
        let folder = folder();
        let sandbox = Sandbox { write: vec![write.to_owned()], ..sandbox(Limits::default(), folder.path()) };
        let stage = Stage::with(folder, |exec| exec.confined_by(confiner()).within(sandbox));
        let ran = stage.run("bash", json!({"command": "echo ran"})).await;
        assert!(ran.content.starts_with("not started") && ran.content.contains(part), "{ran:?}");
    }
}

#[tokio::test]
async fn every_attempt_of_doctor_fails_in_it_and_some_succeed_without() {
    let folder = folder();
    let base = folder.path().canonicalize().unwrap();
    let (run, token) = (base.join("run"), base.join("ws/token"));
    std::fs::create_dir_all(base.join("ws")).unwrap();
    std::fs::create_dir_all(&run).unwrap();
    std::fs::write(&token, "the-token").unwrap();
    let place = outlive_tools::Place {
        cwd: base.join("ws"),
        roots: vec![base.join("ws")],
        protected: vec![run.clone(), token.clone()],
    };
    let exec = outlive_tools::exec::Exec::new([], &run, &run.join("children")).confined_by(confiner());
    let tried = |mode| {
        let exec = exec.within(Sandbox { mode, ..sandbox(Limits::default(), &base) });
        let (place, token, run) = (place.clone(), token.clone(), run.clone());
        async move { outlive_tools::sandbox::attempts::all(&exec, &place, &token, &run).await.unwrap() }
    };
    for (what, held) in tried(SandboxMode::Bubblewrap).await {
        assert_eq!(held, Held::Held, "{what}");
    }
    let open: Vec<&str> = tried(SandboxMode::Trust)
        .await
        .into_iter()
        .filter(|(_, held)| *held == Held::BrokeOut)
        .map(|(what, _)| what)
        .collect();
    for what in [
        "read the token",
        "write the server's own files",
        "connect to a port here",
        "see sockets of others",
        "see who runs it",
        "gain privileges",
        "call the kernel without a filter",
    ] {
        assert!(open.contains(&what), "`{what}` is no attempt: it fails without a sandbox, too. {open:?}");
    }
}

/// All of the above once more, as a user whom nobody knows.
#[test]
fn none_gets_out_as_an_ordinary_user_either() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(folder.path(), open).unwrap();
    let copy = |from: &Path, name: &str| {
        let to = folder.path().join(name);
        std::fs::copy(from, &to).unwrap();
        to
    };
    let tests = copy(&std::env::current_exe().unwrap(), "tests");
    let confiner = copy(&confiner(), "confine");
    let mut command = Command::new("setpriv");
    command.args(["--reuid=54321", "--regid=54321", "--clear-groups"]).arg(tests).env(CONFINER, confiner);
    let ran = command.args(["--test-threads=2"]).current_dir("/").output().unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success() && said.contains("test result: ok. 3"), "{said}");
}
