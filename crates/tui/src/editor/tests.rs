use super::*;

/// Keys as people write them: `C-a`, `M-b`, `Enter`; anything else is typed.
fn keys(editor: &mut Editor, keys: &str) -> Edit {
    let mut last = Edit::Nothing;
    for word in keys.split(' ') {
        let (modifiers, name) = match (word.strip_prefix("C-"), word.strip_prefix("M-")) {
            (Some(name), _) => (KeyModifiers::CONTROL, name),
            (_, Some(name)) => (KeyModifiers::ALT, name),
            (None, None) => (KeyModifiers::NONE, word),
        };
        let code = match name {
            "Enter" => KeyCode::Enter,
            "Up" => KeyCode::Up,
            "Down" => KeyCode::Down,
            "Left" => KeyCode::Left,
            "Right" => KeyCode::Right,
            "Home" => KeyCode::Home,
            "End" => KeyCode::End,
            "Back" => KeyCode::Backspace,
            "Del" => KeyCode::Delete,
            "Tab" => KeyCode::Tab,
            "_" => KeyCode::Char(' '),
            typed if modifiers.is_empty() => {
                typed.chars().for_each(|c| last = editor.key(KeyEvent::new(KeyCode::Char(c), modifiers)));
                continue;
            }
            one => KeyCode::Char(one.chars().next().unwrap()),
        };
        last = editor.key(KeyEvent::new(code, modifiers));
    }
    last
}

/// The text after the keys, with `|` at the cursor.
fn after(typed: &str) -> String {
    let mut editor = Editor::default();
    keys(&mut editor, typed);
    let mut text = editor.text().to_owned();
    text.insert(editor.at(), '|');
    text
}

#[test]
fn keys_do_what_a_shell_taught_them() {
    for (typed, text) in [
        ("abc", "abc|"),
        ("abc C-a x", "x|abc"),
        ("abc Home C-e d", "abcd|"),
        ("abc Left Left x", "ax|bc"),
        ("abc C-b C-b C-f x", "abx|c"),
        ("abc Back", "ab|"),
        ("abc C-a Del", "|bc"),
        ("abc C-a C-d C-d", "|c"),
        ("one _ two C-w", "one |"),
        ("one _ two C-w C-y C-y", "one twotwo|"),
        ("one _ two M-b M-b x", "x|one two"),
        ("one _ two C-a M-f M-d", "one|"),
        ("one _ two C-a M-f C-k C-a C-y", " two|one"),
        ("one _ two C-u x", "x|"),
        ("one M-Enter two C-u C-k C-h", "one|"),
        ("one M-Enter two C-a C-b C-k", "one|two"),
        ("a M-Enter b M-Enter c M-< x", "x|a\nb\nc"),
    ] {
        assert_eq!(after(typed), text, "{typed}");
    }
}

#[test]
fn enter_sends_and_three_ways_make_a_new_line() {
    let mut editor = Editor::default();
    assert_eq!(keys(&mut editor, "one M-Enter two C-j three\\ Enter four"), Edit::Done);
    assert_eq!(editor.text(), "one\ntwo\nthree\nfour");
    assert_eq!(keys(&mut editor, "Enter"), Edit::Send);
    assert_eq!(editor.take(), "one\ntwo\nthree\nfour");
    assert_eq!((editor.text(), editor.at()), ("", 0));
}

#[test]
fn up_and_down_keep_their_column_and_leave_at_the_edges() {
    assert_eq!(after("abcdef C-j x C-j uvwxyz Left Up Up !"), "abcde!|f\nx\nuvwxyz");
    assert_eq!(after("abcdef C-j x C-j uvwxyz Left Up Up Down Down !"), "abcdef\nx\nuvwxy!|z");
    let mut editor = Editor::default();
    assert_eq!(keys(&mut editor, "a C-j b Up Up"), Edit::Before);
    assert_eq!(keys(&mut editor, "Down Down"), Edit::After);
    assert_eq!(keys(&mut editor, "C-p C-p"), Edit::Before);
    assert_eq!(keys(&mut editor, "C-n C-n"), Edit::After);
}

#[test]
fn a_paste_never_sends_and_drives_nothing() {
    let mut editor = Editor::default();
    editor.paste("one\r\ntwo\rthree\n\tfour\x1b[2J\u{202e}\n");
    assert_eq!(editor.text(), "one\ntwo\nthree\n    four[2J\n");
    assert_eq!(editor.at(), editor.text().len());
}

#[test]
fn the_cursor_goes_by_what_is_seen() {
    assert_eq!(after("e\u{301}👩‍👩‍👧字 Left Left Back x"), "x|👩‍👩‍👧字");
}

#[test]
fn a_key_without_a_meaning_changes_nothing() {
    assert_eq!(after("abc Tab C-q M-q"), "abc|");
}

proptest::proptest! {
    #[test]
    fn no_keys_break_the_editor(typed in proptest::collection::vec(
        "C-[abdefhjknpuwy]|M-[bdf<>]|M-Enter|Enter|Up|Down|Left|Right|Home|End|Back|Del|[a-z字👩é\u{301}\u{200d}]{1,4}", 0..60))
    {
        let mut editor = Editor::default();
        keys(&mut editor, &typed.join(" "));
        proptest::prop_assert!(editor.text().is_char_boundary(editor.at()));
    }
}
