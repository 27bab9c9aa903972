//! The status page in a real browser: headless Chromium, which is asked over its debugging pipe.
//!
//! Source: the Chrome `DevTools` protocol.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use base64::Engine;
use golden_serve::fleet::Sources;
use golden_serve::{Limits, Options, Server};
use serde_json::{Value, json};

use crate::tally::Tally;

/// Made-up hosts.
const DOCUMENTS: &str = "crates/serve/tests/documents";
/// What the pages look like, to be looked at by a person.
const SCREENSHOTS: &str = "target/page";
/// The whole of it takes a few seconds; a browser that hangs is killed. In seconds.
const TIMEOUT_SECS: &str = "180";
/// Debian's package, and its program.
const BROWSER: &str = "chromium";

/// A screen, and what its owner prefers.
struct Screen {
    name: &'static str,
    width: u32,
    scheme: &'static str,
}

const SCREENS: [Screen; 4] = [
    Screen { name: "phone", width: 360, scheme: "light" },
    Screen { name: "phone-dark", width: 360, scheme: "dark" },
    Screen { name: "desk", width: 1280, scheme: "light" },
    Screen { name: "desk-dark", width: 1280, scheme: "dark" },
];

/// Show every page on every screen, and complain.
pub(crate) fn all(tally: &mut Tally) -> Result<()> {
    println!("== the status page in Chromium");
    install()?;
    let mut browser = Browser::start()?;
    fs::create_dir_all(SCREENSHOTS)?;
    for name in documents()? {
        let address = serve(Some(&name), None)?;
        tally.verdict(&format!("the page of {name}"), &complaints(&mut browser, &name, &address)?);
    }
    let fleet = serve(None, Some(DOCUMENTS.into()))?;
    tally.verdict("the page of a fleet", &complaints(&mut browser, "fleet", &fleet)?);
    let nothing = serve(None, None)?;
    tally.verdict(
        "the page of a host that published nothing",
        &complaints(&mut browser, "nothing", &nothing)?,
    );
    println!("what they look like: {SCREENSHOTS}");
    Ok(())
}

/// How many checks there are.
pub(crate) fn count() -> Result<usize> {
    Ok(documents()?.len() + 2)
}

pub(crate) fn run() -> Result<bool> {
    let mut tally = Tally::default();
    all(&mut tally)?;
    println!("{tally}");
    Ok(tally.failed == 0)
}

fn documents() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(DOCUMENTS).context("there are no documents here: run this in the checkout")? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        names.extend(name.strip_suffix(".json").map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

fn install() -> Result<()> {
    if Path::new("/usr/bin").join(BROWSER).exists() {
        return Ok(());
    }
    println!("== installing {BROWSER}");
    for arguments in
        [&["update", "-q"][..], &["install", "-qy", "--no-install-recommends", BROWSER, "fonts-dejavu-core"]]
    {
        let mut command = Command::new("apt-get");
        let status = command.env("DEBIAN_FRONTEND", "noninteractive").args(arguments).status();
        ensure!(status.context("cannot run apt-get")?.success(), "{BROWSER} cannot be installed");
    }
    Ok(())
}

/// Serve until this program ends.
fn serve(document: Option<&str>, directory: Option<PathBuf>) -> Result<String> {
    let document = document.unwrap_or("nothing-here");
    let server = Server::new(&Options {
        listen: vec!["127.0.0.1:0".parse()?],
        published: format!("{DOCUMENTS}/{document}.json").into(),
        sources: Sources { addresses: vec![], directory },
        names: vec![],
        idle: Duration::from_secs(600),
        limits: Limits::default(),
    })?;
    let address = server.addresses().first().context("it does not listen")?.to_string();
    thread::spawn(move || server.run());
    Ok(format!("http://{address}"))
}

fn complaints(browser: &mut Browser, name: &str, address: &str) -> Result<String> {
    let mut complaints = String::new();
    for screen in &SCREENS {
        let seen = browser.show(
            screen,
            address,
            &Path::new(SCREENSHOTS).join(format!("{name}-{}.png", screen.name)),
        )?;
        for complaint in seen {
            let _ = writeln!(complaints, "on {}: {complaint}", screen.name);
        }
    }
    Ok(complaints)
}

/// A browser with one page.
struct Browser {
    process: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    profile: PathBuf,
    session: Option<String>,
    next: u64,
    /// What happened since it was last looked at.
    events: Vec<Value>,
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.profile);
    }
}

impl Browser {
    fn start() -> Result<Self> {
        // It reads commands from descriptor 3 and writes to 4.
        const START: &str = r#"
            exec timeout "$1" "$2" --headless --no-sandbox --disable-gpu --disable-background-networking --no-first-run \
                --hide-scrollbars --user-data-dir="$3" --remote-debugging-pipe about:blank 3<&0 4>&1 </dev/null >/dev/null 2>&1"#;
        let profile = std::env::temp_dir().join(format!("golden-page-{}", std::process::id()));
        let mut process = Command::new("bash")
            .args(["-euc", START, "browser", TIMEOUT_SECS, BROWSER])
            .arg(&profile)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot run bash")?;
        let to = process.stdin.take().context("no pipe to the browser")?;
        let from = BufReader::new(process.stdout.take().context("no pipe from the browser")?);
        let mut browser = Self { process, to, from, profile, session: None, next: 1, events: Vec::new() };
        let target =
            browser.ask("Target.createTarget", &json!({ "url": "about:blank" }))?["targetId"].clone();
        let session =
            browser.ask("Target.attachToTarget", &json!({ "targetId": target, "flatten": true }))?;
        browser.session = session["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.ask(&format!("{domain}.enable"), &json!({}))?;
        }
        Ok(browser)
    }

