use std::os::unix::fs::PermissionsExt as _;

use super::*;

const SERVER: &str = "https://mcp.example.org/mcp";
const SECRET: &str = "secret-of-the-client";

fn file(folder: &Path, server: &str) -> TokenFile {
    TokenFile::new(folder, "helper", "notes").of(server)
}

fn kept(file: &TokenFile) -> Option<String> {
    file.read().unwrap().client.map(|client| client.id)
}

fn registered(id: &str) -> Registered {
    Registered { id: id.to_owned(), secret: Some(SECRET.to_owned()), redirect: String::new() }
}

#[test]
fn what_is_kept_is_for_its_owner_alone_and_for_its_server_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = self::file(folder.path(), SERVER);
    assert_eq!(kept(&file), None);
    file.change(|kept| kept.client = Some(registered("one"))).unwrap();
    assert_eq!(kept(&file).as_deref(), Some("one"));
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&file.path), mode(file.path.parent().unwrap())), (0o600, 0o700));
    assert_eq!(file.path, folder.path().join("logins/helper/notes.json"));

    let elsewhere = self::file(folder.path(), "https://evil.example.org/mcp");
    assert_eq!(kept(&elsewhere), None, "another address");
    file.remove().unwrap();
    assert_eq!(kept(&file), None);
    file.remove().unwrap();
}

#[test]
fn a_file_that_others_can_read_or_that_leads_elsewhere_or_is_broken_is_not_taken() {
    let folder = tempfile::tempdir().unwrap();
    let file = self::file(folder.path(), SERVER);
    file.change(|kept| kept.client = Some(registered("one"))).unwrap();
    std::fs::set_permissions(&file.path, std::fs::Permissions::from_mode(0o640)).unwrap();
    let told = |file: &TokenFile| file.read().unwrap_err().to_string();
    assert!(told(&file).contains("others than its owner"), "{}", told(&file));
    std::fs::set_permissions(&file.path, std::fs::Permissions::from_mode(0o600)).unwrap();

    let aside = folder.path().join("aside");
    std::fs::rename(&file.path, &aside).unwrap();
    std::os::unix::fs::symlink(&aside, &file.path).unwrap();
    assert!(file.read().is_err(), "a link is not followed");
    std::fs::remove_file(&file.path).unwrap();
    std::fs::rename(&aside, &file.path).unwrap();
    assert_eq!(kept(&file).as_deref(), Some("one"));
    std::fs::write(&file.path, "{").unwrap();
    assert!(told(&file).contains("not what was written"), "{}", told(&file));
}

#[test]
fn what_is_shown_of_it_holds_no_secret() {
    let shown = format!("{:?}", Kept { client: Some(registered("one")), ..Kept::default() });
    assert!(shown.contains("one") && !shown.contains(SECRET), "{shown}");
    let settings = super::super::Settings { client_secret: Some(SECRET.to_owned()), ..Default::default() };
    assert!(!format!("{settings:?}").contains(SECRET));
}

#[tokio::test]
async fn two_that_renew_at_once_take_turns() {
    let folder = tempfile::tempdir().unwrap();
    let file = self::file(folder.path(), SERVER);
    let first = file.acquire_refresh_guard().await.unwrap();
    let second = file.acquire_refresh_guard();
    tokio::pin!(second);
    assert!(futures_util::poll!(&mut second).is_pending());
    drop(first);
    assert!(second.await.unwrap().is_some());
}
