//! The documents.

use std::collections::HashMap;

use andiron_bench::{
    dataset::{CATEGORIES, ID_BYTES, document},
    workload::{ITEMS, LIST_LIMIT},
};

#[test]
fn a_document_is_a_function_of_its_number() {
    assert_eq!(document(17), document(17));
    assert_ne!(document(17), document(18));
    assert_eq!(document(17).id, "item00000000017");
    assert_eq!(document(999_999).id.len(), ID_BYTES);
}

#[test]
fn every_category_fills_a_list_and_no_order_is_left_to_chance() {
    let mut published: HashMap<String, u32> = HashMap::new();
    let mut moments: HashMap<_, u32> = HashMap::new();
    for number in 0..ITEMS {
        let document = document(number);
        *moments
            .entry((document.category.clone(), document.created_at))
            .or_default() += 1;
        *published.entry(document.category).or_default() += u32::from(document.published);
    }
    assert_eq!(published.len(), CATEGORIES as usize);
    assert!(
        published.values().all(|count| *count >= LIST_LIMIT),
        "{published:?}"
    );
    assert!(
        moments.values().all(|count| *count == 1),
        "two documents of a category at the same millisecond"
    );
}

#[test]
fn a_document_is_about_a_kilobyte() {
    let document = document(1);
    let texts = document.title.len() + document.body.len() + document.author.len() + document.category.len();
    assert!((750..1000).contains(&texts), "{texts} bytes of text alone");
}
