//! `mcp_resources` and `mcp_prompts`: what servers have beside tools, for the model to look through.
//!
//! Lists are shown without asking, as lists of tools are; what is read or got is asked about as any call to a server is:
//! `mcp:SERVER/resource:URI`, `mcp:SERVER/prompt:NAME`.

use std::sync::Arc;
use std::time::Duration;

use outlive_core::content::ToolSpec;
use outlive_core::event::{Effect, OnLost};
use outlive_core::policy::{Reach, Subject};
use rmcp::model::{
    ClientRequest, GetPromptRequest, GetPromptRequestParams, GetPromptResult, ListPromptsRequest,
    ListResourceTemplatesRequest, ListResourcesRequest, PaginatedRequestParams, Prompt, ReadResourceRequest,
    ReadResourceRequestParams, Resource, ResourceTemplate, ServerResult,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::call::{Asking, Failure, words};
use super::listing::Listing;
use super::result::Gathered;
use super::rounds::{self, Given};
use super::server::{Connection, Server};
use super::tool::failed;
use super::{ITEMS, PAGES};
use crate::builtin::shape;
use crate::{Assessment, Finished, Invocation, Pending, Place, Span, Tool};

/// Bytes of an address, and of a prompt's name.
const NAME: usize = 4_096;

/// What is looked through.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Resources,
    Prompts,
}

