//! Bounds on everything that could grow without one. Each is a value, so that tests can shrink it.

/// Bytes of one message of a person.
pub const MESSAGE_BYTES: usize = 1 << 20;
/// Bytes of one journal line. Larger content goes to an artifact.
pub const LINE_BYTES: usize = 16 << 20;
/// Bytes of what a model says in one step. Each may take six in the journal.
pub const REPLY_BYTES: usize = 2 << 20;
/// Levels of the JSON that a model or a tool gives: a line nests it deeper, and must be readable.
pub const JSON_DEPTH: usize = 64;
/// Bytes of a call's result in the journal, and of its details. Larger output goes to an artifact.
pub const OUTCOME_BYTES: usize = 1 << 20;
/// Parts of a journal that are set aside.
pub const ASIDES: usize = 1_000;
/// Bytes of the events that a fork shares: they are written at once.
pub const FORK_BYTES: usize = 48 << 20;
/// Bytes of the events of an imported session: they are written at once.
pub const IMPORT_BYTES: usize = 60 << 20;
/// Follow-ups that may wait in one session's queue.
pub const QUEUE_LENGTH: usize = 100;
/// What a session may wait for at once.
pub const WAITS: usize = 64;
/// Ends of waits that a session remembers.
pub const WAITS_REMEMBERED: usize = 16;
/// How late the end of a wait is said to be late.
pub const OVERDUE_MS: u64 = 5_000;
/// Characters of a name, and of what a wait is for.
pub const NAME_CHARS: usize = 200;
/// Bytes of what a wait asks of a signal's payload.
pub const MATCH_BYTES: usize = 4 << 10;
/// Bytes of a signal's payload.
pub const SIGNAL_BYTES: usize = 64 << 10;
/// Signals that a session keeps until a wait takes them.
pub const SIGNALS_KEPT: usize = 256;
/// Bytes of all of them.
pub const SIGNALS_KEPT_BYTES: usize = 1 << 20;
/// Request ids that a session remembers; older ones are forgotten, oldest first.
pub const REQUESTS_REMEMBERED: usize = 1_024;
/// Decided approvals that a session remembers, so that a late decider learns the first decision.
pub const DECISIONS_REMEMBERED: usize = 256;
/// Rules that a session was granted always; the person is asked about what comes after them.
pub const GRANTS_REMEMBERED: usize = 1_024;
/// Bytes of the reason of a decision or a pause.
pub const REASON_BYTES: usize = 4 << 10;
/// Bytes of an answer that is remembered for a later one.
pub const ANSWER_REMEMBERED_BYTES: usize = 4 << 10;
/// Questions that an agent asks at once, and options of each.
pub const QUESTIONS: usize = 10;
/// Characters of a question, and of an option with its description.
pub const QUESTION_CHARS: usize = 2_000;
/// Items of an agent's list of what is to be done.
pub const LIST_ITEMS: usize = 100;
/// Characters of such an item.
pub const LIST_ITEM_CHARS: usize = 500;
/// Characters of a memory.
pub const MEMORY_CHARS: usize = 2_000;
/// Memories of one command or event.
pub const MEMORIES_AT_ONCE: usize = 256;
/// Memories that are forgotten at once: one, with all that was made of it.
pub const FORGOTTEN_AT_ONCE: usize = 16_384;
/// Answered questions that a session remembers, so that a late answer learns of the first one.
pub const ANSWERS_REMEMBERED: usize = 64;
/// Tool calls of one step; more are cut from the reply and answered with an error.
pub const CALLS_PER_STEP: usize = 64;
/// From an interrupt until no process of the call lives, in milliseconds.
pub const INTERRUPT_MS: u64 = 2_000;
/// Bytes of a tool's result that the model sees; the whole of it is kept as an artifact.
pub const RESULT_BYTES: usize = 32 << 10;
/// Tokens of a tool's result that the model sees, whatever its bytes.
pub const RESULT_TOKENS: u32 = 8_000;
/// Characters of a title.
pub const TITLE_CHARS: usize = 200;
/// Labels of a session, and bytes of each key and value.
pub const LABELS: usize = 32;
/// Bytes of a label's key or value.
pub const LABEL_BYTES: usize = 256;
/// Process deaths in a row with the same call running, after which the session parks with that call named.
pub const DEATHS_BEFORE_PARKING: u32 = 3;
/// First pause before a failed step is asked again, in milliseconds; it doubles with each failure.
pub const RETRY_FIRST_MS: u64 = 1_000;
/// Longest pause before a failed step is asked again, in milliseconds.
pub const RETRY_LONGEST_MS: u64 = 300_000;
/// Tokens of a reply below which a step is not worth asking for: a budget that leaves less ends the turn.
pub const LEAST_OUTPUT_TOKENS: u32 = 256;
/// Times a reply that was cut or malformed is asked again before the turn fails.
pub const TRUNCATED_ATTEMPTS: u32 = 5;
/// Failures in a row, after which another model stands in, where the agent does not say.
pub const FALLBACK_AFTER: u32 = 3;
/// How long a model rests that gave way to another, where the agent does not say, in milliseconds.
pub const FALLBACK_REST_MS: u64 = 300_000;
/// Models that may stand in for an agent's first.
pub const FALLBACKS: usize = 8;
/// Models that failed, of which a session knows.
pub const OUTAGES_REMEMBERED: usize = 16;
/// Bytes of an image: in base64 the 5 MiB that the strictest provider takes.
pub const IMAGE_BYTES: usize = 3_840 << 10;
/// Pixels of an image's longer side: what the strictest provider takes.
pub const IMAGE_SIDE: u32 = 8_000;
/// Bytes of a PDF.
pub const PDF_BYTES: usize = 14 << 20;
/// Bytes of a text file.
pub const TEXT_BYTES: usize = 1 << 20;
/// Files of one message.
pub const ATTACHMENTS: usize = 20;
/// Bytes of all files of one message, and of one request: in base64 they stay below what the strictest provider takes.
pub const FILES_BYTES: usize = 14 << 20;
/// Characters of a file's name.
pub const FILE_NAME_CHARS: usize = 200;
/// Bytes of the schema that an answer must fit.
pub const SCHEMA_BYTES: usize = 64 << 10;
/// Bytes of the texts of a conversation that is imported. Its journal has up to [`FORK_BYTES`].
pub const CONVERSATION_BYTES: usize = 32 << 20;
/// Turns, steps and calls of such a conversation, together.
pub const CONVERSATION_PARTS: usize = 100_000;
/// Bytes of one record of another program's file; a longer one is set aside.
pub const RECORD_BYTES: usize = 16 << 20;
/// Records set aside of one conversation that are named one by one; more are counted.
pub const DAMAGES_NAMED: usize = 20;
/// Bytes of a checkpoint's summary that a person writes, and its items.
pub const SUMMARY_BYTES: usize = 64 << 10;
/// Bytes of a task's project, feature and name.
pub const TASK_BYTES: usize = 128;
/// Iterations of a loop.
pub const ITERATIONS: u32 = 1_000;
/// Bytes of a loop's goal: each iteration is told it.
pub const GOAL_BYTES: usize = 16 << 10;
/// Checks of a loop.
pub const CHECKS: usize = 32;
/// Characters of a check's name.
pub const CHECK_NAME_CHARS: usize = 64;
/// Bytes of a check's command line.
pub const CHECK_BYTES: usize = 8 << 10;
/// Time that a check has, in milliseconds: the most that a command may ask for.
pub const CHECK_MS: u64 = 600_000;
/// Characters of what a check printed last that the next iteration is told.
pub const CHECK_TAIL_CHARS: usize = 1_000;
/// Items of a summary.
pub const SUMMARY_ITEMS: usize = 1_000;
/// Shortest and longest distance of what is due again and again, in milliseconds: a second, and ten years.
pub const SHORTEST_PERIOD_MS: u64 = 1_000;
/// See [`SHORTEST_PERIOD_MS`].
pub const LONGEST_PERIOD_MS: u64 = 3_650 * 86_400_000;
/// Times that a run of a schedule is tried.
pub const RUN_ATTEMPTS: u32 = 10;
/// Runs of a schedule that may wait or be under way.
pub const RUNS_QUEUED: usize = 100;
/// Runs that a schedule makes up for, of all that it missed.
pub const RUNS_MADE_UP: usize = 50;
/// Ended runs that a schedule's state has; its journal has all.
pub const RUNS_REMEMBERED: usize = 50;
/// Lateness at which a run is still in time, in milliseconds.
pub const RUN_IN_TIME_MS: u64 = 60_000;
/// Runs of all schedules that are under way at once.
pub const RUNS_AT_ONCE: usize = 32;
/// Runs of one schedule under way at once: where its session is paused, others still have room.
pub const RUNS_OF_ONE: usize = 8;
/// Schedules of a workspace.
pub const SCHEDULES: usize = 10_000;
/// Schedules that were for once, and are over: of more the oldest are removed when another is made.
pub const SCHEDULES_OVER: usize = 1_000;
/// Schedules that one agent's calls may have made.
pub const SCHEDULES_OF_AGENT: usize = 100;
/// Bytes of a relay's definition: each session that runs it has it in its state.
pub const RELAY_BYTES: usize = 64 << 10;
/// States of a relay.
pub const RELAY_STATES: usize = 64;
/// Characters of a prompt of a relay.
pub const RELAY_TEXT_CHARS: usize = 16_000;
/// Entries that a relay's guards count.
pub const RELAY_ENTRIES: usize = 1_000;
/// The most time that a relay's command has, in milliseconds: the most that a command may ask for.
pub const RELAY_SCRIPT_MS: u64 = 600_000;
/// Bytes of a state's input, and of its output that others can name.
pub const RELAY_VALUE_BYTES: usize = 16 << 10;
/// Attempts of a relay that its drawing shows; all are in the journal.
pub const RELAY_TRACED: usize = 64;
/// Times that an agent is asked to choose a state before a person is.
pub const RELAY_PROMPTS: u32 = 3;
/// Notices of a session that wait for one target; beyond that it is not told until some are delivered, given up or dropped.
pub const NOTICES: usize = 256;
/// Notices of a session that are given up and that a person can have tried again: the newest.
pub const NOTICES_GIVEN_UP: usize = 64;
/// Characters of why one could not be delivered.
pub const NOTICE_ERROR_CHARS: usize = 300;
