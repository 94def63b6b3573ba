//! What the tests of this crate confine commands with: the binary itself has the same under a hidden word.

fn main() -> std::process::ExitCode {
    outlive_tools::sandbox::confine::entered(std::env::args_os()).unwrap_or(std::process::ExitCode::FAILURE)
}
