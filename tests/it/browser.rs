//! The host's web page in a real browser: what people do with it, on screens that they have.
//!
//! Needs Debian's chromium and chromium-driver; without them the tests say so, and with `CI=true` that is an error. `HARNESS_SCREENSHOTS`
//! names a folder that gets a picture of each section at each width, in light and dark.

mod access;
mod keyboard;
mod large;
mod plugins;
mod screens;

use std::{
    io::{self, Write},
    net::{TcpListener, TcpStream},
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use engines::{client, embedded::Embedded, sample};
use fantoccini::{Client, ClientBuilder};
use harness_tests::serving::{Serving, TestHost};
use hyper::Method;
use hyper_util::client::legacy::connect::HttpConnector;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::hosts::have;

/// How long the page may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

const CONFIG: &str = "
server: {addr: '127.0.0.1:0'}
plugin_directory: ./plugins
commands: [{name: dynamo, plugin: dynamo, is_sync: true, tags: ['type:dynamodb'], cluster_tags: ['type:dynamodb']}]
clusters: [{name: local, tags: ['type:dynamodb']}]
";

/// Whether there is a browser to test with; says so where there is none.
fn can_browse() -> bool {
    have("chromedriver") && have("chromium")
}

/// The DynamoDB of these tests, with the sample's tables.
async fn engine() -> Embedded {
    let engine = tokio::task::spawn_blocking(|| {
        let engine = Embedded::start().unwrap();
        engine.load(&sample::tables()).unwrap();
        engine
    });
    engine.await.unwrap()
}

/// A page of the host in a browser of its own. Dropping it ends the browser.
struct Page {
    client: Client,
    session: String,
    driver: Driver,
}

/// A host whose DynamoDB is at `endpoint`, and its page.
async fn open(endpoint: &str) -> (TestHost, Serving, Page) {
    let directory = TestHost::new(CONFIG, endpoint);
    let host = directory.serve();
    let page = Page::of(&host).await;
    (directory, host, page)
}

/// The driver process, which leads a group of processes of its own, to which the browser belongs.
struct Driver {
    process: Child,
    port: u16,
    /// What both call temporary.
    _directory: TempDir,
}

impl Driver {
    /// Has it close the browser and end.
    fn shut_down(&mut self) -> io::Result<()> {
        let mut connection = TcpStream::connect(("127.0.0.1", self.port))?;
        connection.set_read_timeout(Some(PATIENCE))?;
        connection
            .write_all(b"GET /shutdown HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")?;
        io::copy(&mut connection, &mut io::sink())?;
        Ok(())
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // Killed alone, it would leave the browser.
        let _ = self.shut_down();
        let _ = kill_process_group(Pid::from_child(&self.process), Signal::KILL);
        let _ = self.process.wait();
    }
}

/// What the page shows, as text.
const TEXT: &str = "document.getElementById('main').innerText";

/// Follows the link from a statement's outcome to the page of its job.
const OPEN_THE_JOB: &str = "[...document.querySelectorAll('main a')].find((a) => a.textContent === 'Open the job').click()";

impl Page {
    /// The host's page, shown.
    async fn of(host: &Serving) -> Self {
        let page = Self::start(host).await;
        page.wait("document.querySelector('main h1')").await;
        page
    }

    /// From here on the page knows who uses it, and need not ask.
    async fn is_used_by(&self, name: &str) {
        self.js("sessionStorage.setItem('user', arguments[0])", name)
            .await;
    }

    /// The host's page, which may want to know who one is before it shows anything.
    async fn start(host: &Serving) -> Self {
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let directory = tempfile::tempdir().unwrap();
        let process = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .env("TMPDIR", directory.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap();
        let driver = Driver {
            process,
            port,
            _directory: directory,
        };
        let options = json!({"goog:chromeOptions": {"args": [
            "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
            "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"]}, "goog:loggingPrefs": {"browser": "ALL"}});
        let Value::Object(options) = options else {
            unreachable!("it is written as an object")
        };
        let until = Instant::now() + PATIENCE;
        let client = loop {
            let connected = ClientBuilder::new(HttpConnector::new())
                .capabilities(options.clone())
                .connect(&format!("http://127.0.0.1:{port}"))
                .await;
            match connected {
                Ok(client) => break client,
                Err(error) => assert!(Instant::now() < until, "{error}"),
            }
            thread::sleep(Duration::from_millis(50));
        };
        let session = client.session_id().await.unwrap().unwrap();
        client.goto(host.url()).await.unwrap();
        Self {
            client,
            session,
            driver,
        }
    }

    /// Runs JavaScript with one argument.
    async fn js(&self, code: &str, value: &str) -> Value {
        self.client.execute(code, vec![json!(value)]).await.unwrap()
    }

    /// Waits until an expression of JavaScript is true.
    async fn wait(&self, condition: &str) {
        let until = Instant::now() + PATIENCE;
        loop {
            let code = format!("return Boolean({condition})");
            let found = self.client.execute(&code, vec![]).await;
            if found.is_ok_and(|found| found == json!(true)) {
                return;
            }
            if Instant::now() >= until {
                let text = self
                    .client
                    .execute("return document.body.innerText", vec![])
                    .await;
                panic!("{condition} did not become true:\n{text:?}");
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until the page shows these words.
    async fn shows(&self, words: &str) {
        self.wait(&format!("{TEXT}.includes({})", json!(words)))
            .await;
    }

    /// Goes to a section.
    async fn section(&self, name: &str) {
        self.js("location.hash = '#' + arguments[0]", name).await;
        let here = format!("document.querySelector('nav a[aria-current]')?.hash === '#{name}'");
        self.wait(&format!("{here} && document.querySelector('main h1')"))
            .await;
    }

    /// Presses the button of the page that has these words.
    async fn press(&self, words: &str) {
        let code = "const found = [...document.querySelectorAll('button')].find((b) => b.textContent === arguments[0] && b.offsetParent); \
                    found?.click(); return Boolean(found)";
        assert_eq!(self.js(code, words).await, true, "no button '{words}'");
    }

    /// Writes a statement into the form and presses a button.
    async fn ask(&self, statement: &str, button: &str) {
        self.js("const t = document.querySelector('textarea'); t.value = arguments[0]; t.dispatchEvent(new Event('input', {bubbles: true}))", statement).await;
        self.press(button).await;
    }

    /// Gives name and token to the dialog that asks for them.
    async fn sign_in(&self, name: &str, token: &str) {
        self.wait("document.getElementById('sign-in').open").await;
        self.js(
            "document.querySelector('#sign-in form').elements.user.value = arguments[0]",
            name,
        )
        .await;
        self.js(
            "document.querySelector('#sign-in form').elements.token.value = arguments[0]",
            token,
        )
        .await;
        self.press("Use these").await;
    }

    /// Gives the page a screen of that width.
    async fn size(&self, width: u32) {
        let size = json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false});
        self.devtools("Emulation.setDeviceMetricsOverride", size)
            .await;
    }

    /// A command of Chromium's own protocol.
    async fn devtools(&self, command: &str, parameters: Value) {
        let url = format!(
            "http://127.0.0.1:{}/session/{}/goog/cdp/execute",
            self.driver.port, self.session
        );
        let body = json!({"cmd": command, "params": parameters}).to_string();
        let sent = tokio::task::spawn_blocking(move || {
            let kind = [("content-type", "application/json")];
            client::send(Method::POST, &url, &kind, body).unwrap()
        });
        let reply = sent.await.unwrap();
        assert_eq!(reply.status, 200, "{command}: {}", reply.json());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn people_query_read_errors_and_look_around_in_a_real_browser() {
    if !can_browse() {
        return;
    }
    let engine = engine().await;
    let (_directory, _host, page) = open(&engine.url()).await;

    // The host wants a name for a job: the page asks for it, and goes on with it.
    page.ask("SELECT * FROM every_type", "Run").await;
    page.sign_in("alice", "").await;
    // Rows are drawn with the browser's next frame.
    page.wait("document.querySelector('.grid-row .cell')").await;
    page.shows("SUCCEEDED").await;
    page.shows("5 rows").await;

    page.ask("SELECT * FROM my_table WHERE id = '123'", "Explain")
        .await;
    for words in [
        "What would be read",
        "Query",
        "index\nnone",
        "segments possible\nno\n",
    ] {
        page.shows(words).await;
    }

    // An error has its code, the line with a caret, and a hint: at once, and on the page of its job.
    page.ask("SELECT * FRM my_table", "Run").await;
    for words in ["INVALID_QUERY", "SELECT * FRM my_table", "^", "What to do"] {
        page.shows(words).await;
    }
    page.shows("Open the job").await;
    page.js(OPEN_THE_JOB, "").await;
    for words in ["FAILED", "INVALID_QUERY", "^", "What to do", "alice"] {
        page.shows(words).await;
    }

    // What else a job was asked with keeps its digits on the job's page.
    page.section("query").await;
    page.js("const p = document.querySelector('[name=parameters]'); p.value = arguments[0]; p.dispatchEvent(new Event('input', {bubbles: true}))", "[12345678901234567890123456789012345678]").await;
    page.ask("SELECT id FROM every_type WHERE digits = ?", "Run")
        .await;
    page.shows("1 row").await;
    page.js(OPEN_THE_JOB, "").await;
    page.shows("other fields").await;
    page.shows("12345678901234567890123456789012345678").await;

    page.section("jobs").await;
    page.shows("SELECT * FROM every_type").await;
    page.js("const f = document.querySelector('main form'); f.elements.status.value = 'FAILED'; f.requestSubmit()", "").await;
    page.wait(&format!("!{TEXT}.includes('every_type')")).await;
    page.shows("SELECT * FRM my_table").await;
    for (section, words) in [
        ("commands", "dynamo"),
        ("clusters", "local"),
        ("plugins", "ACTIVE"),
    ] {
        page.section(section).await;
        page.shows(words).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_table_holds_is_shown_as_it_is_and_never_becomes_markup() {
    if !can_browse() {
        return;
    }
    let engine = engine().await;
    let odd = json!({"odd": [{"id": {"S": "<img src=x onerror=alert(1)>"}, "empty": {"S": ""}, "nothing": {"NULL": true},
        "digits": {"N": "12345678901234567890123456789012345678"}, "map": {"M": {"a": {"L": [{"N": "1"}, {"S": "<b>x</b>"}]}}}}]});
    let load = tokio::task::spawn_blocking(move || engine.load(&odd).map(|()| engine));
    let engine = load.await.unwrap().unwrap();
    let (_directory, _host, page) = open(&engine.url()).await;
    page.is_used_by("alice").await;
    page.size(1280).await;
    page.ask("SELECT * FROM odd", "Run").await;
    page.wait("document.querySelector('.grid-row .cell')").await;
    let cells = "return [...document.querySelectorAll('.grid-row .cell')].map((c) => `${c.className.trim()}|${c.textContent}`)";
    let cells = page.js(cells, "").await;
    assert_eq!(
        cells,
        json!([
            "cell number right active|12345678901234567890123456789012345678",
            "cell blank|\"\"",
            "cell|<img src=x onerror=alert(1)>",
            "cell nested|{ 1 }  { \"a\": [ 1, \"<b>x</b>\" ] }",
            "cell null|null",
        ])
    );
    // Folded until it is opened, and text there as well.
    page.js("document.querySelector('.cell.nested').click()", "")
        .await;
    page.wait("document.getElementById('detail').open && document.getElementById('detail-text').textContent.includes('<b>x</b>')").await;
    let markup = "return document.querySelectorAll('main img, main b.x, dialog b').length";
    assert_eq!(page.js(markup, "").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_watched_and_cancelled() {
    if !can_browse() {
        return;
    }
    // A service that takes connections and never answers.
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", mute.local_addr().unwrap());
    let (_directory, _host, page) = open(&url).await;
    page.is_used_by("alice").await;
    page.ask("SELECT * FROM my_table", "Run").await;
    page.shows("RUNNING").await;
    page.press("Cancel").await;
    page.shows("The job was cancelled.").await;
    page.shows("CANCELED").await;
    page.section("jobs").await;
    page.shows("CANCELED").await;
}
