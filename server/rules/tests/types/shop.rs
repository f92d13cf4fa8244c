//! The types of the rules, as `andiron types --lang rust` prints them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Bytes: base64 of the standard alphabet, padded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bytes {
    /// Its text in value JSON.
    #[serde(rename = "$bytes")]
    pub value: String,
}

/// A place: latitude and longitude in degrees.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GeoPoint {
    /// Its text in value JSON.
    #[serde(rename = "$geo")]
    pub value: [f64; 2],
}

/// A document: its path.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// Its text in value JSON.
    #[serde(rename = "$ref")]
    pub value: String,
}

/// A moment: RFC 3339, with up to six digits of fraction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timestamp {
    /// Its text in value JSON.
    #[serde(rename = "$time")]
    pub value: String,
}

/// A thing that is sold.
///
/// It has a price in each currency.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Product {
    /// Where `size() > 0 && size() <= 120`.
    pub title: String,
    /// What people search for.
    /// Where `size() <= 10`.
    pub tags: Vec<String>,
    pub prices: BTreeMap<String, f64>,
    pub kind: ProductKind,
    /// Where `this >= 0 && this < 1000000`.
    pub stock: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<ProductSize>,
    #[serde(rename = "addedBy")]
    pub added_by: Reference,
    #[serde(rename = "addedAt")]
    pub added_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Bytes>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shop: Option<ProductShop>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(rename = "is-new")]
    pub is_new: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r#type: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ProductShop {
    GeoPoint(GeoPoint),
    String(String),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProductSize {
    pub width: f64,
    pub height: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub depth: Option<f64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ProductKind {
    #[serde(rename = "book")]
    Book,
    #[serde(rename = "game")]
    Game,
    #[serde(rename = "gift card")]
    GiftCard,
}

pub type Rating = i64;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Status {
    #[serde(rename = "open")]
    Open,
    #[serde(rename = "paid")]
    Paid,
    #[serde(rename = "sent")]
    Sent,
}

pub type Note = Option<String>;

/// What somebody buys.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Order {
    pub items: Vec<OrderItemsItem>,
    pub status: Option<Status>,
    pub history: Vec<Status>,
    pub total: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rating: Option<Rating>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Box<Order>>,
    pub extra: serde_json::Value,
    pub address: OrderAddress,
    /// Fields that the type does not name.
    #[serde(flatten)]
    pub other: BTreeMap<String, serde_json::Value>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum OrderAddress {
    Address(Address),
    String(String),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderItemsItem {
    pub product: Reference,
    pub count: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Note>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Address {
    pub street: String,
    pub city: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r#where: Option<BTreeMap<String, serde_json::Value>>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tree {
    pub value: i64,
    pub children: Vec<Tree>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<Box<Tree>>,
}

pub type Everything = BTreeMap<String, Vec<String>>;

/// Which collection holds documents of which type.
pub const COLLECTIONS: &[(&str, &str)] = &[
    ("config/main", "Everything"),
    ("products", "Product"),
    ("users/{uid}/orders", "Order"),
    ("{path=**}/trees", "Tree"),
];
