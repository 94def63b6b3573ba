//! Finds what was said.

use outlive_protocol::search::{SearchHit, SearchPage};
use outlive_tui::{Piece, Style};

use super::list::query;
use crate::cli::{Role, Search};
use crate::client::{connect, encoded};
use crate::config::Workspace;
use crate::exit::{Outcome, ok};
use crate::show;

/// Hits in one answer of the server.
const PAGE: usize = 100;

pub async fn run(place: &Workspace, search: &Search) -> Outcome {
    let role = search.role.map(|role| match role {
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    });
    let filter = [
        ("q", Some(search.words.join(" "))),
        ("agent", search.agent.clone()),
        ("session", search.session.clone()),
        ("role", role.map(str::to_owned)),
    ];
    let query = query(&filter);
    let client = connect(place).await?;
    let mut all = SearchPage { items: Vec::new(), next_cursor: None, behind: 0 };
    while all.items.len() < search.limit {
        let limit = (search.limit - all.items.len()).min(PAGE);
        let cursor = all.next_cursor.map(|cursor: String| format!("&cursor={}", encoded(&cursor))).unwrap_or_default();
        let page: SearchPage = client.get(&format!("/search?{query}limit={limit}{cursor}")).await?;
        all.items.extend(page.items);
        (all.next_cursor, all.behind) = (page.next_cursor, page.behind);
        if all.next_cursor.is_none() {
            break;
        }
    }
    if search.json {
        show::json(&all)?;
        return ok();
    }
    all.items.iter().for_each(shown);
    if all.items.is_empty() {
        say!("nothing found");
    }
    if all.behind > 0 {
        say!("{} sessions are not looked through yet; ask again in a while", all.behind);
    }
    ok()
}

fn shown(hit: &SearchHit) {
    let role = match hit.role {
        outlive_core::context::MessageRole::User => "user",
        outlive_core::context::MessageRole::Assistant => "assistant",
        outlive_core::context::MessageRole::Tool => "tool",
    };
    let title: String = hit.title.as_deref().unwrap_or_default().chars().take(40).collect();
    let head = format!("{}  {}  {role}  {}  {title}\n", hit.session_id, hit.seq, hit.at);
    let mut pieces = vec![Piece::new(Style::Dim, &head), Piece::new(Style::Plain, "  ")];
    pieces.extend(marked(&hit.snippet).into_iter().map(|(style, text)| Piece::new(style, &text)));
    pieces.push(Piece::new(Style::Plain, "\n"));
    show::pieces(show::colors(), &pieces);
}

/// Takes a snippet apart: what was found, and what stands around it, in one line.
fn marked(snippet: &str) -> Vec<(Style, String)> {
    let plain = |text: &str| {
        let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
        text.split_inclusive(char::is_whitespace).map(|word| word.replace(char::is_whitespace, " ")).collect::<String>()
    };
    let mut pieces = Vec::new();
    for (n, part) in snippet.split("<mark>").enumerate() {
        match part.split_once("</mark>").filter(|_| n > 0) {
            Some((hit, after)) => {
                pieces.push((Style::Notice, plain(hit)));
                pieces.push((Style::Plain, plain(after)));
            }
            None => pieces.push((Style::Plain, plain(part))),
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snippet_is_taken_apart_into_what_was_said() {
        let pieces = marked("a &lt;b&gt;\n &amp;lt; <mark>hit</mark>, <mark>hit</mark>");
        let expected = [
            (Style::Plain, "a <b>  &lt; "),
            (Style::Notice, "hit"),
            (Style::Plain, ", "),
            (Style::Notice, "hit"),
            (Style::Plain, ""),
        ];
        assert_eq!(pieces, expected.map(|(style, text)| (style, text.to_owned())));
    }
}
