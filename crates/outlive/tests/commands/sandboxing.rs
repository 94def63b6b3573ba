//! In what an agent's commands run: as it says, as it leaves out, and on a machine that has no sandbox.

use std::path::PathBuf;

use crate::{Home, OUTLIVE};

/// A folder with what a small machine has, and no bubblewrap.
fn programs(home: &Home) -> PathBuf {
    let folder = home.0.path().join("bin");
    std::fs::create_dir(&folder).unwrap();
    for name in ["bash", "cat", "ls"] {
        let real = ["/bin", "/usr/bin"].map(|folder| PathBuf::from(folder).join(name));
        std::os::unix::fs::symlink(real.iter().find(|path| path.exists()).unwrap(), folder.join(name)).unwrap();
    }
    folder
}

fn said(home: &Home, path: &std::path::Path, arguments: &[&str]) -> String {
    let mut command = home.command(OUTLIVE);
    command.env("PATH", path).env("DOCKER_HOST", "unix:///nonexistent/docker.sock").args(arguments);
    let output = command.output().unwrap();
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

#[test]
fn where_no_sandbox_works_a_new_agent_says_so_by_name_and_others_run_no_command() {
    let home = Home(tempfile::tempdir().unwrap());
    let path = programs(&home);
    let made = said(&home, &path, &["init"]);
    assert!(made.contains("no sandbox works on this machine"), "{made}");
    let file = home.0.path().join(".outlive/agents/default/agent.yaml");
    assert!(std::fs::read_to_string(file).unwrap().contains("\n  sandbox: {mode: trust}\n"));
    home.write("agents/default/policy.yaml", "mode: dangerous\n");
    let ran = said(&home, &path, &["run", "run echo it is $((40 + 2))"]);
    assert!(ran.contains("it is 42"), "{ran}");
    // One that asks for no such thing is confined or does nothing.
    let yaml = "apiVersion: outlive/v1\nkind: Agent\nmetadata: {name: other}\n\
                spec: {model: {provider: rehearsal}, tools: [{builtin: bash}]}\n";
    home.write("agents/other/agent.yaml", yaml);
    home.write("agents/other/policy.yaml", "mode: dangerous\n");
    let ran = said(&home, &path, &["run", "-a", "other", "run echo it is $((40 + 2))"]);
    assert!(!ran.contains("it is 42") && ran.contains("no sandbox works here"), "{ran}");
    assert!(ran.contains("apt-get install bubblewrap") && ran.contains("sandbox: {mode: trust}"), "{ran}");
    let checked = said(&home, &path, &["agent", "validate", "other"]);
    assert!(checked.contains("commands will be refused: `bwrap` is not installed"), "{checked}");
}

#[test]
fn the_commands_of_a_new_agent_see_no_secret_and_free_nobody() {
    let home = Home::new();
    home.write("agents/default/policy.yaml", "mode: dangerous\n");
    let token = std::fs::read_to_string(home.0.path().join(".outlive/token")).unwrap();
    // From a file: the policy does not see what is in it, and the sandbox alone has to hold.
    let prying = "cat .outlive/token; ls .outlive; echo 'mode: dangerous' >.outlive/policy.yaml; \
                  echo x >>.outlive/agents/default/policy.yaml; echo made >made; grep -c . .outlive/agents/default/policy.yaml";
    std::fs::write(home.0.path().join("pry.sh"), prying).unwrap();
    let shown = home.check(&["run", "run bash pry.sh"], 0, "agents\n");
    assert!(!shown.contains(token.trim()), "{shown}");
    for refused in ["Read-only file system", "Permission denied", "No such file"] {
        assert!(shown.contains(refused), "{refused}: {shown}");
    }
    assert_eq!(std::fs::read_to_string(home.0.path().join("made")).unwrap(), "made\n");
    assert!(!home.0.path().join(".outlive/policy.yaml").exists());
    let policy = home.0.path().join(".outlive/agents/default/policy.yaml");
    assert_eq!(std::fs::read_to_string(policy).unwrap(), "mode: dangerous\n");
}
