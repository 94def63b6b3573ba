use std::sync::Arc;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use proptest::prelude::*;

use super::*;

fn redactor(secrets: &[(&str, &str)]) -> Redactor {
    let kept: Vec<_> = secrets.iter().map(|(name, value)| (*name, Secret::new(*value))).collect();
    Redactor::new(kept.iter().map(|(name, secret)| (*name, secret)))
}

const KEY: &str = "sk-Ab9/x+Y z&\"q\\é<7>";

fn percent(text: &str, left: &str, upper: bool) -> String {
    let one = |byte: u8| match char::from(byte) {
        c if c.is_ascii_alphanumeric() || left.contains(c) => c.to_string(),
        _ if upper => format!("%{byte:02X}"),
        _ => format!("%{byte:02x}"),
    };
    text.bytes().map(one).collect()
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn wrapped(text: &str, width: usize, end: &str) -> String {
    let lines: Vec<_> = text.as_bytes().chunks(width).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
    lines.join(end)
}

/// The ways in which a secret is shown, alone or in the middle of something that is encoded with it.
fn shown(secret: &str, around: &str, way: u8) -> String {
    let within = format!("{around}{secret}{around}{around}");
    match way % 16 {
        0 => secret.to_owned(),
        1 => STANDARD.encode(secret),
        2 => STANDARD.encode(&within),
        3 => URL_SAFE.encode(&within),
        4 => URL_SAFE_NO_PAD.encode(&within),
        5 => STANDARD_NO_PAD.encode(secret),
        6 => percent(secret, "-_.~", true),
        7 => percent(secret, "-_.~", false),
        8 => percent(secret, "-_.~", true).replace("%20", "+"),
        9 => percent(secret, "", true),
        10 => hex(&within),
        11 => hex(&within).to_uppercase(),
        12 => serde_json::to_string(&within).unwrap(),
        13 => serde_json::to_string(&serde_json::to_string(&within).unwrap()).unwrap(),
        14 => wrapped(&STANDARD.encode(&within), 76, "\n"),
        _ => wrapped(&hex(&within), 60, "\r\n"),
    }
}

#[test]
fn every_form_of_a_secret_is_found_and_named() {
    let redactor = redactor(&[("KEY", KEY)]);
    for way in 0..16 {
        for around in ["", "a", "bc", "a longer text that is encoded with it, of some lines "] {
            let text = format!("before {} after", shown(KEY, around, way));
            let clean = redactor.text(&text);
            assert!(clean.starts_with("before ") && clean.ends_with(" after"), "{way}: {clean}");
            assert_eq!(clean.matches("[redacted:KEY]").count(), 1, "{way} {around}: {text} {clean}");
        }
    }
    assert_eq!(redactor.text(&format!("<{KEY}>{KEY}")), "<[redacted:KEY]>[redacted:KEY]");
    assert_eq!(
        redactor.text(&KEY.replace('/', "%2F").replace('+', "%2B")),
        KEY.replace('/', "%2F").replace('+', "%2B")
    );
}

#[test]
fn what_is_no_secret_is_neither_changed_nor_copied() {
    let redactor = redactor(&[("KEY", KEY), ("OTHER", "0123456789abcdef")]);
    for text in ["", "plain", "sk-Ab9/x+Y z", "0123456789abcde", "é".repeat(99).as_str(), "%2F%2B"] {
        assert!(matches!(redactor.text(text), Cow::Borrowed(same) if same == text));
    }
    assert!(matches!(Redactor::default().text(KEY), Cow::Borrowed(_)));
}

#[test]
fn secrets_within_secrets_and_across_each_other_are_one() {
    let redactor = redactor(&[("SHORT", "abcdefgh"), ("LONG", "abcdefghijkl1"), ("NEXT", "jkl1mnop")]);
    let check = |text: &str, clean: &str| assert_eq!(redactor.text(text), clean);
    check("xabcdefghx", "x[redacted:SHORT]x");
    check("xabcdefghijkl1x", "x[redacted:LONG]x");
    check("xabcdefghijkl1mnopx", "x[redacted:LONG]x");
    check("abcdefghabcdefgh", "[redacted:SHORT][redacted:SHORT]");
}

#[test]
fn the_lines_of_a_key_file_are_found_one_by_one() {
    let body = ["MIIEpAIBAAKCAQEA7bq1", "Zk3mT0pQwXyZ0123456a", "short"];
    let pem = format!("-----BEGIN KEY-----\n{}\n-----END KEY-----", body.join("\n"));
    let redactor = redactor(&[("PEM", &pem)]);
    assert_eq!(redactor.text(&format!("<{pem}>")), "<[redacted:PEM]>");
    let indented = pem.replace('\n', "\n    ");
    let clean = redactor.text(&indented).into_owned();
    assert!(!clean.contains(body[0]) && !clean.contains(body[1]) && clean.contains("short"), "{clean}");
}

#[test]
fn strings_and_keys_of_a_value_are_cleaned_and_the_rest_of_it_stays() {
    let redactor = redactor(&[("KEY", KEY)]);
    let mut value = serde_json::json!({"a": [1, null, KEY], KEY: {"b": true}, "c": "d"});
    assert!(redactor.value(&mut value));
    let clean = serde_json::json!({"a": [1, null, "[redacted:KEY]"], "[redacted:KEY]": {"b": true}, "c": "d"});
    assert_eq!(value.to_string(), clean.to_string(), "in their order");
    assert!(!redactor.value(&mut value));
}

#[test]
fn values_that_would_be_found_everywhere_are_refused_by_name_and_the_others_known() {
    let secrets = Secrets::default();
    let learn = |name: &str, value: &str| secrets.learn([(name.to_owned(), Secret::new(value))]).len();
    for value in ["", "short", "aaaaaaaaaaaa", "Password", "12345678", "abababababab"] {
        assert_eq!(learn("BAD", value), 1, "{value}");
    }
    assert!(secrets.now().is_empty());
    assert_eq!((learn("GOOD", "kd93-fk2"), learn("AGAIN", "kd93-fk2")), (0, 0));
    assert_eq!(secrets.now().text("a kd93-fk2 b"), "a [redacted:GOOD] b");
    assert_eq!(learn("NEWER", "other-0987"), 0);
    assert_eq!(secrets.clone().now().text("kd93-fk2 other-0987"), "[redacted:GOOD] [redacted:NEWER]");
}

/// Feeds the text in pieces of these sizes, over and over.
fn fed(redactor: &Arc<Redactor>, text: &[u8], sizes: &[usize]) -> Vec<u8> {
    let (mut stream, mut out, mut at) = (Stream::new(Arc::clone(redactor)), Vec::new(), 0);
    for size in sizes.iter().cycle() {
        if at >= text.len() {
            break;
        }
        let end = (at + size).min(text.len());
        out.extend_from_slice(&stream.push(&text[at..end]));
        at = end;
    }
    out.extend(stream.finish());
    out
}

#[test]
fn a_secret_that_comes_in_two_pieces_is_found_wherever_it_is_cut_and_text_is_not_held_back_without_need() {
    let redactor = Arc::new(redactor(&[("KEY", KEY)]));
    for way in 0..16 {
        let text = format!("before {} after", shown(KEY, "within", way));
        let whole = redactor.text(&text).into_owned();
        for at in 0..=text.len() {
            assert_eq!(fed(&redactor, text.as_bytes(), &[at.max(1), text.len()]), whole.as_bytes(), "{way} at {at}");
        }
    }
    let mut stream = Stream::new(redactor);
    assert_eq!(stream.text("plain text".to_owned()), "plain text");
    assert_eq!(stream.text("a sk-Ab".to_owned()), "a ");
    assert_eq!(stream.text("c!".to_owned()), "sk-Abc!");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn wherever_a_secret_is_hidden_and_however_it_is_shown_and_cut_it_is_found(
        secret in "[!-~é ]{8,60}",
        around in "[ -~]{0,40}",
        noise in "[ -~\n]{0,60}",
        way in 0u8..16,
        sizes in proptest::collection::vec(1usize..40, 1..6),
    ) {
        let redactor = Arc::new(redactor(&[("S", &secret)]));
        let told = shown(&secret, &around, way);
        let text = format!("{noise}\u{1}{told}\u{1}{noise}");
        let clean = redactor.text(&text).into_owned();
        prop_assert!(clean.contains("[redacted:S]"), "{}", clean);
        prop_assert!(!clean.contains(&told) || way == 12 || way == 13);
        prop_assert!(!clean.contains(&secret) && !clean.contains(&hex(&secret)));
        prop_assert!(!clean.contains(&STANDARD_NO_PAD.encode(&secret)) && !clean.contains(&URL_SAFE_NO_PAD.encode(&secret)));
        prop_assert!(!redactor.finds(clean.as_bytes()));
        prop_assert_eq!(fed(&redactor, text.as_bytes(), &sizes), clean.as_bytes());
    }

    #[test]
    fn pieces_of_anything_come_out_as_the_whole_does(
        text in "[abcde\n]{0,300}",
        sizes in proptest::collection::vec(1usize..9, 1..6),
    ) {
        // Secrets that overlap each other and themselves in every way.
        let these = [("A", "abcabcab"), ("B", "bcabcabcde"), ("C", "cdecdecd"), ("D", "abcdeabcdeabcdeabcde")];
        let redactor = Arc::new(redactor(&these));
        let whole = redactor.bytes(text.as_bytes()).into_owned();
        prop_assert_eq!(fed(&redactor, text.as_bytes(), &sizes), whole);
    }
}

#[test]
#[ignore = "a measurement: says how many megabytes a second are gone through"]
fn how_fast_text_is_gone_through() {
    let keys: Vec<(String, String)> =
        (0..10).map(|n| (format!("K{n}"), hex(&format!("secret {n} {}", n * 7_919)) + "-_x/9")).collect();
    let these: Vec<(&str, &str)> = keys.iter().map(|(name, key)| (name.as_str(), key.as_str())).collect();
    #[expect(clippy::disallowed_methods, reason = "a measurement")]
    let now = Instant::now;
    let began = now();
    let redactor = redactor(&these);
    println!("made in {:?}: {redactor:?}", began.elapsed());
    let text =
        "A line of what tools print: 0123456789 abcdef /usr/share/doc, {\"key\": \"c2VjcmV0\"}\n".repeat(1 << 17);
    let began = now();
    assert!(!redactor.finds(text.as_bytes()));
    let took = began.elapsed().as_secs_f64();
    println!("{:.0} MB/s of {} bytes", text.len() as f64 / took / 1e6, text.len());
    let (began, shared) = (now(), Arc::new(redactor));
    let mut stream = Stream::new(shared);
    text.as_bytes().chunks(16 << 10).for_each(|piece| drop(stream.push(piece)));
    println!("{:.0} MB/s in pieces of 16 KiB", text.len() as f64 / began.elapsed().as_secs_f64() / 1e6);
}

#[test]
fn a_line_is_sealed_anew_without_secrets_and_stays_the_event_that_it_was() {
    use crate::event::Line;
    let seal = |body: &str| {
        let crc = crc32c::crc32c(body.as_bytes());
        Line::check(format!("{body},\"crc\":\"{crc:08x}\"}}").as_bytes()).unwrap()
    };
    let head = r#"{"seq":3,"at":"2026-01-01T00:00:00.000000Z","type":"#;
    let check = |redactor: &Redactor, before: &str, after: Option<&str>| {
        let clean = seal(&format!("{head}{before}")).redacted(redactor).unwrap();
        assert_eq!(
            clean.as_ref().map(Line::as_str),
            after.map(|after| seal(&format!("{head}{after}"))).as_ref().map(Line::as_str)
        );
        if let Some(clean) = clean {
            assert!(Line::check(clean.as_str().as_bytes()).unwrap().read().is_ok());
        }
    };
    let known = redactor(&[("K", "s3cret-key"), ("WORD", "max_tokens")]);
    let step = |text: &str, seal: &str| {
        format!(
            r#""step.finished","v":1,"attempt":1,"content":[{{"type":"thinking","thinking":"{text}"{seal}}},{{"type":"thinking","thinking":"t","signature":"kept"}}],"stop_reason":"max_tokens","usage":{{"input_tokens":1,"output_tokens":1}},"latency_ms":1,"model":"m""#
        )
    };
    check(&known, &step("of s3cret-key", r#","signature":"gone""#), Some(&step("of [redacted:K]", "")));
    let known = redactor(&[("K", "s3cret-key")]);
    check(&known, &step("of s3cret-key", r#","signature":"gone""#), Some(&step("of [redacted:K]", "")));
    let unknown = r#""future.kind","v":7,"x":{"s3cret-key":["s3cret-key",1.50]}"#;
    check(&known, unknown, Some(r#""future.kind","v":7,"x":{"[redacted:K]":["[redacted:K]",1.5]}"#));
    check(&known, r#""future.kind","v":7,"x":"s3cret""#, None);
}

#[test]
fn of_a_token_that_is_renewed_the_last_two_are_known() {
    let secrets = Secrets::default();
    secrets.learn([("KEY".to_owned(), Secret::new("key-0123456789"))]);
    let tokens: Vec<String> = (0..4).map(|n| format!("token-number-{n}")).collect();
    for token in tokens.iter().chain(&tokens[3..]) {
        assert_eq!(secrets.renew("login", token), []);
    }
    let found: Vec<bool> = tokens.iter().map(|token| secrets.now().finds(token.as_bytes())).collect();
    assert_eq!(found, [false, false, true, true]);
    assert!(secrets.now().finds(b"key-0123456789"));
    assert_eq!(secrets.renew("login", "short").len(), 1);
}
