//! Reads bytes as text, in the character set that they say they are in.

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};

/// Bytes in which a page may name its character set.
const HEAD: usize = 1024;

/// Returns the text. A mark at its beginning counts most, then what the server named, then what the page names itself; what
/// nobody names is UTF-8 where it fits, else what most old pages are in.
pub(super) fn text(bytes: &[u8], named: Option<&str>) -> String {
    let label = |name: &str| Encoding::for_label(name.trim().as_bytes());
    let said = named.and_then(label).or_else(|| own(bytes).and_then(|name| label(&name)));
    let encoding = said.unwrap_or_else(|| if is_utf8(bytes) { UTF_8 } else { WINDOWS_1252 });
    let (text, _, _) = encoding.decode(bytes);
    text.into_owned()
}

/// What was cut may end within a character, where there were whole ones before.
fn is_utf8(bytes: &[u8]) -> bool {
    let whole = |end| bytes.get(..end).is_some_and(|before| !before.is_ascii());
    std::str::from_utf8(bytes).map_or_else(|error| error.error_len().is_none() && whole(error.valid_up_to()), |_| true)
}

/// Whether it can be read as text at all.
pub(super) fn is_text(bytes: &[u8]) -> bool {
    let is_wide = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
    is_wide || !bytes.iter().take(8 << 10).any(|byte| *byte == 0)
}

/// Finds `charset=…` of a `meta`, or `encoding="…"` of an XML declaration. What could be read as that is written in ASCII.
fn own(bytes: &[u8]) -> Option<String> {
    let head = String::from_utf8_lossy(bytes.get(..HEAD).unwrap_or(bytes)).to_ascii_lowercase();
    let within = |tag: &str, key: &str| {
        let tag = head.find(tag).map(|at| &head[at..])?;
        let value = tag.find(key).map(|at| tag[at + key.len()..].trim_start())?;
        let value = value.strip_prefix('=')?.trim_start().trim_start_matches(['"', '\'']);
        let end = value.find(|c: char| !(c.is_ascii_alphanumeric() || "-_:".contains(c))).unwrap_or(value.len());
        Some(value[..end].to_owned())
    };
    // UTF-16 cannot be what it is if this can be read.
    let named = within("<meta", "charset").or_else(|| within("<?xml", "encoding"))?;
    Some(if named.starts_with("utf-16") { "utf-8".to_owned() } else { named })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_in_the_character_set_that_it_says() {
        for (bytes, named, read) in [
            (&b"\xe4"[..], None, "ä"),
            ("ä".as_bytes(), None, "ä"),
            ("ä".as_bytes(), Some("UTF-8"), "ä"),
            (b"\x80", Some("iso-8859-1"), "€"),
            (b"\x83\x65\x83\x58\x83\x67", Some("Shift_JIS"), "テスト"),
            (b"\xef\xbb\xbf\xc3\xa4", Some("iso-8859-1"), "ä"),
            (b"\xff\xfea\0b\0", Some("utf-8"), "ab"),
            (b"<meta charset='koi8-r'>\xd4", None, "<meta charset='koi8-r'>т"),
            (b"<meta charset=utf-16>\xc3\xa4", None, "<meta charset=utf-16>ä"),
            (
                b"<?xml version='1' encoding = \"iso-8859-15\"?>\xa4",
                None,
                "<?xml version='1' encoding = \"iso-8859-15\"?>€",
            ),
            (b"\xc3\xa4\xc3", None, "ä\u{fffd}"),
            (b"a\xff\xe9", Some("no such thing"), "aÿé"),
            (b"a\xff\xe9", Some("utf-8"), "a\u{fffd}\u{fffd}"),
        ] {
            assert_eq!(text(bytes, named), read, "{bytes:?} {named:?}");
        }
    }

    #[test]
    fn what_holds_zeros_is_no_text() {
        assert!(is_text(b"a b"));
        assert!(is_text(b"\xff\xfea\0"));
        assert!(!is_text(b"a\0b"));
    }
}
