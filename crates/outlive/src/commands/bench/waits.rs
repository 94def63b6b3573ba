//! What very many waits cost, how late those are that are due at once, and how soon a signal wakes.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use outlive_core::command::{Command, Create, NewSignal, NewWait, Until, WaitCommand};
use outlive_core::event::{Awaited, Event, OnDisconnect, Origin, OriginKind, Overdue};
use outlive_core::id::SessionId;
use outlive_core::time::Timestamp;
use outlive_protocol::Page;
use outlive_protocol::session::{CreateSession, SessionRow, SessionView};
use outlive_runtime::catalog::Catalog;
use outlive_runtime::clock::{Clock as _, Moments, SystemClock};
use outlive_runtime::scales::Scales;
use outlive_runtime::subscribe::Signal;
use outlive_runtime::{ListQuery, Runtime, Settings, WaitQuery};
use outlive_store::Store;
use outlive_store::files::fs::{Disk, RealDisk};
use outlive_store::workspace::{self, Options};
use reqwest::Method;
use rusqlite::Connection;
use tokio::task::JoinSet;

use super::bare::{BareFile, Used, ms, used};
use super::loose::LooseDisk;
use super::made::{Server, workspace as empty};
use super::turns::{Kind, followed, turn};
use super::{Bar, Figure, Scale, folder, median, percentile};
use crate::config::{self, Workspace};
use crate::exit::Failure;
use crate::wire;

const MEGABYTE: f64 = 1_048_576.0;
/// Starts of each, by turns.
const STARTS: usize = 5;
/// Bursts of waits that are due, each beside one that is begun by hand.
const ROUNDS: usize = 3;
/// How long idling is looked at.
const IDLE: Duration = Duration::from_secs(10);
/// Signals and armings, one at a time.
const ALONE: usize = 300;
/// Sessions that are made at the same time.
const AT_ONCE: usize = 64;
/// Much later than anything here.
const MONTH_MS: u64 = 30 * 86_400_000;
/// Bytes of the event that arms a wait.
const ARMED: usize = 300;

/// Measures waits.
///
/// # Errors
///
/// What the system says.
pub(super) async fn measure(dir: &Path, scale: Scale) -> Result<Vec<Figure>, Failure> {
    let mut figures = alone(dir).await?;
    figures.extend(due(dir, scale.of(10_000)).await?);
    figures.extend(overdue(dir, scale.of(10_000)).await?);
    figures.extend(armed(dir, scale.of(100_000)).await?);
    Ok(figures)
}

/// A runtime in this process.
struct Engine {
    store: Store,
    files: workspace::Workspace,
    runtime: Arc<Runtime>,
}

impl Engine {
    async fn start(place: &Workspace, disk: Arc<dyn Disk>, settings: Settings) -> Result<Self, Failure> {
        let (store, files) = workspace::open_on(disk, &place.root, Options::default()).map_err(Failure::failed)?;
        let exec = (wire::exec(&place.root)?, config::Environment::default());
        let catalog = Catalog::new(wire::sources(place, Arc::clone(&store.agents), exec));
        let kits = catalog.sharing(&store).weighing(Scales::new(outlive_model::tokens::counter()));
        let moments = Moments::new(Arc::new(SystemClock), u64::from_le_bytes(config::random::<8>()?));
        let runtime =
            Runtime::start(store.clone(), Arc::new(kits), moments, settings).await.map_err(Failure::failed)?;
        Ok(Self { store, files, runtime })
    }

    /// For making sessions: without syncs, and each leaves memory soon.
    async fn loose(place: &Workspace) -> Result<Self, Failure> {
        let settings = Settings { idle_evict: Duration::from_millis(50), ..Settings::default() };
        Self::start(place, Arc::new(LooseDisk), settings).await
    }

    async fn real(place: &Workspace) -> Result<Self, Failure> {
        Self::start(place, Arc::new(RealDisk), Settings::default()).await
    }

