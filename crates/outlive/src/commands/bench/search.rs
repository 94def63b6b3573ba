//! What a page of the list and a search cost over many sessions, each beside the bare statement on the same file.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use outlive_core::context::MessageRole;
use outlive_protocol::Page;
use outlive_protocol::search::SearchPage;
use outlive_protocol::session::SessionRow;
use outlive_store::conformance::searching::{begun, said};
use outlive_store::conformance::{row, session};
use outlive_store::workspace::{self, Options};
use outlive_store::{Append, Label, ListQuery, Row, SearchQuery, Sort, Store};
use rusqlite::Connection;

use super::bare::ms;
use super::loose::LooseDisk;
use super::made::{Server, workspace as empty};
use super::{Bar, Figure, Scale, folder, percentile};
use crate::exit::Failure;

const MEGABYTE: f64 = 1_048_576.0;
/// Messages of a session, and words of a message.
const MESSAGES: usize = 6;
const WORDS: usize = 12;
/// Words that there are; the first are said often, the last hardly ever.
const VOCABULARY: u64 = 20_000;
/// Pages and searches that are measured.
const ASKED: usize = 500;
/// Kinds of questions.
const KINDS: usize = 5;
const AGENTS: [&str; 4] = ["alpha", "beta", "gamma", "delta"];

/// Measures lists and searches.
///
/// # Errors
///
/// What the system says.
pub(super) async fn measure(dir: &Path, scale: Scale) -> Result<Vec<Figure>, Failure> {
    let sessions = scale.of(100_000);
    let home = folder(dir)?;
    let place = empty(home.path(), 0, 0).await?;
    let (store, files) =
        workspace::open_on(Arc::new(LooseDisk), &place.root, Options::default()).map_err(Failure::failed)?;
    let began = ms();
    fill(&store, sessions).await?;
    let filled = ms() - began;
    while store.search.catching().await.map_err(Failure::failed)?.behind > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let followed = (sessions * MESSAGES) as f64 * 1_000.0 / (ms() - began);
    let mut figures = vec![
        Figure::new(format!("{sessions} sessions made"), filled, "ms"),
        Figure::new("messages made and followed", followed, "/s"),
    ];
    for name in ["index.db", "search.db"] {
        let size = std::fs::metadata(place.root.join(name))?.len() as f64 / MEGABYTE;
        figures.push(Figure::new(format!("{name}, {sessions} sessions"), size, "MB"));
    }
    figures.extend(lists(&store, &place.root.join("index.db")).await?);
    figures.extend(searches(&store, &place.root.join("search.db")).await?);
    files.close();
    drop((store, files));
    let server = Server::start(&place).await?;
    figures.extend(served(&server).await?);
    Ok(figures)
}

/// Numbers that look like chance and are the same each time.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }

    /// A word, as often as words of a language are.
    fn word(&mut self) -> String {
        let most = self.throw(VOCABULARY) + 1;
        named(self.throw(most))
    }
}

fn named(word: u64) -> String {
    const SYLLABLES: [&str; 10] = ["bo", "ke", "ni", "so", "tu", "la", "re", "mi", "do", "fu"];
    let digits = format!("{word:05}");
    digits.bytes().filter_map(|digit| SYLLABLES.get(usize::from(digit - b'0'))).copied().collect()
}

