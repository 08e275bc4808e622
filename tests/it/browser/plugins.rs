//! Plugins as an operator handles them in the page: a new version, back again, a pin, and why a file was rejected.

use std::{fs, os::unix::fs::PermissionsExt};

use harness_tests::{serving::TestHost, submission};
use serde_json::{Value, json};

use super::{Page, can_browse, engine};
use crate::chameleon::{chameleon, version};

const CONFIG: &str = "
server: {addr: '127.0.0.1:0'}
plugin_directory: ./plugins
commands: [{name: changing, plugin: chameleon, is_sync: true, tags: ['type:any']}]
clusters: [{name: any, tags: ['type:any']}]
";

fn put(directory: &TestHost, name: &str, bytes: &[u8]) {
    let folder = directory.path().join("plugins");
    fs::write(folder.join(".next"), bytes).unwrap();
    fs::set_permissions(folder.join(".next"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::rename(folder.join(".next"), folder.join(name)).unwrap();
}

/// The row of a version: its cells' text.
fn row(version: &str, test: &str) -> String {
    format!(
        "[...document.querySelectorAll('tbody tr')].some((row) => row.innerText.includes('{version}') && ({test}))"
    )
}

async fn press_in_row(page: &Page, version: &str, button: &str) {
    let code = format!(
        "[...document.querySelectorAll('tbody tr')].find((row) => row.innerText.includes('{version}')).querySelector('button').click(); return 1"
    );
    page.wait(&row(
        version,
        &format!("row.querySelector('button')?.textContent === '{button}'"),
    ))
    .await;
    page.js(&code, "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_are_swapped_rolled_back_and_pinned_and_a_rejected_file_says_why() {
    if !can_browse() {
        return;
    }
    let engine = engine().await;
    let directory = TestHost::new(CONFIG, &engine.url());
    put(&directory, "a.so", &chameleon(100, "good"));
    let host = directory.serve();
    let ran = || {
        let body = submission("type:any", "type:any", &json!({}));
        let call = || host.call("POST", "/api/v1/job", Some("o"), &body.to_string());
        let answer: Value = tokio::task::block_in_place(call).json();
        answer["result"]["version"].clone()
    };
    let page = Page::of(&host).await;
    page.is_used_by("olga").await;
    page.section("plugins").await;
    page.wait(&row(
        &version(100),
        "row.innerText.includes('ACTIVE') && row.innerText.includes('changing')",
    ))
    .await;

    // A new version and a bad file: one runs, the other says why it does not.
    put(&directory, "b.so", &chameleon(101, "good"));
    put(&directory, "c.so", &chameleon(102, "abort-at-open"));
    page.press("Read the directory again").await;
    page.wait(&row(&version(101), "row.innerText.includes('ACTIVE')"))
        .await;
    page.wait(&row(&version(102), "row.innerText.includes('REFUSED') && row.innerText.includes('CRASHED') && row.innerText.includes('SIGABRT')")).await;
    assert_eq!(ran(), version(101));

    // Back to the old one, which is pinned then; and on with the newest.
    press_in_row(&page, &version(100), "Use").await;
    page.wait(&row(
        &version(100),
        "row.innerText.includes('ACTIVE') && row.innerText.includes('pinned')",
    ))
    .await;
    assert_eq!(ran(), version(100));
    press_in_row(&page, &version(100), "Unpin").await;
    page.wait(&row(&version(101), "row.innerText.includes('ACTIVE')"))
        .await;
    assert_eq!(ran(), version(101));
    press_in_row(&page, &version(101), "Pin").await;
    page.wait(&row(&version(101), "row.innerText.includes('pinned')"))
        .await;

    // A version whose file is gone retires, and what it leaves behind is told.
    fs::remove_file(directory.path().join("plugins/a.so")).unwrap();
    page.press("Read the directory again").await;
    page.wait(&row(
        &version(100),
        "/RETIRED|DRAINING/.test(row.innerText)",
    ))
    .await;
    let until = std::time::Instant::now() + super::PATIENCE;
    while !page
        .js("return document.querySelector('main').innerText", "")
        .await
        .as_str()
        .unwrap()
        .contains("kB")
    {
        assert!(std::time::Instant::now() < until, "no residue is told");
        page.press("Refresh").await;
    }
}