    async fn stop(self) {
        self.runtime.shutdown().await;
        self.files.close();
    }

    /// Makes sessions of these numbers.
    async fn make(&self, numbers: Range<usize>) -> Result<(), Failure> {
        let made = async |n: usize| self.submit(n, Command::Create(create()?)).await;
        self.each(numbers, made).await
    }

    /// Lets sessions of these numbers wait.
    async fn arm(&self, numbers: Range<usize>, wait: impl Fn(usize) -> NewWait) -> Result<(), Failure> {
        self.each(numbers, async |n: usize| self.submit(n, arming(wait(n))).await).await
    }

    async fn each(
        &self,
        numbers: Range<usize>,
        done: impl AsyncFn(usize) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let numbers: Vec<usize> = numbers.collect();
        for some in numbers.chunks(AT_ONCE) {
            join_all(some.iter().map(|n| done(*n))).await.into_iter().collect::<Result<(), Failure>>()?;
        }
        Ok(())
    }

    async fn submit(&self, n: usize, command: Command) -> Result<(), Failure> {
        self.runtime.submit(session(n), command, None).await.map(drop).map_err(Failure::failed)
    }

    /// Waits until no wait is armed that is due before then, and no turn runs.
    async fn settled(&self, before: Timestamp) -> Result<(), Failure> {
        let first = || WaitQuery { timed: true, limit: 1, ..WaitQuery::default() };
        let running = || ListQuery { status: Some("running".to_owned()), limit: 1, ..ListQuery::default() };
        loop {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let first = self.store.index.waits(first()).await.map_err(Failure::failed)?;
            let is_armed = first.iter().any(|row| row.over_at.is_some_and(|at| at < before.micros()));
            if !is_armed && self.runtime.list(running()).await.map_err(Failure::failed)?.is_empty() {
                return Ok(());
            }
        }
    }
}

fn session(n: usize) -> SessionId {
    SessionId::from_bits(n as u128 + 1)
}

fn create() -> Result<Create, Failure> {
    Ok(Create {
        agent: "bench".parse().map_err(Failure::failed)?,
        agent_digest: "0".to_owned(),
        title: None,
        project: None,
        task: None,
        on_disconnect: OnDisconnect::Continue,
        labels: std::collections::BTreeMap::new(),
        memory: None,
        by: Origin::of(OriginKind::Api),
    })
}

fn timer(until: Until) -> NewWait {
    NewWait { until: Some(until), signal: None, overdue: Overdue::Fire, reason: "an answer to the letter".to_owned() }
}

fn arming(wait: NewWait) -> Command {
    Command::Wait { what: WaitCommand::Arm(wait), by: Origin::of(OriginKind::Api) }
}