async fn fill(store: &Store, sessions: usize) -> Result<(), Failure> {
    let mut dice = Dice(1);
    for n in 1..=sessions {
        let (id, agent) = (session(n as u128), AGENTS.get(n % AGENTS.len()).copied().unwrap_or("alpha"));
        let mut lines = vec![begun(id, agent)];
        for m in 0..MESSAGES {
            let text: Vec<String> = (0..WORDS).map(|_| dice.word()).collect();
            let role = if m % 2 == 0 { MessageRole::User } else { MessageRole::Assistant };
            lines.push(said(m as u64 + 2, role, &text.join(" ")));
        }
        let epoch = store.leases.take(id).await.map_err(Failure::failed)?;
        let append = Append { journal: id, epoch, expected: 0, lines };
        store.journals.append(append).await.map_err(Failure::failed)?;
        let at = dice.throw(1 << 40) as i64;
        store.index.note(Row {
            agent: agent.to_owned(),
            title: Some(format!("{} {} {}", dice.word(), dice.word(), dice.word())),
            status: if n % 50 == 0 { "archived" } else { "idle" }.to_owned(),
            created_at: n as i64,
            labels: if n % 10 == 0 { r#"{"env":"prod"}"#.to_owned() } else { "{}".to_owned() },
            ..row(id, MESSAGES as u64 + 1, at)
        });
    }
    Ok(())
}

/// Questions for a page, and the plain statement of each.
fn pages() -> Vec<(ListQuery, &'static str)> {
    let text = |text: &str| Some(text.to_owned());
    let all = || ListQuery { limit: 50, ..ListQuery::default() };
    let label = Label { key: "env".to_owned(), value: text("prod") };
    vec![
        (all(), "TRUE ORDER BY updated_at DESC, id DESC"),
        (ListQuery { agent: text("beta"), ..all() }, "agent = 'beta' ORDER BY updated_at DESC, id DESC"),
        (ListQuery { status: text("archived"), ..all() }, "status = 'archived' ORDER BY updated_at DESC, id DESC"),
        (ListQuery { archived: Some(false), ..all() }, "status <> 'archived' ORDER BY updated_at DESC, id DESC"),
        (
            ListQuery { labels: vec![label], ..all() },
            "json_extract(labels, '$.env') = 'prod' ORDER BY updated_at DESC, id DESC",
        ),
        (ListQuery { text: text("fufu"), ..all() }, "title LIKE '%fufu%' ORDER BY updated_at DESC, id DESC"),
        (ListQuery { text: text("nowhere"), ..all() }, "title LIKE '%nowhere%' ORDER BY updated_at DESC, id DESC"),
        (ListQuery { sort: Sort::Title, ascending: true, ..all() }, "TRUE ORDER BY title_key, id"),
        (ListQuery { sort: Sort::Created, ..all() }, "TRUE ORDER BY created_at DESC, id DESC"),
    ]
}

async fn lists(store: &Store, file: &Path) -> Result<Vec<Figure>, Failure> {
    let bare = Connection::open(file).map_err(Failure::failed)?;
    let (mut ours, mut plain) = (Vec::new(), Vec::new());
    for (query, conditions) in pages().iter().cycle().take(ASKED) {
        let began = ms();
        store.index.list(query.clone()).await.map_err(Failure::failed)?;
        ours.push(ms() - began);
        let began = ms();
        count(&bare, &format!("SELECT * FROM sessions WHERE {conditions} LIMIT 50"), &[])?;
        plain.push(ms() - began);
    }
    Ok(beside("list page", (&ours, &plain)))
}

/// What is looked for: words that are rare and not so rare, several, phrases, beginnings.
fn wanted() -> Vec<String> {
    let mut dice = Dice(2);
    let mut rare = || named(VOCABULARY / 20 + dice.throw(VOCABULARY - VOCABULARY / 20));
    (0..ASKED)
        .map(|n| match n % KINDS {
            0 | 1 => rare(),
            2 => format!("{} {}", rare(), rare()),
            3 => format!("\"{} {}\"", rare(), rare()),
            _ => format!("{}*", rare().chars().take(8).collect::<String>()),
        })
        .collect()
}

async fn searches(store: &Store, file: &Path) -> Result<Vec<Figure>, Failure> {
    const PLAIN: &str = "SELECT s.id, m.seq, m.at, m.role, snippet(words, 0, '<', '>', '…', 24) FROM words
        JOIN messages AS m ON m.key = words.rowid JOIN sessions AS s ON s.key = m.session
        WHERE words MATCH ?1 ORDER BY rank LIMIT 20";
    let bare = Connection::open(file).map_err(Failure::failed)?;
    let ours = async |text: &str| {
        let query = SearchQuery { text: text.to_owned(), limit: 20, ..SearchQuery::default() };
        let began = ms();
        store.search.find(query).await.map_err(Failure::failed)?;
        Ok::<f64, Failure>(ms() - began)
    };
    let plain = |text: &String| {
        let began = ms();
        count(&bare, PLAIN, &[text])?;
        Ok::<f64, Failure>(ms() - began)
    };
    let both = async |texts: Vec<String>| {
        let (mut took, mut beside) = (Vec::new(), Vec::new());
        for (round, text) in texts.iter().enumerate() {
            // Whoever is first reads what the other then finds in memory.
            if (round / KINDS).is_multiple_of(2) {
                took.push(ours(text).await?);
                beside.push(plain(text)?);
            } else {
                beside.push(plain(text)?);
                took.push(ours(text).await?);
            }
        }
        Ok::<_, Failure>((took, beside))
    };
    let common = (0..ASKED as u64 / 10).map(|n| format!("{} {}", named(n % 10), named(n % 7))).collect();
    let (rare, common) = (both(wanted()).await?, both(common).await?);
    let mut figures = beside("search", (&rare.0, &rare.1));
    figures.extend(beside("search for the commonest words", (&common.0, &common.1)));
    Ok(figures)
}

fn count(bare: &Connection, sql: &str, values: &[&String]) -> Result<usize, Failure> {
    let mut statement = bare.prepare(sql).map_err(Failure::failed)?;
    let mut rows = statement.query(rusqlite::params_from_iter(values)).map_err(Failure::failed)?;
    let mut count = 0;
    while let Some(row) = rows.next().map_err(Failure::failed)? {
        row.get_ref(0).map_err(Failure::failed)?;
        count += 1;
    }
    Ok(count)
}

fn beside(what: &str, (ours, plain): (&[f64], &[f64])) -> Vec<Figure> {
    [50, 99]
        .map(|percent| {
            Figure::new(format!("{what}, p{percent} in the store"), percentile(ours, percent), "ms")
                .against("ms: the bare statement", percentile(plain, percent))
                .bar(Bar::AtMost(3.0))
        })
        .into()
}

/// The same through the door.
async fn served(server: &Server) -> Result<Vec<Figure>, Failure> {
    let routes = [
        "limit=50",
        "limit=50&agent=beta",
        "limit=50&status=archived",
        "limit=50&archived=false",
        "limit=50&label=env%3Dprod",
        "limit=50&q=fufu",
        "limit=50&q=nowhere",
        "limit=50&sort=title",
        "limit=50&sort=-created",
    ];
    let (mut listed, mut found) = (Vec::new(), Vec::new());
    for route in routes.iter().cycle().take(ASKED) {
        let began = ms();
        let _page: Page<SessionRow> = server.client.get(&format!("/sessions?{route}")).await?;
        listed.push(ms() - began);
    }
    for text in wanted() {
        let text = text.replace('"', "%22").replace(' ', "%20");
        let began = ms();
        let _page: SearchPage = server.client.get(&format!("/search?q={text}&limit=20")).await?;
        found.push(ms() - began);
    }
    Ok(vec![
        Figure::new("list page, p99 over HTTP", percentile(&listed, 99), "ms").bar(Bar::AtMost(20.0)),
        Figure::new("search, p99 over HTTP", percentile(&found, 99), "ms").bar(Bar::AtMost(50.0)),
    ])
}
