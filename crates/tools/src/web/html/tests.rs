use super::*;

fn shown(page: &str) -> String {
    let told = |piece: Piece<'_>| match piece {
        Piece::Text(text) => decode(text).into_owned(),
        Piece::Open(tag) => format!("<{}>", tag.name),
        Piece::Close(name) => format!("</{name}>"),
    };
    Pieces::of(page).map(told).collect()
}

#[test]
fn what_is_no_text_of_the_page_is_left_out() {
    for (page, left) in [
        ("a<!-- <b> -->c", "ac"),
        ("a<!-- never ends", "a"),
        ("<!DOCTYPE html>a<?xml x?>", "a"),
        ("a<script>if (1<2) '</b>' </ script></SCRIPT >b", "ab"),
        ("a<style>b", "a"),
        ("a<svg><svg>x</svg>y</svg>b", "ab"),
        ("a<div hidden>x<div>y</div>z</div>b", "ab"),
        ("a<span style='Display : NONE'>x</span>b", "ab"),
        ("<P CLASS=x>a</P x>", "<p>a</p>"),
        ("a < b <3 </ c>", "a < b <3 </ c>"),
        ("<a href='>'>x", "<a>x"),
        ("<a href=\"x", "<a>"),
        ("<a", "<a>"),
    ] {
        assert_eq!(shown(page), left, "{page}");
    }
}

#[test]
fn attributes_are_found_however_they_are_written() {
    for page in ["<a href=x>", "<a HREF = 'x' >", "<a b c=\"d\" href=\"x\"/>", "<a/href=x>"] {
        let Some(Piece::Open(tag)) = Pieces::of(page).next() else { panic!("{page}") };
        assert_eq!(tag.attribute("href"), Some("x"), "{page}");
    }
}

#[test]
fn references_stand_for_what_they_name() {
    assert_eq!(decode("a &amp; b &lt;&#60;&#x3C; &copy &#128;&#0; &no; &"), "a & b <<< © €\u{fffd} &no; &");
    assert_eq!(decode("&äöü&#99999999999;&#xD800;"), "&äöü&#99999999999;\u{fffd}");
}