/// One at a time: arming a wait beside a bare write and sync, and a signal that wakes a session that is not in memory.
async fn alone(dir: &Path) -> Result<Vec<Figure>, Failure> {
    let home = folder(dir)?;
    let place = empty(home.path(), 0, 0).await?;
    let engine = Engine::loose(&place).await?;
    engine.make(0..ALONE + 1).await?;
    let signal = || Some(Awaited { name: "reply".to_owned(), fits: None });
    engine.arm(0..ALONE, |_| NewWait { signal: signal(), until: None, ..timer(Until::In(1)) }).await?;
    engine.stop().await;
    let engine = Engine::real(&place).await?;
    let mut file = BareFile::make(home.path())?;
    let (mut armed, mut bare, mut woken) = (Vec::new(), Vec::new(), Vec::new());
    engine.submit(ALONE, arming(timer(Until::In(MONTH_MS)))).await?;
    let cancel = async || {
        let found =
            engine.store.index.waits(WaitQuery { session: Some(session(ALONE)), limit: 1, ..WaitQuery::default() });
        let found = found.await.map_err(Failure::failed)?;
        let what = found.first().map(|row| WaitCommand::Cancel(row.wait)).ok_or_else(|| Failure::failed("no wait"))?;
        engine.submit(ALONE, Command::Wait { what, by: Origin::of(OriginKind::Api) }).await
    };
    let mut syncs = Vec::new();
    for n in 0..ALONE {
        cancel().await?;
        bare.push(file.write(&[b'x'; ARMED])?);
        let (began, before) = (ms(), engine.store.journals.syncs());
        engine.submit(ALONE, arming(timer(Until::In(MONTH_MS)))).await?;
        armed.push(ms() - began);
        syncs.push((engine.store.journals.syncs() - before) as f64);
        woken.push(wake(&engine, n).await?);
    }
    engine.stop().await;
    Ok(vec![
        Figure::new("syncs that arming a wait costs, p50", median(syncs), "").bar(Bar::AtMost(1.0)),
        Figure::new("p50 of arming a wait", median(armed), "ms").against("ms: bare write and fdatasync", median(bare)),
        Figure::new("signal to wake, p50", percentile(&woken, 50), "ms").bar(Bar::AtMost(100.0)),
        Figure::new("signal to wake, p99", percentile(&woken, 99), "ms").bar(Bar::AtMost(100.0)),
    ])
}

/// Sends a signal; returns the milliseconds until the turn that it begins is heard.
async fn wake(engine: &Engine, n: usize) -> Result<f64, Failure> {
    let mut heard = engine.runtime.subscribe(session(n), 0);
    let signal = NewSignal {
        name: "reply".to_owned(),
        payload: serde_json::json!({"from": "ada", "text": "yes"}),
        origin: Origin::of(OriginKind::Api),
    };
    let began = ms();
    engine.submit(n, Command::Signal(signal)).await?;
    while let Some(signal) = heard.next().await.map_err(Failure::failed)? {
        if matches!(signal, Signal::Event(_, entry) if matches!(entry.event, Event::TurnStarted(_))) {
            let took = ms() - began;
            engine.settled(Timestamp::from_micros(0)).await?;
            return Ok(took);
        }
    }
    Err(Failure::failed("no turn began"))
}

/// When, in milliseconds after it was due, the wait of a session ended, and its last turn.
async fn story(store: &Store, session: SessionId, due: Timestamp) -> Result<(Option<f64>, Option<f64>), Failure> {
    let lines = store.journals.read(session, 0, 1_000).await.map_err(Failure::failed)?.lines;
    let (mut woken, mut ended) = (None, None);
    for line in lines {
        let entry = line.read().map_err(Failure::failed)?;
        let after = (entry.at.micros() - due.micros()) as f64 / 1_000.0;
        if matches!(entry.event, Event::WaitEnded(_)) && woken.replace(after).is_some() {
            return Err(Failure::failed("a wait ended twice"));
        }
        if matches!(entry.event, Event::TurnEnded(_)) {
            ended = Some(after);
        }
    }
    Ok((woken, ended))
}

fn all<T>(told: Option<T>) -> Result<T, Failure> {
    told.ok_or_else(|| Failure::failed("a wait did not end, or began nothing"))
}

/// So many microseconds apart, so many are within a second.
fn apart(count: usize) -> u64 {
    1_000_000 / count.max(1) as u64
}

/// Makes sessions that wait, all within one second; returns when that begins. The clock has then not come to it.
async fn due_soon(engine: &Engine, count: usize, after: Duration) -> Result<Timestamp, Failure> {
    let began = SystemClock.now();
    engine.make(0..count).await?;
    let now = SystemClock.now();
    let first = now.plus_ms(3 * now.ms_since(began) + after.as_millis() as u64);
    let due = |n: usize| Timestamp::from_micros(first.micros() + (n as u64 * apart(count)) as i64);
    engine.arm(0..count, |n| timer(Until::At(due(n)))).await?;
    while engine.runtime.live() > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    if SystemClock.now() > first {
        return Err(Failure::failed("this machine is too slow to make the sessions in time"));
    }
    Ok(first)
}

