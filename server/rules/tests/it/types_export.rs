//! The declared types as TypeScript, Rust and JSON Schema.
//!
//! What is printed of `tests/types/shop.rules` lies beside it, so that a change is seen in review; `ANDIRON_ACCEPT=1`
//! writes it anew. The Rust is compiled into these tests, the TypeScript is given to the compiler by `cargo xtask test`.

use std::path::{Path, PathBuf};

use andiron_rules::declared_types::{TypeLanguage, print_types};
use andiron_rules::testing::Subject;
use andiron_rules::{Limits, Program, Source};
use serde_json::{Value, json};

#[expect(
    dead_code,
    unreachable_pub,
    reason = "the module is as clients have it, and not all of it is used here"
)]
#[path = "../types/shop.rs"]
mod shop;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/types")
}

fn printed(rules: &str, language: TypeLanguage) -> String {
    let program = Program::single(Source::new("shop.rules", rules).unwrap());
    let subject = Subject::new(program, Limits::default());
    let problems: Vec<_> = subject.diagnostics().map(|problem| &problem.message).collect();
    assert!(!subject.has_errors(), "{problems:?}");
    print_types(subject.program(), subject.checked(), language)
}

fn shop_rules() -> String {
    std::fs::read_to_string(folder().join("shop.rules")).unwrap()
}

#[test]
fn the_printed_types_are_those_that_lie_beside_the_rules() {
    for (language, name) in [
        (TypeLanguage::TypeScript, "shop.ts"),
        (TypeLanguage::Rust, "shop.rs"),
        (TypeLanguage::JsonSchema, "shop.schema.json"),
    ] {
        let printed = printed(&shop_rules(), language);
        let file = folder().join(name);
        if std::env::var_os("ANDIRON_ACCEPT").is_some() {
            std::fs::write(&file, &printed).unwrap();
        }
        let accepted = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(
            printed == accepted,
            "{name} is not what is printed; ANDIRON_ACCEPT=1 accepts\n{printed}"
        );
    }
}

/// A product with every kind of value.
fn product() -> Value {
    json!({
        "title": "A book",
        "tags": ["new"],
        "prices": {"EUR": 12.5},
        "kind": "gift card",
        "stock": 3,
        "weight": null,
        "size": {"width": 1.5, "height": 2.0},
        "addedBy": {"$ref": "users/alice"},
        "addedAt": {"$time": "2026-11-22T05:40:35.123456Z"},
        "shop": {"$geo": [48.1, 11.5]},
        "is-new": true,
        "type": 2,
    })
}

