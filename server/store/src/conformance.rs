//! The tests that every driver passes, so that what the contract says is written once and means the same everywhere.
//!
//! A driver calls [`conformance_suite!`](crate::conformance_suite) in its tests with a function that opens an empty
//! store; each case is a test of its own there. A case knows nothing but the contract. What only a store on a disk can
//! do (being opened again, crashes, a full disk) is tested by its driver.

#![expect(
    clippy::unwrap_used,
    missing_docs,
    reason = "all of this is tests, and their names say what they test"
)]

pub mod concurrency;
pub mod conflicts;
pub mod documents;
pub mod groups;
pub mod history;
pub mod indexes;
pub mod model;
pub mod scans;

mod fixture;
mod naive;

use std::any::Any;
use std::ops::Deref;

use crate::Store;

/// An empty store for one case, with what has to live as long as it does.
pub struct TestStore {
    // Dropped in this order: first the store, then the folder that it is in.
    store: Box<dyn Store>,
    _kept: Box<dyn Any>,
}

impl TestStore {
    /// A store that needs nothing else.
    pub fn new(store: impl Store) -> Self {
        Self::keeping(store, ())
    }

    /// A store, and something (a temporary folder) that is dropped after it.
    pub fn keeping(store: impl Store, kept: impl Any) -> Self {
        Self {
            store: Box::new(store),
            _kept: Box::new(kept),
        }
    }
}

impl Deref for TestStore {
    type Target = dyn Store;

    fn deref(&self) -> &Self::Target {
        &*self.store
    }
}

/// Makes a test of every case: `conformance_suite!(open)`, where `open` is a function in scope that returns a
/// [`TestStore`] with an empty store.
#[macro_export]
macro_rules! conformance_suite {
    ($open:ident) => {
        $crate::conformance_suite! { $open:
            documents: [
                an_empty_store_has_nothing,
                a_document_is_read_as_it_was_written,
                an_update_keeps_the_version_of_creation,
                a_document_created_again_is_created_anew,
                a_deleted_document_is_absent,
                a_large_document_is_read_as_it_was_written,
                unusual_ids_and_data_are_kept_apart,
                documents_of_the_same_id_in_different_collections_are_different,
                collections_with_documents_are_listed_in_the_order_of_paths,
                names_of_collections_are_those_directly_under_a_parent,
            ],
            groups: [
                a_group_is_invisible_to_others_until_it_is_finished,
                a_group_sees_what_it_has_applied,
                a_dropped_group_leaves_nothing,
                commits_of_a_group_build_on_each_other,
                versions_are_those_of_the_commits,
                a_commit_without_writes_counts,
                a_version_that_is_not_greater_is_refused,
                a_commit_changes_up_to_a_maximum_of_documents,
                an_empty_group_changes_nothing,
            ],
            conflicts: [
                a_write_conflicts_when_its_document_changed,
                a_write_conflicts_when_its_document_appeared,
                a_write_conflicts_when_its_document_vanished,
                a_write_conflicts_when_its_document_was_created_again,
                a_read_conflicts_when_its_document_is_not_as_it_was,
                a_read_of_an_unchanged_document_does_not_conflict,
                earlier_commits_of_the_group_conflict_too,
                a_conflict_leaves_the_group_as_it_was,
                a_query_conflicts_when_a_result_changed_left_or_came,
                a_query_conflicts_with_a_result_that_came_and_went,
                a_query_does_not_conflict_with_what_never_matched,
                a_query_looks_at_its_source_alone,
                a_query_conflicts_with_earlier_commits_of_the_group,
                a_query_older_than_the_log_conflicts,
                the_conflicting_query_is_named,
            ],
            scans: [
                a_range_of_ids_is_scanned_in_both_directions,
                a_scan_stops_where_the_visitor_says,
                documents_of_a_range_are_counted_up_to_a_maximum,
                an_absent_collection_is_scanned_as_empty,
                subcollections_are_no_part_of_a_collection,
                a_group_has_every_collection_of_its_name_alone,
                scans_may_be_nested,
            ],
            indexes: [
                an_index_is_built_finished_and_dropped,
                what_dropped_indexes_leave_is_swept_step_by_step,
                numbers_of_indexes_are_never_used_again,
                a_dropped_group_creates_no_index,
                commits_maintain_entries,
                entries_are_joined_with_the_newest_documents,
                a_range_of_keys_is_scanned_in_both_directions,
                an_index_scan_stops_where_the_visitor_says,
                entries_of_a_range_are_counted_up_to_a_maximum,
                a_document_may_have_several_entries,
                keys_are_arbitrary_bytes,
                indexes_are_apart,
                an_entry_that_is_there_may_be_added_again,
                an_unknown_index_is_an_error,
                an_index_survives_for_snapshots_from_before_it_was_dropped,
                a_document_deleted_and_created_again_has_its_new_entries_alone,
            ],
            history: [
                changes_are_in_the_order_of_versions_and_paths,
                changes_carry_the_document_as_it_was_before,
                changes_after_a_version_exclude_it,
                changes_stop_where_the_visitor_says,
                documents_are_read_at_every_version,
                the_log_counts_its_rows_and_bytes,
                trimming_removes_whole_commits_up_to_a_version,
                trimming_keeps_to_the_bound_of_bytes,
                trimming_goes_in_steps,
                a_step_smaller_than_a_commit_still_removes_it,
                history_before_the_start_of_the_log_is_gone,
                trimming_forgets_nothing_that_is_current,
                a_group_reads_the_history_it_writes,
            ],
            concurrency: [
                a_snapshot_stays_the_same_while_groups_go_on,
                a_scan_under_way_sees_nothing_of_groups_that_finish_meanwhile,
                a_second_group_waits_for_the_first,
                readers_see_whole_groups_while_a_writer_goes_on,
                counters_incremented_by_many_threads_lose_nothing,
            ],
            model: [
                random_commits_agree_with_a_naive_model,
                random_trimming_agrees_with_a_naive_model,
                random_indexes_agree_with_a_naive_model,
            ],
        }
    };
    ($open:ident: $($module:ident: [$($case:ident),* $(,)?]),* $(,)?) => {
        $(mod $module {
            $(#[test]
            fn $case() {
                let store = super::$open();
                $crate::conformance::$module::$case(&*store);
            })*
        })*
    };
}
