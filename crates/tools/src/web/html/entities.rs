//! Character references of HTML.

use std::borrow::Cow;

/// The ones that pages use. Others stay as they stand: all of them would be two thousand.
const NAMED: [(&str, &str); 96] = [
    ("AElig", "Æ"),
    ("Aacute", "Á"),
    ("Agrave", "À"),
    ("Aring", "Å"),
    ("Auml", "Ä"),
    ("Ccedil", "Ç"),
    ("Dagger", "‡"),
    ("Delta", "Δ"),
    ("ETH", "Ð"),
    ("Eacute", "É"),
    ("Egrave", "È"),
    ("Ntilde", "Ñ"),
    ("Omega", "Ω"),
    ("Oslash", "Ø"),
    ("Ouml", "Ö"),
    ("Uuml", "Ü"),
    ("aacute", "á"),
    ("acirc", "â"),
    ("acute", "´"),
    ("aelig", "æ"),
    ("agrave", "à"),
    ("alpha", "α"),
    ("amp", "&"),
    ("apos", "'"),
    ("aring", "å"),
    ("atilde", "ã"),
    ("auml", "ä"),
    ("bdquo", "„"),
    ("beta", "β"),
    ("bull", "•"),
    ("ccedil", "ç"),
    ("cent", "¢"),
    ("check", "✓"),
    ("copy", "©"),
    ("dagger", "†"),
    ("darr", "↓"),
    ("deg", "°"),
    ("delta", "δ"),
    ("divide", "÷"),
    ("eacute", "é"),
    ("ecirc", "ê"),
    ("egrave", "è"),
    ("ensp", " "),
    ("emsp", " "),
    ("euml", "ë"),
    ("euro", "€"),
    ("frac12", "½"),
    ("frac14", "¼"),
    ("ge", "≥"),
    ("gt", ">"),
    ("hearts", "♥"),
    ("hellip", "…"),
    ("iacute", "í"),
    ("icirc", "î"),
    ("iexcl", "¡"),
    ("infin", "∞"),
    ("iquest", "¿"),
    ("iuml", "ï"),
    ("laquo", "«"),
    ("larr", "←"),
    ("ldquo", "“"),
    ("le", "≤"),
    ("lsquo", "‘"),
    ("lt", "<"),
    ("mdash", "—"),
    ("micro", "µ"),
    ("middot", "·"),
    ("minus", "−"),
    ("mu", "μ"),
    ("nbsp", " "),
    ("ndash", "–"),
    ("ne", "≠"),
    ("ntilde", "ñ"),
    ("oacute", "ó"),
    ("ocirc", "ô"),
    ("oslash", "ø"),
    ("ouml", "ö"),
    ("para", "¶"),
    ("pi", "π"),
    ("plusmn", "±"),
    ("pound", "£"),
    ("quot", "\""),
    ("raquo", "»"),
    ("rarr", "→"),
    ("rdquo", "”"),
    ("reg", "®"),
    ("rsquo", "’"),
    ("sect", "§"),
    ("shy", ""),
    ("szlig", "ß"),
    ("thinsp", " "),
    ("times", "×"),
    ("trade", "™"),
    ("uarr", "↑"),
    ("uuml", "ü"),
    ("yen", "¥"),
];

/// What the numbers 128 to 159 mean on pages: what they did in windows-1252.
const C1: &str = "€\u{81}‚ƒ„…†‡ˆ‰Š‹Œ\u{8d}Ž\u{8f}\u{90}‘’“”•–—˜™š›œ\u{9d}žŸ";

/// Returns the text with its character references as what they stand for.
pub(in crate::web) fn decode(text: &str) -> Cow<'_, str> {
    let Some(first) = text.find('&') else { return Cow::Borrowed(text) };
    let mut out = String::with_capacity(text.len());
    let (before, mut rest) = text.split_at(first);
    out.push_str(before);
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let end = after.bytes().take(32).position(|byte| !byte.is_ascii_alphanumeric() && byte != b'#');
        let end = end.unwrap_or_else(|| after.len().min(32));
        // What is within it is ASCII, so it can be cut here.
        let (name, behind) = after.split_at(if after.is_char_boundary(end) { end } else { 0 });
        if meaning(name, &mut out) {
            rest = behind.strip_prefix(';').unwrap_or(behind);
        } else {
            out.push('&');
            rest = after;
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

fn meaning(name: &str, out: &mut String) -> bool {
    let Some(number) = name.strip_prefix('#') else {
        let found = NAMED.iter().find(|(known, _)| *known == name);
        out.push_str(found.map_or("", |(_, text)| text));
        return found.is_some();
    };
    let hex = number.strip_prefix(['x', 'X']);
    let read = hex.map_or_else(|| number.parse().ok(), |digits| u32::from_str_radix(digits, 16).ok());
    let Some(number) = read else { return false };
    let c1 = number.checked_sub(128).and_then(|at| C1.chars().nth(at as usize));
    let c = c1.or_else(|| char::from_u32(number)).filter(|c| *c != '\0');
    out.push(c.unwrap_or(char::REPLACEMENT_CHARACTER));
    true
}