/// Many waits that are due within one second, beside as many that are ended by hand within one second.
async fn due(dir: &Path, count: usize) -> Result<Vec<Figure>, Failure> {
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        rounds.push(due_once(dir, count).await?);
    }
    let of = |figure: &dyn Fn(&Due) -> f64| median(rounds.iter().map(figure).collect());
    let early = rounds.iter().flat_map(|round| &round.late).filter(|late| **late < 0.0).count() as f64;
    let by_hand = of(&|round| percentile(&round.by_hand, 99));
    let name = |what: &str| format!("{count} waits due within a second: {what}");
    Ok(vec![
        Figure::new(name("early"), early, "").bar(Bar::AtMost(0.0)),
        Figure::new(name("late, p50"), of(&|round| percentile(&round.late, 50)), "ms"),
        Figure::new(name("late, p99"), of(&|round| percentile(&round.late, 99)), "ms")
            .against("ms: 100, and p99 of the turns of as many that are ended by hand", 100.0 + by_hand)
            .bar(Bar::AtMost(1.0)),
        Figure::new(name("late, most"), of(&|round| percentile(&round.late, 100)), "ms"),
        Figure::new(name("until their turns ended, p99"), of(&|round| percentile(&round.ends, 99)), "ms")
            .against("ms: as many that are ended by hand", by_hand),
    ])
}

/// Milliseconds after each was due, or was to be ended by hand.
struct Due {
    /// Until its wait ended.
    late: Vec<f64>,
    /// Until the turn had ended that it began.
    ends: Vec<f64>,
    /// The same, of those that are ended by hand.
    by_hand: Vec<f64>,
}

async fn due_once(dir: &Path, count: usize) -> Result<Due, Failure> {
    let home = folder(dir)?;
    let place = empty(home.path(), 0, 0).await?;
    let engine = Engine::loose(&place).await?;
    engine.make(count..2 * count).await?;
    engine.arm(count..2 * count, |_| timer(Until::In(MONTH_MS))).await?;
    let first = due_soon(&engine, count, Duration::from_secs(3)).await?;
    engine.stop().await;
    let engine = Engine::real(&place).await?;
    let (mut late, mut ends) = (Vec::new(), Vec::new());
    engine.settled(first.plus_ms(10_000)).await?;
    let at = |n: usize| Timestamp::from_micros(first.micros() + (n as u64 * apart(count)) as i64);
    for n in 0..count {
        let (woken, ended) = story(&engine.store, session(n), at(n)).await?;
        late.push(all(woken)?);
        ends.push(all(ended)?);
    }
    let by_hand = by_hand(&engine, count).await?;
    engine.stop().await;
    Ok(Due { late, ends, by_hand })
}

/// As many waits that are ended by hand within one second, each by a task of its own, as a server does it; returns the
/// milliseconds from when each was to end until the turn that it begins had ended.
async fn by_hand(engine: &Engine, count: usize) -> Result<Vec<f64>, Failure> {
    let query = WaitQuery { timed: true, limit: count, ..WaitQuery::default() };
    let armed = engine.store.index.waits(query).await.map_err(Failure::failed)?;
    let (began, first) = (tokio::time::Instant::now(), SystemClock.now());
    let after = |n: usize| n as u64 * apart(count);
    let mut ending = JoinSet::new();
    for (n, row) in armed.iter().enumerate() {
        let (runtime, session, what) = (Arc::clone(&engine.runtime), row.session, WaitCommand::Fire(row.wait));
        let when = began + Duration::from_micros(after(n));
        ending.spawn(async move {
            tokio::time::sleep_until(when).await;
            runtime.submit(session, Command::Wait { what, by: Origin::of(OriginKind::Api) }, None).await
        });
    }
    ending.join_all().await.into_iter().collect::<Result<Vec<_>, _>>().map_err(Failure::failed)?;
    engine.settled(first).await?;
    let mut ended = Vec::with_capacity(count);
    for (n, row) in armed.iter().enumerate() {
        let due = Timestamp::from_micros(first.micros() + after(n) as i64);
        ended.push(all(story(&engine.store, row.session, due).await?.1)?);
    }
    Ok(ended)
}

