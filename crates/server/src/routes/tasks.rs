//! Tasks: the sessions of one, by its states.

use axum::Json;
use axum::extract::State;
use outlive_protocol::Problem;
use outlive_protocol::task::TaskView;
use outlive_runtime::OfTask;
use serde::Deserialize;

use super::list::row;
use crate::App;
use crate::body::Query;
use crate::problem::ApiResult;

/// Which task.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// Its project.
    project: String,
    /// Its feature; without, those of no feature.
    feature: Option<String>,
    /// Its name; without, those that have none.
    task: Option<String>,
}

/// The sessions of a task, by its states, and its current one.
#[utoipa::path(get, path = "/tasks", tag = "sessions", params(Which),
    responses((status = 200, body = TaskView), (status = 422, body = Problem)))]
pub(super) async fn show(State(app): State<App>, Query(which): Query<Which>) -> ApiResult<Json<TaskView>> {
    let Which { project, feature, task } = which;
    let rows = app.runtime.of_task(&project, OfTask { feature, task }).await?;
    Ok(Json(TaskView::of(rows.into_iter().map(row).collect())))
}
