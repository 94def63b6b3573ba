//! The routes, a file per resource. Each translates a request into a question or a command, and the answer back.

mod agent_files;
mod agents;
mod approvals;
mod archives;
mod artifacts;
mod audit;
mod checkpoints;
mod context;
mod control;
mod document;
mod events;
mod health;
mod history;
mod hooks;
mod imports;
mod iteration;
mod list;
mod memory;
mod messages;
mod notices;
mod noting;
mod questions;
mod queue;
mod relays;
mod schedules;
mod search;
mod sessions;
mod socket;
mod stop;
mod tasks;
mod tokens;
mod trash;
mod waits;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{Method, Uri};
use outlive_protocol::{BASE, code};
use utoipa::OpenApi as _;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::body::LARGE_BYTES;
use crate::problem::ApiError;

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Outlive",
        description = "Agents that outlive their processes. Every route under `/api/v1` takes `Authorization: Bearer TOKEN`, \
                   each says in `security` which scope of a token it needs; errors are RFC 9457 problem details with a stable `code`; writes take `Idempotency-Key`.",
        license(name = "MIT OR Apache-2.0")
    ),
    components(schemas(outlive_protocol::socket::ClientFrame, outlive_protocol::socket::ServerFrame))
)]
struct Document;

/// What begins turns by itself, and who is told of them.
fn waiting() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(relays::list, relays::keep))
        .routes(routes!(relays::show))
        .routes(routes!(relays::start))
        .routes(routes!(relays::run, relays::change))
        .routes(routes!(waits::arm))
        .routes(routes!(waits::signal))
        .routes(routes!(waits::list))
        .routes(routes!(hooks::take))
        .routes(routes!(waits::fire))
        .routes(routes!(waits::put_off))
        .routes(routes!(waits::cancel))
        .routes(routes!(notices::list))
        .routes(routes!(notices::retry))
        .routes(routes!(notices::discard))
        .routes(routes!(notices::targets))
        .routes(routes!(notices::test))
        .routes(routes!(schedules::list, schedules::create))
        .routes(routes!(schedules::show, schedules::change, schedules::remove))
        .routes(routes!(schedules::pause))
        .routes(routes!(schedules::resume))
        .routes(routes!(schedules::run))
        .routes(routes!(schedules::events))
}

fn described() -> OpenApiRouter<App> {
    let large = OpenApiRouter::new().routes(routes!(imports::create)).layer(DefaultBodyLimit::max(LARGE_BYTES));
    let api = OpenApiRouter::new()
        .merge(large)
        .merge(waiting())
        .routes(routes!(agents::list, agent_files::import))
        .routes(routes!(agents::show, agent_files::write, agent_files::remove))
        .routes(routes!(agent_files::files))
        .routes(routes!(agent_files::versions))
        .routes(routes!(agent_files::export))
        .routes(routes!(sessions::create, list::list))
        .routes(routes!(sessions::show, sessions::update, sessions::remove))
        .routes(routes!(trash::list, trash::empty))
        .routes(routes!(trash::restore))
        .routes(routes!(tokens::list, tokens::create))
        .routes(routes!(tokens::revoke))
        .routes(routes!(messages::post, messages::list))
        .routes(routes!(events::of_session))
        .routes(routes!(events::of_all))
        .routes(routes!(socket::open))
        .routes(routes!(control::interrupt))
        .routes(routes!(control::pause))
        .routes(routes!(control::resume))
        .routes(routes!(iteration::start, iteration::abort))
        .routes(routes!(tasks::show))
        .routes(routes!(checkpoints::compact))
        .routes(routes!(checkpoints::list, checkpoints::change))
        .routes(routes!(checkpoints::show))
        .routes(routes!(history::fork))
        .routes(routes!(history::rewind))
        .routes(routes!(archives::export))
        .routes(routes!(archives::import))
        .routes(routes!(approvals::list))
        .routes(routes!(approvals::decide))
        .routes(routes!(approvals::inbox))
        .routes(routes!(questions::list))
        .routes(routes!(questions::answer))
        .routes(routes!(context::show))
        .routes(routes!(queue::show, queue::replace))
        .routes(routes!(audit::list))
        .routes(routes!(noting::add))
        .routes(routes!(noting::reflect))
        .routes(routes!(noting::edit, noting::forget))
        .routes(routes!(stop::show, stop::stop, stop::lift))
        .routes(routes!(memory::list))
        .routes(routes!(memory::show))
        .routes(routes!(search::find))
        .routes(routes!(search::progress, search::reindex))
        .routes(routes!(artifacts::keep))
        .routes(routes!(artifacts::show));
    OpenApiRouter::with_openapi(Document::openapi())
        .nest(BASE, api)
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
        .routes(routes!(health::version))
        .routes(routes!(health::metrics))
}

/// Returns the OpenAPI 3.1 document of the API, as pretty JSON.
#[must_use]
pub fn openapi() -> String {
    document::complete(&described().split_for_parts().1)
}

pub(crate) fn all() -> Router<App> {
    let (router, document) = described().split_for_parts();
    let document = document::complete(&document);
    let answer = ([(axum::http::header::CONTENT_TYPE, "application/json")], document);
    router.route(&format!("{BASE}/openapi.json"), axum::routing::get(async move || answer.clone()))
}

pub(crate) async fn not_found(uri: Uri) -> ApiError {
    ApiError::new(&code::NOT_FOUND, format!("there is no route `{}`; GET {BASE}/openapi.json lists them", shown(&uri)))
}

pub(crate) async fn method_not_allowed(method: Method, uri: Uri) -> ApiError {
    ApiError::new(&code::METHOD_NOT_ALLOWED, format!("`{}` does not take {method}", shown(&uri)))
}

fn shown(uri: &Uri) -> String {
    uri.path().chars().take(120).collect()
}
