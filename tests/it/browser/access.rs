//! Tokens: asked for where the host wants one, kept for the tab only, and what a role does not reach is told.

use std::fs;

use harness_tests::serving::TestHost;
use serde_json::json;

use super::{CONFIG, Page, can_browse, engine};

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_asked_for_kept_for_the_tab_only_and_a_reader_is_told_what_it_may_not() {
    if !can_browse() {
        return;
    }
    let engine = engine().await;
    let config = CONFIG.replace(
        "plugin_directory",
        "auth: {token_file: ./tokens}\nplugin_directory",
    );
    let directory = TestHost::new(&config, &engine.url());
    fs::write(
        directory.path().join("tokens"),
        "read-token rita reader\nuse-token ulla user\nall-token anna admin\n",
    )
    .unwrap();
    let host = directory.serve();
    let page = Page::start(&host).await;

    // A wrong one is told, the next is taken.
    page.sign_in("", "wrong-token").await;
    page.wait("document.body.innerText.includes('UNAUTHENTICATED')")
        .await;
    page.js("document.getElementById('identity').click()", "")
        .await;
    page.sign_in("", "read-token").await;
    page.wait("document.querySelector('textarea')").await;

    // A reader reads, and is told what it may not.
    page.ask("SELECT * FROM my_table", "Run").await;
    page.shows("FORBIDDEN").await;
    page.section("plugins").await;
    page.shows("ACTIVE").await;
    page.press("Pin").await;
    page.wait("document.getElementById('notice').className === 'bad' && document.getElementById('notice').innerText.includes('role')").await;

    // In this tab's memory, and nowhere else: not in another tab, not in the address, not in a cookie.
    let kept = page.js("return [sessionStorage.getItem('token'), localStorage.length, document.cookie, location.href.includes('token')]", "").await;
    assert_eq!(kept, json!(["read-token", 0, "", false]));
    let first = page.client.window().await.unwrap();
    let other = page.client.new_window(true).await.unwrap();
    page.client.switch_to_window(other.handle).await.unwrap();
    page.client.goto(host.url()).await.unwrap();
    page.wait("document.getElementById('sign-in').open").await;
    assert_eq!(
        page.js("return sessionStorage.getItem('token')", "").await,
        json!(null)
    );
    page.client.switch_to_window(first).await.unwrap();

    // A user runs jobs under the token's name; only an admin changes plugins.
    page.js("document.getElementById('identity').click()", "")
        .await;
    page.sign_in("", "use-token").await;
    page.section("query").await;
    page.ask("SELECT * FROM my_table", "Run").await;
    page.shows("3 rows").await;
    page.section("jobs").await;
    page.shows("ulla").await;
    page.js("document.getElementById('identity').click()", "")
        .await;
    page.sign_in("", "all-token").await;
    page.section("plugins").await;
    page.press("Pin").await;
    page.shows("pinned").await;
}
