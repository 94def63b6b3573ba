//! Conversations in a terminal: the real binary in a real tmux, typed at and looked at; and in a pipe. Each step waits until
//! the screen shows what it must.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test of real processes and files; one that cannot go on has failed"
)]

mod model;
mod seat;

use model::Model;
use seat::{Key, Seat};

#[test]
fn a_conversation_outlives_its_server_and_its_terminal() {
    let seat = Seat::take();
    seat.enters("outlive chat");
    seat.sees("default · rehearsal/script · ↑0 ↓0 tokens · idle");

    // A message of two lines, a question in place with the whole command, its output, the status line.
    seat.types("run echo first");
    seat.press(&[Key::AltEnter]);
    seat.types("echo second");
    seat.sees("› run echo first\n  echo second\ndefault");
    seat.press(&[Key::Enter]);
    seat.sees("? bash wants to run:\n    echo first\n    echo second\n  asks: echo first (default: no rule allows it)");
    seat.sees("  always would store, for this session: bash:");
    seat.sees("y yes, once");
    seat.sees("tokens · asks");
    seat.press(&[Key::Char('y')]);
    seat.sees("✓ allowed once\n⚙ bash echo first\n    echo second\n  │ first\n  │ second\n  ✓ done");
    seat.sees("That was all.");
    seat.sees("tokens · idle");

    // The server dies in the middle of a long command.
    seat.enters("run echo begun; sleep 300");
    seat.sees("y yes, once");
    seat.sees("tokens · asks");
    seat.press(&[Key::Char('y')]);
    seat.sees("  │ begun");
    seat.sees("tokens · working");
    seat.types("typed meanwhile");
    seat.sees("› typed meanwhile\ndefault");
    let killed = seat.kill_the_server();
    seat.sees("⟲ the server died after ");
    seat.sees("outcome unknown, not run again: bash");
    seat.sees("? The outcome of this call is unknown");
    seat.sees("tokens · idle");
    assert_ne!(seat.server(), Some(killed), "another server answers");
    assert_eq!(seat.count("  │ begun\n"), 1, "{}", seat.all());
    seat.sees("› typed meanwhile\ndefault");
    seat.press(&[Key::Control('c')]);
    seat.sees("Ctrl-C again leaves");

    // What was sent before is found again; Ctrl-C clears it; Ctrl-D says how to come back, and that way is taken.
    seat.press(&[Key::Up, Key::Up]);
    seat.sees("› run echo first\n  echo second\ndefault");
    seat.press(&[Key::Control('c')]);
    seat.sees("Ctrl-C again leaves");
    seat.press(&[Key::Control('d')]);
    let back = seat.sees_line("come back with: ").split_once("with: ").unwrap().1.to_owned();
    assert!(back.starts_with("outlive attach ses_"), "{back}");
    seat.sees_shell();

    seat.enters(&format!("clear; {back}"));
    seat.sees("tokens · idle");
    assert_eq!(seat.count("⟲ the server died after "), 1, "{}", seat.all());
    assert_eq!(seat.count("› a message; /help"), 1, "{}", seat.all());

    // The shell may have the terminal for a while.
    seat.press(&[Key::Control('z')]);
    seat.sees("Stopped");
    seat.sees_shell();
    seat.enters("clear; fg");
    seat.sees("› a message; /help\ndefault");

    // What is sent meanwhile waits; Ctrl-C stops what runs; a narrow terminal changes nothing. What the chat before had
    // sent is found by this one.
    seat.press(&[Key::Up]);
    seat.sees("› run echo begun; sleep 300\ndefault");
    seat.press(&[Key::Enter]);
    seat.sees("y yes, once");
    seat.resize(50, 20);
    seat.press(&[Key::Char('y')]);
    seat.sees("  │ begun");
    seat.enters("list");
    seat.sees("  next: list\n");
    seat.sees(" · 1 queued");
    seat.press(&[Key::Control('c')]);
    seat.has_seen("■ interrupted\n");
    seat.has_seen("\nStep: list\n⚙ list");
    seat.sees("tokens · idle");
    seat.sees("\n› a message; /help\ndefault");
    seat.press(&[Key::Control('d')]);
    seat.sees_shell();
}