/// What a server does with very many waits that were due while none ran, and what a person has of it meanwhile.
async fn overdue(dir: &Path, count: usize) -> Result<Vec<Figure>, Failure> {
    let home = folder(dir)?;
    let place = empty(home.path(), 0, 0).await?;
    let engine = Engine::loose(&place).await?;
    let first = due_soon(&engine, count, Duration::ZERO).await?;
    engine.stop().await;
    while SystemClock.now() < first.plus_ms(1_000) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let started = SystemClock.now();
    let mut server = Server::start(&place).await?;
    let (turns, most, files) = crowded(&server).await?;
    let rested = used(server.pid()).memory;
    let body = CreateSession { agent: "bench".to_owned(), ..CreateSession::default() };
    let made: SessionView = server.client.send(Method::POST, "/sessions", &body).await?;
    let mut quiet = Vec::new();
    for _ in 0..100 {
        quiet.push(turn(&server.client, &made.row.id, Kind::Plain).await?);
    }
    server.stop();
    let (store, _files) = workspace::open(&place.root, Options::default()).map_err(Failure::failed)?;
    let (mut woken, mut ended) = (Vec::new(), Vec::new());
    for n in 0..count {
        let (wake, end) = story(&store, session(n), started).await?;
        woken.push(all(wake)?);
        ended.push(all(end)?);
    }
    let name = |what: &str| format!("{count} waits overdue at a start: {what}");
    Ok(vec![
        Figure::new(name("from the start to the first"), percentile(&woken, 0), "ms").bar(Bar::AtMost(1_000.0)),
        Figure::new(name("to the last"), woken.iter().copied().fold(0.0, f64::max), "ms"),
        Figure::new(name("to the end of the last turn"), ended.iter().copied().fold(0.0, f64::max), "ms"),
        Figure::new(name("a person's turn meanwhile, p50"), percentile(&turns, 50), "ms")
            .against("ms: on the quiet server", percentile(&quiet, 50)),
        Figure::new(name("a person's turn meanwhile, p99"), percentile(&turns, 99), "ms")
            .against("ms: on the quiet server", percentile(&quiet, 99)),
        Figure::new(name("most memory"), most.memory / MEGABYTE, "MB"),
        Figure::new(name("memory once all had ended"), rested / MEGABYTE, "MB"),
        Figure::new(name("most open files"), files, ""),
    ])
}

/// Takes turns as one person until nothing waits and nothing runs; returns what they took, and what the server took at most.
async fn crowded(server: &Server) -> Result<(Vec<f64>, Used, f64), Failure> {
    let body = CreateSession { agent: "bench".to_owned(), ..CreateSession::default() };
    let made: SessionView = server.client.send(Method::POST, "/sessions", &body).await?;
    let (mut turns, mut most, mut files) = (Vec::new(), Used::default(), 0.0_f64);
    loop {
        turns.push(turn(&server.client, &made.row.id, Kind::Plain).await?);
        let now = used(server.pid());
        most.memory = most.memory.max(now.memory);
        files = files.max(now.files);
        let waits: Page<serde_json::Value> = server.client.get("/waits?limit=1").await?;
        let running: Page<SessionRow> = server.client.get("/sessions?status=running&limit=1").await?;
        if waits.items.is_empty() && running.items.is_empty() {
            return Ok((turns, most, files));
        }
    }
}