#[test]
fn the_generated_rust_reads_and_writes_documents_as_the_server_sends_them() {
    let read: shop::Product = serde_json::from_value(product()).unwrap();
    assert_eq!(read.added_at.value, "2026-11-22T05:40:35.123456Z");
    assert_eq!(read.kind, shop::ProductKind::GiftCard);
    assert_eq!(read.r#type, Some(2));
    let mut again = serde_json::to_value(&read).unwrap();
    // A null in an optional field is not told from its absence.
    again["weight"] = Value::Null;
    assert_eq!(again, product());

    let order = json!({
        "items": [{"product": {"$ref": "products/p"}, "count": 1, "note": "fragile"}],
        "status": null, "history": ["open", "paid"], "total": 5.0, "extra": [1, null],
        "address": {"street": "A", "city": "B", "where": {"floor": 3}},
        "parent": {"items": [], "status": "sent", "history": [], "total": 1.0, "extra": null, "address": "here"},
        "anything": {"else": true},
    });
    let read: shop::Order = serde_json::from_value(order.clone()).unwrap();
    assert_eq!(read.other["anything"], json!({"else": true}));
    assert_eq!(serde_json::to_value(&read).unwrap(), order);
}

#[test]
fn the_generated_rust_refuses_what_is_not_of_the_type() {
    let mut unknown = product();
    unknown["colour"] = json!("red");
    let mut wrong = product();
    wrong["kind"] = json!("car");
    let mut missing = product();
    missing.as_object_mut().unwrap().remove("title");
    for value in [unknown, wrong, missing] {
        assert!(
            serde_json::from_value::<shop::Product>(value.clone()).is_err(),
            "{value}"
        );
    }
}

#[test]
fn names_that_languages_do_not_take_are_given_others() {
    let rules = "rules_version = 'andiron1';
type Timestamp = { type: string, self: int, 'a b': int, 'a-b': int, '': int, '1st': bool, ref?: Vec };
type Vec = 'a b' | 'a-b' | '' | 'self';
service cloud.firestore { match /databases/{d}/documents { match /x/{id} is Timestamp { allow get: if request.auth != null; } } }";
    let rust = printed(rules, TypeLanguage::Rust);
    for expected in [
        "pub struct Timestamp2 {",
        "pub r#type: String",
        "pub self_: i64",
        "#[serde(rename = \"a b\")]\n    pub a_b: i64",
        "#[serde(rename = \"a-b\")]\n    pub a_b2: i64",
        "#[serde(rename = \"1st\")]\n    pub _1st: bool",
        "pub enum Vec2 {",
        "    AB,",
        "    AB2,",
        "    Empty,",
        "    Self_,",
    ] {
        assert!(rust.contains(expected), "{expected}\n{rust}");
    }
    let typescript = printed(rules, TypeLanguage::TypeScript);
    assert!(typescript.contains("\"a b\": number;"), "{typescript}");
    assert!(
        typescript.contains("export interface Timestamp2 {"),
        "{typescript}"
    );
}

#[cfg(feature = "published-grammar")]
#[test]
fn the_generated_typescript_compiles_and_refuses_what_is_not_of_the_type() {
    use std::process::Command;

    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools/typescript");
    let compiler = tools.join("node_modules/typescript/bin/tsc");
    if !compiler.is_file() {
        std::fs::create_dir_all(&tools).unwrap();
        std::fs::write(tools.join("package.json"), "{\"private\": true}\n").unwrap();
        let status = Command::new("npm")
            .args([
                "install",
                "--ignore-scripts",
                "--no-audit",
                "--no-fund",
                "--save-exact",
                "typescript@5.9.3",
            ])
            .current_dir(&tools)
            .status()
            .unwrap();
        assert!(status.success(), "npm could not install typescript");
    }
    let check = |uses: &str| {
        let project = tempfile::tempdir().unwrap();
        std::fs::copy(folder().join("shop.ts"), project.path().join("shop.ts")).unwrap();
        let text = format!("import type {{ Collections, Order, Product }} from './shop';\n{uses}\n");
        std::fs::write(project.path().join("uses.ts"), text).unwrap();
        let output = Command::new("node")
            .arg(&compiler)
            .args([
                "--strict",
                "--noEmit",
                "--target",
                "es2022",
                "--module",
                "es2022",
                "--moduleResolution",
                "bundler",
            ])
            .arg("uses.ts")
            .current_dir(project.path())
            .output()
            .unwrap();
        (
            output.status.success(),
            String::from_utf8_lossy(&output.stdout).into_owned(),
        )
    };
    let product = product();
    let (compiles, said) = check(&format!(
        "export const product: Product = {product};
        export const order: Collections['users/{{uid}}/orders'] = {{ items: [], status: 'open', history: [], total: 1,
          extra: 1, address: 'here', more: [1] }};
        export const status: 'open' | 'paid' | 'sent' | null = order.status;"
    ));
    assert!(compiles, "{said}");
    for wrong in [
        "export const product: Product = { title: 'x' };",
        "export const status: Order['status'] = 'lost';",
        "export const total: Order['total'] = '5';",
    ] {
        let (compiles, _) = check(wrong);
        assert!(!compiles, "{wrong}");
    }
}