#[test]
fn a_file_is_attached_in_the_chat_and_goes_with_the_next_message() {
    let seat = Seat::take();
    seat.has_file("my photo.png", b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x01\0\0\0\x01\x08\0\0\0\0crc.");
    seat.has_file("half.png", b"\x89PNG\r\n\x1a\n");
    seat.types("outlive chat");
    seat.press(&[Key::Enter]);
    seat.sees("tokens · idle");
    seat.types("/help");
    seat.press(&[Key::Enter]);
    seat.sees("/attach PATH");
    for (path, why) in [
        ("none.png", "none.png cannot be read"),
        ("half.png", "half.png cannot be attached: the image is broken, its header is not whole"),
    ] {
        seat.types(&format!("/attach {path}"));
        seat.press(&[Key::Enter]);
        seat.sees(why);
    }
    // The server dies in between: what is attached waits for another.
    seat.kill_the_server();
    seat.types("/attach '~/my photo.png'");
    seat.press(&[Key::Enter]);
    seat.sees("  attached: image my photo.png, 33 bytes\n");
    seat.sees("tokens · idle");
    seat.types("help");
    seat.press(&[Key::Enter]);
    seat.has_seen("\n› [image my photo.png, 33 bytes]\n  help\n");
    seat.has_seen("I was given [image my photo.png, 33 bytes]: 33 bytes.");
    seat.sees("tokens · idle");
    seat.press(&[Key::Control('d')]);
    seat.sees_shell();
    let said = seat.pipes("/attach half.png\n/attach my photo.png\nhelp\n");
    assert!(said.contains("attached: image my photo.png, 33 bytes"), "{said}");
    assert!(said.contains("half.png cannot be attached") && said.contains("I was given [image my photo.png"), "{said}");
}

#[test]
fn an_answer_that_broke_off_is_called_void_and_then_said_once() {
    let seat = Seat::take();
    let model = Model::that_stops_in_its_first_answer();
    seat.makes_an_agent(&model.base_url());
    seat.chats();
    seat.enters("tell me");
    seat.sees("Once upon a time\nthere was a pro\n");
    seat.kill_the_server();
    seat.sees(
        "asked again\n⟲ asked again: the unfinished answer above is void\nOnce upon a time\nthere was a process.\n",
    );
    seat.sees("tokens · idle");
    assert_eq!(seat.count("Once upon a time\n"), 2, "{}", seat.all());
    assert_eq!(seat.count("there was a process.\n"), 1, "{}", seat.all());
    seat.press(&[Key::Control('d')]);
    seat.sees_shell();
}

#[test]
fn a_question_waits_and_a_decision_arrives_while_the_server_is_away() {
    let seat = Seat::take();
    seat.chats();
    seat.enters("run echo kept");
    seat.sees("y yes, once");
    seat.kill_the_server();
    seat.press(&[Key::Char('y')]);
    seat.enters("list");
    seat.sees("✓ allowed once\n⚙ bash echo kept\n  │ kept\n  ✓ done");
    seat.sees("\n› list\n\nStep: list\n⚙ list");
    assert_eq!(seat.count("? bash wants to run:"), 1, "{}", seat.all());
    assert_eq!(seat.count("⚙ bash echo kept"), 1, "{}", seat.all());
}

#[test]
fn a_question_takes_no_key_that_was_meant_for_a_message_and_a_paste_sends_nothing() {
    let seat = Seat::take();
    seat.chats();
    seat.pastes("pasted one\npasted two\n");
    seat.sees("› pasted one\n  pasted two\n\ndefault");
    seat.press(&[Key::Control('c')]);
    seat.sees("› a message; /help");

    seat.enters("run echo careful");
    seat.sees("y yes, once");
    // Tab, to write a message; what is typed there decides nothing.
    seat.press(&[Key::Tab]);
    seat.types("yes of course");
    seat.sees("› yes of course\nTab answers the question above\n");
    seat.press(&[Key::Tab]);
    seat.sees("y yes, once");
    seat.press(&[Key::Char('n')]);
    seat.types("not now");
    seat.sees("why not? › not now");
    seat.press(&[Key::Enter]);
    seat.sees("✗ ");
    seat.sees("not now");
    seat.sees("› yes of course\ndefault");
    assert_eq!(seat.count("│ careful"), 0, "{}", seat.all());
}

#[test]
fn what_a_tool_prints_cannot_drive_the_terminal() {
    let seat = Seat::take();
    seat.chats();
    let before = seat.state();
    seat.enters(r"run printf 'a\tb\n10%%\r100%%\n\033[31mred\033[0m\033[2J\033[H\033[?1049h\033]2;evil\007\033[?25l\033[5;9r\n'");
    seat.sees("y yes, once");
    seat.press(&[Key::Char('y')]);
    seat.sees("  │ a   b\n  │ 100%\n  │ red\n  ✓ done");
    seat.sees("That was all.");
    seat.sees("tokens · idle");
    assert_eq!(seat.state(), before);
}

#[test]
fn a_chat_that_is_ended_leaves_the_terminal_as_it_was() {
    let seat = Seat::take();
    seat.chats();
    seat.types("not sent");
    seat.sees("› not sent");
    seat.ends_the_chat();
    seat.sees("come back with: outlive attach ses_");
    seat.sees_shell();
    assert_eq!(seat.count("not sent"), 0, "{}", seat.all());
}

#[test]
fn without_a_terminal_each_line_is_a_message_and_nothing_is_styled() {
    let seat = Seat::take();
    let said = seat.pipes("run printf 'a\\033[2Jb\\n'\ny\n/help\n");
    for shown in ["› run printf", "bash wants to run:\n  printf", "⚙ bash printf", "b\n  ✓ done", "That was all.\n"]
    {
        assert!(said.contains(shown), "{shown:?} is missing in:\n{said}");
    }
    assert!(!said.contains('\x1b'), "{said:?}");
}

#[test]
fn who_attaches_in_mid_answer_sees_it_from_its_beginning_at_once() {
    let seat = Seat::take();
    let model = Model::that_stops_in_its_first_answer();
    seat.makes_an_agent(&model.base_url());
    seat.chats();
    seat.enters("tell me");
    seat.sees("Once upon a time\nthere was a pro\n");
    seat.press(&[Key::Control('d')]);
    seat.sees_shell();
    seat.enters("clear; outlive attach");
    seat.sees("› tell me\n\nOnce upon a time\nthere was a pro\n─");
    assert_eq!(seat.count("Once upon a time"), 1, "{}", seat.all());
    seat.press(&[Key::Control('c')]);
    seat.sees("■ interrupted\n");
    assert_eq!(seat.count("Once upon a time"), 1, "{}", seat.all());
}

#[test]
fn a_long_session_is_shown_from_its_end_pages_back_and_names_who_else_spoke() {
    let seat = Seat::take();
    seat.makes_an_agent_with("{provider: rehearsal, name: instant}");
    let lines: String = (0..100).map(|n| format!("think {n}\n")).collect();
    let piped = seat.pipes_with(&["chat", "--as", "ann"], &lines);
    assert!(piped.contains("\n› think 99\n"), "one's own have no name:\n{piped}");
    let whole = seat.pipes_with(&["attach", "--as", "bob"], "");
    assert!(whole.contains("\nann › think 0\n"), "what is no terminal gets all of it:\n{whole}");
    seat.enters("clear; outlive attach --as bob");
    seat.sees("ann › think 99\n");
    seat.sees("tokens · idle");
    seat.has_seen(" earlier events: /more or PageUp shows the last of them\n");
    assert_eq!(seat.count("ann › think 0\n"), 0, "{}", seat.all());
    seat.press(&[Key::PageUp]);
    seat.has_seen("── earlier: events 1 to ");
    seat.has_seen("ann › think 0\n");
    seat.enters("/more");
    seat.sees("that is the beginning\ndefault");
    assert_eq!(seat.count("ann › think 0\n"), 1, "{}", seat.all());
    seat.enters("mine");
    seat.sees("\n› mine\n");
}
