//! The host's web page in a real browser: what people do with it, on screens that they have.
//!
//! Needs Debian's chromium and chromium-driver; without them the test says so, and with `CI=true` that is an error.

use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use engines::{embedded::Embedded, sample};
use fantoccini::{Client, ClientBuilder};
use harness_tests::serving::TestHost;
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};

use crate::hosts::have;

/// How long the page may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

const CONFIG: &str = "
server: {addr: '127.0.0.1:0'}
plugin_directory: ./plugins
commands: [{name: dynamo, plugin: dynamo, is_sync: true, tags: ['type:dynamodb'], cluster_tags: ['type:dynamodb']}]
clusters: [{name: local, tags: ['type:dynamodb']}]
";

/// The driver process. Dropping it ends the browser as well.
struct Driver(Child, u16);

impl Driver {
    fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let process = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self(process, port)
    }

    async fn browser(&self) -> Client {
        let options = json!({"goog:chromeOptions": {"args": [
            "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
            "--disable-component-update", "--disable-sync"]}, "goog:loggingPrefs": {"browser": "ALL"}});
        let Value::Object(options) = options else {
            unreachable!("it is written as an object")
        };
        let until = Instant::now() + PATIENCE;
        loop {
            let connected = ClientBuilder::new(HttpConnector::new())
                .capabilities(options.clone())
                .connect(&format!("http://127.0.0.1:{}", self.1))
                .await;
            match connected {
                Ok(client) => return client,
                Err(error) => assert!(Instant::now() < until, "{error}"),
            }
            thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until an expression of JavaScript is true in the page.
async fn wait_for(page: &Client, condition: &str) {
    let until = Instant::now() + PATIENCE;
    loop {
        let found = page
            .execute(&format!("return Boolean({condition})"), vec![])
            .await;
        if found.is_ok_and(|found| found == json!(true)) {
            return;
        }
        if Instant::now() >= until {
            let text = page.execute("return document.body.innerText", vec![]).await;
            panic!("{condition} did not become true:\n{text:?}");
        }
        thread::sleep(Duration::from_millis(50));
    }
}

async fn act(page: &Client, code: &str, value: &str) -> Value {
    page.execute(code, vec![json!(value)]).await.unwrap()
}

/// Writes a statement into the form and presses a button.
async fn ask(page: &Client, statement: &str, button: &str) {
    act(page, "const t = document.querySelector('textarea'); t.value = arguments[0]; t.dispatchEvent(new Event('input', {bubbles: true}))", statement).await;
    act(page, "[...document.querySelectorAll('form button')].find((b) => b.textContent === arguments[0]).click()", button).await;
}

const TEXT: &str = "document.getElementById('main').innerText";

#[tokio::test(flavor = "multi_thread")]
async fn people_query_read_errors_and_look_around_in_a_real_browser() {
    if !have("chromedriver") || !have("chromium") {
        return;
    }
    let engine = tokio::task::spawn_blocking(|| {
        let engine = Embedded::start().unwrap();
        engine.load(&sample::tables()).unwrap();
        engine
    });
    let engine = engine.await.unwrap();
    let place = TestHost::new(CONFIG, &engine.url());
    let host = place.serve();
    let driver = Driver::start();
    let page = driver.browser().await;
    page.goto(host.url()).await.unwrap();
    wait_for(&page, "document.querySelector('textarea')").await;

    // The host wants a name for a job: the page asks for it, and goes on with it.
    ask(&page, "SELECT * FROM every_type", "Run").await;
    wait_for(&page, "document.getElementById('sign-in').open").await;
    act(&page, "const f = document.querySelector('#sign-in form'); f.elements.user.value = arguments[0]; f.querySelector('button').click()", "alice").await;
    // Rows are drawn with the browser's next frame.
    wait_for(&page, "document.querySelector('.grid-row .cell')").await;
    let cells = act(&page, "return [...document.querySelectorAll('.cell')].map((c) => c.className + '|' + c.textContent).join('\\n')", "").await;
    let cells = cells.as_str().unwrap().to_owned();
    assert!(
        cells.contains("12345678901234567890123456789012345678"),
        "long numbers keep their digits: {cells}"
    );
    assert!(
        cells.contains("cell null|null"),
        "null is told from a text: {cells}"
    );
    wait_for(
        &page,
        &format!("{TEXT}.includes('SUCCEEDED') && {TEXT}.includes('5 rows')"),
    )
    .await;

    ask(&page, "SELECT * FROM my_table WHERE id = '123'", "Explain").await;
    wait_for(
        &page,
        &format!("{TEXT}.includes('What would be read') && {TEXT}.includes('Query')"),
    )
    .await;

    ask(&page, "SELECT * FRM my_table", "Run").await;
    wait_for(&page, &format!("{TEXT}.includes('INVALID_QUERY') && {TEXT}.includes('^') && {TEXT}.includes('What to do')")).await;

    for (section, text) in [
        ("jobs", "FAILED"),
        ("commands", "dynamo"),
        ("clusters", "local"),
        ("plugins", "ACTIVE"),
    ] {
        act(&page, "location.hash = '#' + arguments[0]", section).await;
        wait_for(&page, &format!("{TEXT}.includes('{text}') && document.querySelector('nav a[aria-current]').hash === '#{section}'")).await;
        // No section is wider than a small screen.
        for width in [500, 1280, 2560] {
            page.set_window_size(width, 900).await.unwrap();
            wait_for(
                &page,
                "document.documentElement.scrollWidth <= document.documentElement.clientWidth",
            )
            .await;
        }
    }

    // What a table holds is text: an item with markup in its name does not become any.
    act(&page, "location.hash = arguments[0]", "#query").await;
    wait_for(&page, "document.querySelector('textarea')").await;
    ask(
        &page,
        "SELECT \"<img src=x onerror=alert(1)>\" FROM my_table",
        "Run",
    )
    .await;
    wait_for(&page, "document.querySelector('.grid-row .cell')").await;
    assert_eq!(
        act(
            &page,
            "return document.querySelectorAll('main img').length",
            ""
        )
        .await,
        0
    );
    page.close().await.unwrap();
}