/// Very many waits that are not due: a server that has them beside one that has none.
async fn armed(dir: &Path, count: usize) -> Result<Vec<Figure>, Failure> {
    let (bare, home) = (folder(dir)?, folder(dir)?);
    let (none, place) = (empty(bare.path(), 0, 0).await?, empty(home.path(), 0, 0).await?);
    let engine = Engine::loose(&place).await?;
    let began = ms();
    let made = engine.each(0..count, async |n: usize| {
        engine.submit(n, Command::Create(create()?)).await?;
        engine.submit(n, arming(timer(Until::In(MONTH_MS + n as u64)))).await
    });
    made.await?;
    let made = ms() - began;
    engine.stop().await;
    let (mut with, mut without, mut read) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..=STARTS {
        for (place, starts) in [(&none, &mut without), (&place, &mut with)] {
            let mut server = Server::start(place).await?;
            starts.push(server.ready_ms);
            followed(&server.client).await?;
            server.stop();
        }
        read.push(read_index(&place.root.join("index.db"), count)?);
    }
    // The first start of each brings up what the making left behind.
    let start = |starts: &[f64]| median(starts.iter().skip(1).copied().collect());
    let (with, without) = (start(&with), start(&without));
    let (idle, busy) = (rest(&none).await?, rest(&place).await?);
    let name = |what: &str| format!("{count} armed waits: {what}");
    let seconds = IDLE.as_secs_f64();
    let size = std::fs::metadata(place.root.join("index.db"))?.len() as f64 / MEGABYTE;
    Ok(vec![
        Figure::new(name("made"), made, "ms"),
        Figure::new(name("index.db"), size, "MB"),
        Figure::new(name("memory"), busy.memory / MEGABYTE, "MB").against("MB: none armed", idle.memory / MEGABYTE),
        Figure::new(name("memory that they add"), (busy.memory - idle.memory) / MEGABYTE, "MB").bar(Bar::AtMost(50.0)),
        Figure::new(name(&format!("CPU in {seconds} s at rest")), busy.cpu_ms, "ms")
            .against("ms: none armed", idle.cpu_ms),
        Figure::new(name("CPU that they add"), busy.cpu_ms - idle.cpu_ms, "ms").bar(Bar::AtMost(10.0)),
        Figure::new(name("times a second that a thread wakes"), busy.wakes / seconds, "")
            .against("none armed", idle.wakes / seconds),
        Figure::new(name("start to armed"), with, "ms").against("ms: start with none", without),
        Figure::new(name("time that they add to a start"), with - without, "ms")
            .against("ms: reading their index by the bare statement", median(read))
            .bar(Bar::AtMost(2.0)),
    ])
}

/// What a server uses while it idles.
async fn rest(place: &Workspace) -> Result<Used, Failure> {
    let mut server = Server::start(place).await?;
    followed(&server.client).await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before = used(server.pid());
    tokio::time::sleep(IDLE).await;
    let after = used(server.pid());
    server.stop();
    Ok(Used { cpu_ms: after.cpu_ms - before.cpu_ms, wakes: after.wakes - before.wakes, ..after })
}

/// Reads of all waits when they are due and whose they are, in order; returns the milliseconds.
fn read_index(file: &Path, count: usize) -> Result<f64, Failure> {
    let began = ms();
    let bare = Connection::open(file).map_err(Failure::failed)?;
    let sql = "SELECT over_at, session FROM waits WHERE ended = 0 ORDER BY over_at, id";
    let mut statement = bare.prepare(sql).map_err(Failure::failed)?;
    let mut rows = statement.query([]).map_err(Failure::failed)?;
    let (mut found, mut bytes) = (0, 0);
    while let Some(row) = rows.next().map_err(Failure::failed)? {
        let (_at, session): (i64, String) = row.try_into().map_err(Failure::failed)?;
        (found, bytes) = (found + 1, bytes + session.len());
    }
    if found == count && bytes > 0 { Ok(ms() - began) } else { Err(Failure::failed("the list lacks waits")) }
}