    /// What is wrong with a page.
    fn show(&mut self, screen: &Screen, address: &str, screenshot: &Path) -> Result<Vec<String>> {
        let size = json!({ "width": screen.width, "height": 800, "deviceScaleFactor": 1, "mobile": screen.width < 600 });
        self.ask("Emulation.setDeviceMetricsOverride", &size)?;
        let scheme = json!({ "features": [{ "name": "prefers-color-scheme", "value": screen.scheme }] });
        self.ask("Emulation.setEmulatedMedia", &scheme)?;
        self.events.clear();
        self.ask("Page.navigate", &json!({ "url": address }))?;
        self.wait_for("Page.loadEventFired")?;
        let mut complaints = Vec::new();
        let width = self.evaluate("document.documentElement.scrollWidth")?;
        if width.as_u64().is_none_or(|width| width > screen.width.into()) {
            complaints.push(format!("it is {width} wide, and the screen {}", screen.width));
        }
        if self.evaluate("getComputedStyle(document.querySelector('.banner')).color")? != "rgb(255, 255, 255)"
        {
            complaints.push("the style sheet is not in force".to_owned());
        }
        let faint = self.evaluate(FAINT)?;
        if faint != json!([]) {
            complaints.push(format!("text that is hard to read: {faint}"));
        }
        let shot = self.ask("Page.captureScreenshot", &json!({ "captureBeyondViewport": true }))?;
        let png =
            base64::engine::general_purpose::STANDARD.decode(shot["data"].as_str().unwrap_or_default())?;
        fs::write(screenshot, png)?;
        complaints.extend(self.events.iter().filter_map(|event| trouble(event, address)));
        Ok(complaints)
    }

    fn evaluate(&mut self, expression: &str) -> Result<Value> {
        let answer =
            self.ask("Runtime.evaluate", &json!({ "expression": expression, "returnByValue": true }))?;
        ensure!(answer["exceptionDetails"].is_null(), "{expression}: {answer}");
        Ok(answer["result"]["value"].clone())
    }

    fn ask(&mut self, method: &str, parameters: &Value) -> Result<Value> {
        let id = self.next;
        self.next += 1;
        let mut message = json!({ "id": id, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        self.to.write_all(format!("{message}\0").as_bytes()).context("the browser is gone")?;
        self.to.flush()?;
        loop {
            let answer = self.read()?;
            if answer["id"] != json!(id) {
                self.events.push(answer);
                continue;
            }
            ensure!(answer["error"].is_null(), "{method}: {}", answer["error"]);
            return Ok(answer["result"].clone());
        }
    }

    fn wait_for(&mut self, method: &str) -> Result<()> {
        while !self.events.iter().any(|event| event["method"] == method) {
            let event = self.read()?;
            self.events.push(event);
        }
        Ok(())
    }

    fn read(&mut self) -> Result<Value> {
        let mut bytes = Vec::new();
        self.from.read_until(0, &mut bytes)?;
        if bytes.pop() != Some(0) {
            bail!("the browser is gone, or did not answer for {TIMEOUT_SECS} s");
        }
        Ok(serde_json::from_slice(&bytes)?)
    }
}

/// Texts with less contrast than 4.5 to 1 against what is behind them. Source: WCAG 2.2, 1.4.3.
const FAINT: &str = r"
(() => {
  const parse = text => (text.match(/[\d.]+/g) || []).map(Number);
  const over = (top, below) => { const a = top[3] ?? 1; return [0, 1, 2].map(i => top[i] * a + below[i] * (1 - a)); };
  const light = rgb => { const [r, g, b] = rgb.map(v => { v /= 255; return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; });
    return .2126 * r + .7152 * g + .0722 * b; };
  const behind = element => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) layers.push(parse(getComputedStyle(at).backgroundColor));
    return layers.reverse().reduce((below, top) => top.length ? over(top, below) : below, [255, 255, 255]);
  };
  const faint = [];
  for (const element of document.querySelectorAll('body *')) {
    const says = [...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim());
    const style = getComputedStyle(element);
    if (!says || style.fontSize === '0px' || !element.offsetParent) continue;
    const back = behind(element), front = over([...parse(style.color).slice(0, 3), Number(style.opacity)], back);
    const [low, high] = [light(front), light(back)].sort((a, b) => a - b);
    if ((high + .05) / (low + .05) < 4.5) faint.push(element.textContent.trim().slice(0, 40));
  }
  return faint;
})()";

/// A request to somebody else, or an error.
fn trouble(event: &Value, address: &str) -> Option<String> {
    let parameters = &event["params"];
    match event["method"].as_str()? {
        "Network.requestWillBeSent" => {
            let url = parameters["request"]["url"].as_str().unwrap_or_default();
            (!url.starts_with(address)).then(|| format!("it asks {url}"))
        }
        "Runtime.exceptionThrown" => Some(format!("a script fails: {parameters}")),
        "Log.entryAdded" if parameters["entry"]["level"] == "error" && !is_expected(&parameters["entry"]) => {
            Some(format!("{}", parameters["entry"]["text"]))
        }
        _ => None,
    }
}

/// A host that published nothing says so with a status of its own.
fn is_expected(entry: &Value) -> bool {
    entry["text"].as_str().is_some_and(|text| text.contains("status of 503"))
}
