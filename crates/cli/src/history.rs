//! `golden history`

use std::fmt::Write;

use golden_host::command::Common;
use golden_host::{Error, describe, read_history};

pub(crate) fn run(common: &Common, json: bool) -> Result<String, Error> {
    let host = common.host();
    let mut answer = String::new();
    for line in read_history(&host, &common.options(&host).state_dir)? {
        let text = if json {
            serde_json::to_string(&line).unwrap_or_default()
        } else {
            format!("{}  {}", line.time, describe(&line.event))
        };
        let _ = writeln!(answer, "{text}");
    }
    if answer.is_empty() && !json {
        answer.push_str("nothing has happened yet\n");
    }
    Ok(answer)
}
