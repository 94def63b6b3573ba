//! What every store promises, each promise a function that fails by panicking: memory, files, and every backend pass all.
//!
//! A test binary names its subject once: `outlive_store::conformance!(MySubject);` makes a test of each promise.

#![expect(clippy::missing_panics_doc, reason = "a promise that is not kept panics: that is what it is for")]
#![expect(clippy::expect_used, reason = "a promise that is not kept panics: that is what it is for")]

pub mod agents;
pub mod answers;
pub mod beside;
pub mod facts;
pub mod journals;
pub mod knowing;
pub mod listing;
pub mod paraphrased;
pub mod recalling;
pub mod remembering;
pub mod searching;
pub mod stops;
mod subjects;
pub mod trash;

use outlive_core::event::Line;
use outlive_core::id::{Seq, SessionId};

use crate::{Append, Epoch, Row, Store, StoreError};

/// A store under test: empty when made.
pub trait Subject: Default {
    /// Opens it. If it was open before, that one has ended, and what it kept is there.
    fn open(&mut self) -> Store;
}

/// Makes a test of every promise for a [`Subject`].
#[macro_export]
macro_rules! conformance {
    ($subject:ty) => {
        $crate::conformance! { @each $subject:
            journals::what_was_appended_is_read_back
            journals::a_read_goes_on_from_a_position_up_to_its_limit
            journals::an_append_at_a_wrong_head_changes_nothing
            journals::lines_with_a_gap_are_refused_whole
            journals::an_append_without_lines_is_refused
            journals::an_unknown_journal_is_not_found
            journals::a_removed_journal_is_gone
            journals::of_writers_at_the_same_head_one_wins
            journals::many_journals_grow_at_once
            journals::large_lines_come_back_whole
            journals::an_epoch_never_taken_is_fenced
            journals::opening_again_keeps_all_and_fences_old_writers
            journals::opening_again_and_again_changes_nothing
            journals::a_journal_goes_on_after_opening_again
            journals::a_scrubbed_line_is_read_as_it_is_now
            journals::what_is_not_there_cannot_be_scrubbed
            journals::artifacts_of_scrubbed_lines_go_with_them
            answers::an_answer_is_found_by_its_name
            answers::an_answer_is_bounded
            stops::a_stop_holds_until_it_is_lifted
            beside::artifacts_come_back_by_their_hash
            beside::a_snapshot_is_replaced_whole
            beside::an_agent_is_made_once
            agents::an_agent_is_changed_whole_and_what_it_was_is_kept
            agents::a_change_that_expects_something_else_is_not_done
            agents::the_last_versions_are_kept_each_once
            agents::a_grant_lies_beside_an_agents_files
            agents::an_agent_that_was_taken_away_can_be_made_again
            beside::an_agent_outside_its_folder_is_refused
            beside::a_stamp_tells_agents_apart
            listing::rows_come_newest_first_in_pages
            listing::a_list_is_in_the_order_that_is_asked_for
            listing::a_list_shows_what_has_all_labels_that_are_asked_for
            listing::a_list_shows_what_it_is_asked_for
            listing::a_row_noted_a_moment_ago_is_listed_once
            listing::what_sessions_wait_for_is_listed_by_its_time
            listing::a_session_taken_off_the_list_stays_off
            listing::a_restart_opens_what_is_owed_or_not_covered
            listing::a_rebuilt_list_is_what_it_was_built_from
            searching::what_was_said_is_found_by_its_words
            searching::a_search_is_narrowed_and_paged
            searching::whatever_is_typed_is_only_words
            searching::what_was_removed_is_not_found
            remembering::what_is_remembered_is_found_by_what_it_says
            remembering::nobody_recalls_what_only_another_may_know
            knowing::a_session_is_told_unasked_what_it_may_recall
            knowing::what_came_from_an_archive_is_for_its_session_alone
            remembering::a_newer_fact_stands_before_the_older
            remembering::what_is_edited_or_forgotten_is_found_as_it_is_now
            remembering::what_was_erased_from_its_line_is_no_memory
            remembering::what_a_forgotten_one_had_replaced_is_found_again
            remembering::nothing_takes_the_place_of_what_more_may_know
            remembering::whatever_is_asked_is_only_words
            remembering::what_was_shown_to_a_model_is_a_use
            remembering::memories_go_and_come_with_their_session
            remembering::vectors_of_different_spaces_are_never_compared
            remembering::memories_are_listed_in_pages
            trash::what_is_in_the_trash_is_gone_and_comes_back_whole
            trash::what_is_erased_is_gone_wherever_it_was
            trash::what_was_brought_back_is_not_erased_with_the_others
            trash::lines_in_the_trash_are_written_anew_there
            trash::a_request_that_deleted_is_remembered
        }
    };
    (@each $subject:ty: $($family:ident::$promise:ident)+) => {
        $(#[tokio::test]
        async fn $promise() {
            let mut subject = <$subject as ::std::default::Default>::default();
            $crate::conformance::$family::$promise(&mut subject).await;
        })+
    };
}

/// Returns session `n`.
#[must_use]
pub fn session(n: u128) -> SessionId {
    SessionId::from_bits(n)
}

/// Returns a line with this seq and text, of a type that nobody knows.
#[must_use]
pub fn line(seq: Seq, text: &str) -> Line {
    let text = serde_json::Value::from(text);
    let open = format!(
        "{{\"seq\":{seq},\"at\":\"2026-01-01T00:00:00.000000Z\",\"type\":\"test.noted\",\"v\":1,\"text\":{text}"
    );
    let sealed = format!("{open},\"crc\":\"{:08x}\"}}", crc32c::crc32c(open.as_bytes()));
    Line::check(sealed.as_bytes()).expect("a line that is sealed is a line")
}

/// Returns lines with the seqs `expected + 1 ..= expected + count`.
#[must_use]
pub fn lines(expected: Seq, count: u64) -> Vec<Line> {
    (expected + 1..=expected + count).map(|seq| line(seq, &format!("line {seq}"))).collect()
}

/// Returns a row of this session, at rest, with this head and `updated_at`.
#[must_use]
pub fn row(session: SessionId, head: Seq, updated_at: i64) -> Row {
    Row {
        session,
        head,
        agent: "scribe".to_owned(),
        title: None,
        project: None,
        task: None,
        status: "idle".to_owned(),
        created_at: 1,
        updated_at,
        owed: false,
        labels: "{}".to_owned(),
        waits: Vec::new(),
    }
}

async fn take(store: &Store, journal: SessionId) -> Epoch {
    store.leases.take(journal).await.expect("a lease is taken")
}

async fn append(
    store: &Store,
    (journal, epoch): (SessionId, Epoch),
    expected: Seq,
    count: u64,
) -> Result<(), StoreError> {
    store.journals.append(Append { journal, epoch, expected, lines: lines(expected, count) }).await
}

async fn all(store: &Store, journal: SessionId) -> Result<Vec<Line>, StoreError> {
    store.journals.read(journal, 0, usize::MAX).await.map(|opened| opened.lines)
}
