//! Every error that a user can meet, by its stable code. Each has a page under `docs/errors/`.

/// One kind of error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// Stable, in the API and in file names.
    pub name: &'static str,
    /// The HTTP status; 0 where it is never an answer of the API.
    pub status: u16,
    /// What it means.
    pub title: &'static str,
}

macro_rules! codes {
    ($($constant:ident = $name:literal, $status:literal, $title:literal;)*) => {
        $(#[doc = $title] pub const $constant: Code = Code { name: $name, status: $status, title: $title };)*
        /// All of them.
        pub const ALL: &[Code] = &[$($constant,)*];
    };
}

codes! {
    BAD_REQUEST = "bad_request", 400, "The request cannot be understood";
    MALFORMED_JSON = "malformed_json", 400, "The body is not JSON, or not of the expected form";
    MALFORMED_ID = "malformed_id", 400, "An id does not have the form of its kind";
    WEBHOOK_REFUSED = "webhook_refused", 401, "The webhook's signature is not taken";
    UNAUTHORIZED = "unauthorized", 401, "A valid token is required";
    FOREIGN_HOST = "foreign_host", 403, "The Host header does not name this server";
    FOREIGN_ORIGIN = "foreign_origin", 403, "The request comes from a foreign web page";
    FORBIDDEN_SCOPE = "forbidden_scope", 403, "The token may not do this";
    NOT_FOUND = "not_found", 404, "There is no such thing";
    SESSION_NOT_FOUND = "session_not_found", 404, "There is no such session";
    AGENT_NOT_FOUND = "agent_not_found", 404, "There is no such agent";
    APPROVAL_NOT_FOUND = "approval_not_found", 404, "No such call waits for a decision";
    QUESTION_NOT_FOUND = "question_not_found", 404, "No such question waits for an answer";
    INPUT_NOT_FOUND = "input_not_found", 404, "No such follow-up waits";
    RELAY_NOT_FOUND = "relay_not_found", 404, "There is no such relay";
    WEBHOOK_NOT_FOUND = "webhook_not_found", 404, "There is no such webhook";
    WAIT_NOT_FOUND = "wait_not_found", 404, "No such wait is armed";
    NOTICE_NOT_FOUND = "notice_not_found", 404, "No such notice waits";
    TARGET_NOT_FOUND = "target_not_found", 404, "Nobody is told under this name";
    ARTIFACT_NOT_FOUND = "artifact_not_found", 404, "There is no such artifact";
    MEMORY_NOT_FOUND = "memory_not_found", 404, "There is no such memory";
    SCHEDULE_NOT_FOUND = "schedule_not_found", 404, "There is no such schedule";
    TOKEN_NOT_FOUND = "token_not_found", 404, "There is no such token";
    METHOD_NOT_ALLOWED = "method_not_allowed", 405, "The route does not take this method";
    TIMEOUT = "timeout", 408, "The request took too long to arrive";
    REQUEST_REUSED = "request_reused", 409, "The request id was used before with another body";
    SESSION_EXISTS = "session_exists", 409, "The session exists already";
    SESSION_ARCHIVED = "session_archived", 409, "The session is archived";
    TURN_RUNNING = "turn_running", 409, "A turn is running";
    ALREADY_DECIDED = "already_decided", 409, "The call was decided already";
    ALREADY_ANSWERED = "already_answered", 409, "The question was answered already";
    WAIT_ENDED = "wait_ended", 409, "The wait ended already";
    CONFLICT = "conflict", 409, "Somebody else was faster";
    MEMORY_OFF = "memory_off", 409, "Nothing of the session is remembered";
    STOPPED = "stopped", 409, "Everything is stopped";
    AGENT_CHANGED = "agent_changed", 412, "The agent was changed meanwhile";
    TOO_LARGE = "too_large", 413, "The body is too large";
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type", 415, "The body's type is not taken here";
    INVALID = "invalid", 422, "A value is not acceptable";
    MESSAGE_EMPTY = "message_empty", 422, "A message needs text";
    MESSAGE_TOO_LARGE = "message_too_large", 422, "The message is too large";
    ATTACHMENT_INVALID = "attachment_invalid", 422, "An attachment does not fit";
    SCHEMA_INVALID = "schema_invalid", 422, "The output schema is not one";
    ANSWER_INVALID = "answer_invalid", 422, "The answer does not fit the question";
    SEQ_OUT_OF_RANGE = "seq_out_of_range", 422, "There is no such event to go to";
    SEQ_IN_TURN = "seq_in_turn", 422, "The event is in the middle of a turn";
    COMPACTION_RUNNING = "compaction_running", 409, "A compaction is under way";
    NOTHING_TO_COMPACT = "nothing_to_compact", 409, "The conversation is too short to be condensed";
    RELAY_RUNNING = "relay_running", 409, "A relay is under way";
    RELAY_NOT_RUNNING = "relay_not_running", 409, "No relay is under way";
    RELAY_EXISTS = "relay_exists", 409, "There is a relay of this name";
    RELAY_INVALID = "relay_invalid", 422, "The relay is not one";
    RELAY_STATE_INVALID = "relay_state_invalid", 422, "The state cannot be entered";
    REASON_MISSING = "reason_missing", 422, "A reason is needed";
    LOOP_RUNNING = "loop_running", 409, "A loop is under way";
    LOOP_NOT_RUNNING = "loop_not_running", 409, "No loop is under way";
    WAIT_INVALID = "wait_invalid", 422, "The wait cannot be armed";
    SIGNAL_INVALID = "signal_invalid", 422, "The signal does not fit";
    LOOP_INVALID = "loop_invalid", 422, "The loop is not one";
    SCHEDULE_INVALID = "schedule_invalid", 422, "The schedule is not one";
    SCHEDULES_FULL = "schedules_full", 409, "There are too many schedules";
    TASK_INVALID = "task_invalid", 422, "The task is not one";
    TASK_TAKEN = "task_taken", 409, "The task's session is another";
    CHECKPOINT_NOT_FOUND = "checkpoint_not_found", 404, "There is no such checkpoint";
    CHECKPOINT_INVALID = "checkpoint_invalid", 422, "The checkpoint is not one";
    ITEM_UNKNOWN = "item_unknown", 404, "The checkpoint has no such item";
    FOCUS_TOO_LONG = "focus_too_long", 422, "The focus is too long";
    MODEL_UNKNOWN = "model_unknown", 422, "The agent asks no such model";
    FORK_TOO_LARGE = "fork_too_large", 422, "The events to share are too many for a fork";
    IMPORT_INVALID = "import_invalid", 422, "The conversation cannot be imported";
    IMPORT_TOO_LARGE = "import_too_large", 422, "The conversation is too large to be imported";
    MEMORY_INVALID = "memory_invalid", 422, "The memory does not fit";
    REASON_TOO_LONG = "reason_too_long", 422, "The reason is too long";
    TITLE_TOO_LONG = "title_too_long", 422, "The title is too long";
    LABELS_TOO_LARGE = "labels_too_large", 422, "The labels are too large";
    AGENT_EXISTS = "agent_exists", 409, "There is another agent of this name";
    TOKEN_EXISTS = "token_exists", 409, "There is a token of this name";
    ARCHIVE_INVALID = "archive_invalid", 422, "The file is not an archive that can be read";
    ARCHIVE_TOO_LARGE = "archive_too_large", 422, "The session is too large for an archive";
    AGENT_INVALID = "agent_invalid", 422, "The agent's files are not right";
    BUSY = "busy", 429, "Too much at once";
    RATE_LIMITED = "rate_limited", 429, "Too many requests in too short a time";
    HEAD_TOO_LARGE = "head_too_large", 431, "The request's address or headers are too large";
    QUEUE_FULL = "queue_full", 429, "Too many follow-ups wait";
    SIGNALS_FULL = "signals_full", 429, "Too many signals wait";
    INTERNAL = "internal", 500, "Something broke inside Outlive";
    JOURNAL_CORRUPT = "journal_corrupt", 500, "The session's journal is damaged";
    IO = "io", 500, "The operating system refused";
    CLOSING = "closing", 503, "The server is shutting down";
    REFLECTION_FAILED = "reflection_failed", 503, "The model gave no notes";
    STORE_POISONED = "store_poisoned", 503, "Storage is closed until a restart";
    FENCED = "fenced", 503, "Another process owns the session now";
    NO_SPACE = "no_space", 507, "No space is left on the disk";
    MODEL_AUTH = "model_auth", 0, "The provider does not accept the key";
    MODEL_INVALID_REQUEST = "model_invalid_request", 0, "The provider does not accept the request";
    MODEL_REFUSED = "model_refused", 0, "The model declined";
    MODEL_TRUNCATED = "model_truncated", 0, "The model's replies kept being cut";
    MODEL_UNAVAILABLE = "model_unavailable", 0, "The provider is not available";
    CONTEXT_OVERFLOW = "context_overflow", 0, "The request is longer than the model takes";
    ANSWER_CUT = "answer_cut", 0, "The model's answer was cut";
    OUTPUT_INVALID = "output_invalid", 0, "The answer does not fit the schema";
    BUDGET_EXCEEDED = "budget_exceeded", 0, "A budget does not last for another step";
    PRICE_UNKNOWN = "price_unknown", 0, "A budget is in dollars, and the model's price is not known";
    MAX_STEPS = "max_steps", 0, "The turn took too many steps";
    WORKSPACE_OWNED = "workspace_owned", 0, "Another server owns the workspace";
    SERVER_UNREACHABLE = "server_unreachable", 0, "No server answers";
}