/// The servers that have resources, or prompts.
pub(crate) struct Library {
    kind: Kind,
    servers: Vec<Arc<Server>>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct OfResources {
    /// The server.
    server: String,
    /// The address of one resource, to read it. Left out, all are listed.
    #[serde(default)]
    uri: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct OfPrompts {
    /// The server.
    server: String,
    /// The name of one prompt, to get it. Left out, all are listed.
    #[serde(default)]
    name: Option<String>,
    /// What the prompt asks for, by name.
    #[serde(default)]
    arguments: Map<String, Value>,
}

/// What is asked for.
struct Look {
    server: String,
    one: Option<String>,
    arguments: Map<String, Value>,
}

impl Library {
    /// Returns the tools that look through what these servers have.
    pub fn of(servers: &[(Arc<Server>, Arc<Listing>)]) -> Vec<Arc<dyn Tool>> {
        let mut tools: Vec<Arc<dyn Tool>> = Vec::new();
        for kind in [Kind::Resources, Kind::Prompts] {
            let has = |listing: &Listing| if kind == Kind::Resources { listing.resources } else { listing.prompts };
            let those = servers.iter().filter(|(_, listing)| has(listing)).map(|(server, _)| Arc::clone(server));
            let servers: Vec<Arc<Server>> = those.collect();
            if !servers.is_empty() {
                tools.push(Arc::new(Self { kind, servers }));
            }
        }
        tools
    }

    fn read(&self, arguments: &Value) -> Result<Look, String> {
        let look = match self.kind {
            Kind::Resources => {
                let OfResources { server, uri } = shape::read(arguments)?;
                Look { server, one: uri, arguments: Map::new() }
            }
            Kind::Prompts => {
                let OfPrompts { server, name, arguments } = shape::read(arguments)?;
                Look { server, one: name, arguments }
            }
        };
        if look.one.as_ref().is_some_and(|one| one.is_empty() || one.len() > NAME || one.chars().any(char::is_control))
        {
            return Err("what is asked for has a name that is none".to_owned());
        }
        Ok(look)
    }

    fn server(&self, name: &str) -> Result<&Arc<Server>, String> {
        let names = || self.servers.iter().map(|server| server.name()).collect::<Vec<_>>().join(", ");
        let found = self.servers.iter().find(|server| server.name() == name);
        found.ok_or_else(|| format!("no mcp server `{}` has any: those that have are {}", words(name), names()))
    }

    fn target(&self, look: &Look) -> String {
        match (self.kind, &look.one) {
            (Kind::Resources, None) => format!("{}/resources", look.server),
            (Kind::Prompts, None) => format!("{}/prompts", look.server),
            (Kind::Resources, Some(uri)) => format!("{}/resource:{uri}", look.server),
            (Kind::Prompts, Some(name)) => format!("{}/prompt:{name}", look.server),
        }
    }

    async fn look(&self, invocation: &Invocation) -> Result<Finished, Finished> {
        let look = self.read(&invocation.arguments).map_err(Finished::error)?;
        let server = self.server(&look.server).map_err(Finished::error)?;
        let reached = server.reach(&invocation.stop).await;
        let (server, connection) = reached.map_err(|why| Finished::error(format!("not asked: {why}")))?;
        let asking = Asking::of(invocation, Duration::from_millis(server.setup.server.timeout_ms));
        let target = self.target(&look);
        let looked = match (self.kind, look.one) {
            (_, None) => self.list((&connection, &asking)).await,
            (Kind::Resources, Some(uri)) => resource((&connection, &asking), &uri).await,
            (Kind::Prompts, Some(name)) => prompt((&connection, &asking), (name, look.arguments)).await,
        };
        looked.map(|gathered| gathered.finish(&target)).map_err(|failure| failed(failure, &target))
    }

    async fn list(&self, to: To<'_>) -> Result<Gathered, Failure> {
        let mut gathered = Gathered::default();
        match self.kind {
            Kind::Resources => {
                list(to, Listed::Resources, &mut gathered).await?;
                // A server without templates may not know the question.
                match list(to, Listed::Templates, &mut gathered).await {
                    Ok(()) | Err(Failure::Refused(_)) => {}
                    Err(other) => return Err(other),
                }
            }
            Kind::Prompts => list(to, Listed::Prompts, &mut gathered).await?,
        }
        Ok(gathered)
    }
}

type To<'a> = (&'a Connection, &'a Asking<'a>);

#[derive(Clone, Copy)]
enum Listed {
    Resources,
    Templates,
    Prompts,
}

impl Listed {
    fn request(self, cursor: Option<String>) -> ClientRequest {
        let params = PaginatedRequestParams::default().with_cursor(cursor);
        match self {
            Self::Resources => ClientRequest::ListResourcesRequest(ListResourcesRequest::with_param(params)),
            Self::Templates => {
                ClientRequest::ListResourceTemplatesRequest(ListResourceTemplatesRequest::with_param(params))
            }
            Self::Prompts => ClientRequest::ListPromptsRequest(ListPromptsRequest::with_param(params)),
        }
    }
}

/// Lists page by page, within bounds.
#[expect(clippy::wildcard_enum_match_arm, reason = "any other answer is none to this")]
async fn list((connection, asking): To<'_>, listed: Listed, gathered: &mut Gathered) -> Result<(), Failure> {
    let (mut cursor, mut seen, mut count): (Option<String>, Vec<String>, usize) = Default::default();
    loop {
        let answer = connection.client.calls.ask(&connection.peer, listed.request(cursor.take()), asking).await?;
        let (lines, next): (Vec<String>, Option<String>) = match answer {
            ServerResult::ListResourcesResult(page) => {
                (page.resources.iter().map(of_resource).collect(), page.next_cursor)
            }
            ServerResult::ListResourceTemplatesResult(page) => {
                (page.resource_templates.iter().map(of_template).collect(), page.next_cursor)
            }
            ServerResult::ListPromptsResult(page) => (page.prompts.iter().map(of_prompt).collect(), page.next_cursor),
            _ => return Err(Failure::Refused("its list is none".to_owned())),
        };
        for line in lines {
            if count == ITEMS {
                gathered.line(&format!("[there are more than {ITEMS}: the others are left out]"));
                return Ok(());
            }
            count += 1;
            gathered.line(&line);
        }
        match next {
            Some(next) if seen.contains(&next) || seen.len() >= PAGES => return Ok(()),
            Some(next) => {
                seen.push(next.clone());
                cursor = Some(next);
            }
            None => return Ok(()),
        }
    }
}

fn about(name: &str, said: Option<&str>) -> String {
    let said = said.map(|said| format!(": {}", words(said))).unwrap_or_default();
    format!("{}{said}", words(name))
}

fn of_resource(resource: &Resource) -> String {
    let kind = resource.mime_type.as_deref().map(|kind| format!(" ({})", words(kind))).unwrap_or_default();
    format!("{}{kind} {}", words(&resource.uri), about(&resource.name, resource.description.as_deref()))
}

fn of_template(template: &ResourceTemplate) -> String {
    let said = about(&template.name, template.description.as_deref());
    format!("{} (an address to fill in) {said}", words(&template.uri_template))
}

fn of_prompt(prompt: &Prompt) -> String {
    let of = |argument: &rmcp::model::PromptArgument| {
        let needed = if argument.required == Some(true) { ", required" } else { "" };
        format!("{}{needed}", about(&argument.name, argument.description.as_deref()))
    };
    let asks: Vec<String> = prompt.arguments.iter().flatten().map(of).collect();
    let asks = if asks.is_empty() { String::new() } else { format!(" (takes {})", asks.join("; ")) };
    format!("{}{asks}", about(&prompt.name, prompt.description.as_deref()))
}

async fn resource((connection, asking): To<'_>, uri: &str) -> Result<Gathered, Failure> {
    let request = |given: Given| {
        let mut params = ReadResourceRequestParams::new(uri);
        (params.input_responses, params.request_state) = (given.responses, given.state);
        ClientRequest::ReadResourceRequest(ReadResourceRequest::new(params))
    };
    let answer = rounds::ask(connection, asking, request).await?;
    let ServerResult::ReadResourceResult(read) = answer else {
        return Err(Failure::Refused("its answer makes no sense".to_owned()));
    };
    let mut gathered = Gathered::default();
    read.contents.into_iter().for_each(|contents| gathered.resource(contents));
    Ok(gathered)
}

async fn prompt(
    (connection, asking): To<'_>,
    (name, arguments): (String, Map<String, Value>),
) -> Result<Gathered, Failure> {
    let request = |given: Given| {
        let mut params = GetPromptRequestParams::new(name.clone()).with_arguments(arguments.clone());
        (params.input_responses, params.request_state) = (given.responses, given.state);
        ClientRequest::GetPromptRequest(GetPromptRequest::new(params))
    };
    let answer = rounds::ask(connection, asking, request).await?;
    let ServerResult::GetPromptResult(GetPromptResult { messages, .. }) = answer else {
        return Err(Failure::Refused("its answer makes no sense".to_owned()));
    };
    let mut gathered = Gathered::default();
    for message in messages {
        gathered.line(&format!("[{}]", if message.role == rmcp::model::Role::User { "user" } else { "assistant" }));
        gathered.block(message.content);
    }
    Ok(gathered)
}

impl Tool for Library {
    fn spec(&self) -> ToolSpec {
        let servers = self.servers.iter().map(|server| server.name()).collect::<Vec<_>>().join(", ");
        match self.kind {
            Kind::Resources => {
                let said = "Lists the resources of an mcp server, or reads one of them by its address.";
                shape::spec::<OfResources>("mcp_resources", &format!("{said} Servers that have any: {servers}."))
            }
            Kind::Prompts => {
                let said = "Lists the prompts of an mcp server, or gets one of them, filled in.";
                shape::spec::<OfPrompts>("mcp_prompts", &format!("{said} Servers that have any: {servers}."))
            }
        }
    }

    fn assess(&self, arguments: &Value, _place: &Place) -> Result<Assessment, String> {
        let look = self.read(arguments)?;
        self.server(&look.server)?;
        let reach = if look.one.is_some() { Reach::Beyond } else { Reach::Within };
        let target = self.target(&look);
        let summary = match look.arguments.is_empty() {
            true => format!("mcp {target}"),
            false => format!("mcp {target} {}", Value::Object(look.arguments)).chars().take(4_000).collect(),
        };
        let subject = Subject { tool: "mcp".to_owned(), target, reach };
        Ok(Assessment { effect: Effect::Read, on_lost: OnLost::Report, subject, summary, span: Span::Call })
    }

    fn run(&self, invocation: Invocation) -> Pending<'_, Finished> {
        Box::pin(async move { self.look(&invocation).await.unwrap_or_else(|failed| failed) })
    }
}
