//! Files and schemas on the command line.

use crate::Home;

/// The header of an image of one dot.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x01\0\0\0\x01\x08\0\0\0\0crc.";

#[test]
fn a_file_is_attached_by_its_bytes_and_shown_in_the_transcript() {
    let home = Home::new();
    let path = |name: &str| home.0.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("photo.jpg"), PNG).unwrap();
    std::fs::write(path("notes.md"), "# Notes\n").unwrap();
    std::fs::write(path("thing.bin"), b"\x7fELF\x02\x00").unwrap();
    let said = home.check(&["run", "--attach", &path("photo.jpg"), "--attach", &path("notes.md"), "help"], 0, "");
    assert!(said.contains("I was given [image photo.jpg, 33 bytes]: 33 bytes."), "{said}");
    assert!(said.contains("I was given [file notes.md, 8 bytes]: 8 bytes."), "{said}");
    let listed: serde_json::Value = serde_json::from_str(&home.check(&["session", "list", "--json"], 0, "")).unwrap();
    let session = listed["items"][0]["id"].as_str().unwrap();
    home.check(&["session", "messages", session], 0, "[image photo.jpg, 33 bytes]\n");
    home.check(&["run", "--attach", &path("thing.bin"), "x"], 2, "only PNG, JPEG, GIF and WebP images, PDFs and text");
    std::fs::write(path("half.png"), &PNG[..20]).unwrap();
    home.check(&["run", "--attach", &path("half.png"), "x"], 2, "half.png cannot be attached: the image is broken");
    home.check(&["run", "--attach", &path("none.png"), "x"], 2, "none.png cannot be read");
}

#[test]
fn an_answer_is_held_to_a_schema() {
    let home = Home::new();
    let path = |name: &str| home.0.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("schema.json"), r#"{"type": "object", "required": ["n"]}"#).unwrap();
    std::fs::write(path("bad.json"), r#"{"type": "thing"}"#).unwrap();
    std::fs::write(path("no.json"), "{").unwrap();
    home.check(&["run", "--schema", &path("schema.json"), r#"json {"n":1}"#], 0, "{\"n\":1}\n");
    home.check(&["run", "--schema", &path("bad.json"), "x"], 2, "output_schema/type: ");
    home.check(&["run", "--schema", &path("no.json"), "x"], 2, "no.json: not JSON");
}
