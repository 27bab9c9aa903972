//! A courier that is nobody's thread, and remembers what it carried.

#![allow(dead_code, reason = "each test uses a part")]

use std::cell::RefCell;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::Duration;

use golden_core::{Event, Toplevel};
use golden_host::operation::Options;
use golden_host::simulated::{SimulatedHost, World, boot_id};
use golden_host::{append_history, boot};
use golden_notify::{Command, Courier, Done, Kind, Outcome, Parcel, Round, Settings, Target, Way};

pub const STATE_DIR: &str = "/var/lib/golden-generation";

/// What a target got, and in which words.
#[derive(Debug, Clone)]
pub struct Sent {
    pub target: String,
    pub id: String,
    pub kind: Kind,
    pub title: String,
    pub text: String,
    pub dropped: u64,
    pub is_in_doubt: bool,
    pub issue: Option<u64>,
}

type Answers<'a> = Box<dyn Fn(&Parcel) -> Outcome + 'a>;

pub struct Post<'a> {
    pub sent: RefCell<Vec<Sent>>,
    answers: RefCell<Answers<'a>>,
    ready: RefCell<VecDeque<(usize, Outcome)>>,
}

impl<'a> Post<'a> {
    /// Every target has it at once.
    pub fn that_arrives() -> Self {
        Self::answering(|_| Outcome::Delivered { issue: None })
    }

    pub fn answering(answers: impl Fn(&Parcel) -> Outcome + 'a) -> Self {
        Self { sent: RefCell::default(), answers: RefCell::new(Box::new(answers)), ready: RefCell::default() }
    }

    pub fn now_answers(&self, answers: impl Fn(&Parcel) -> Outcome + 'a) {
        *self.answers.borrow_mut() = Box::new(answers);
    }

    pub fn of(&self, kind: Kind) -> Vec<Sent> {
        self.sent.borrow().iter().filter(|sent| sent.kind == kind).cloned().collect()
    }

    pub fn count(&self) -> usize {
        self.sent.borrow().len()
    }
}

impl Courier for &Post<'_> {
    fn start(&mut self, parcel: Parcel) {
        let letter = &parcel.letter;
        self.sent.borrow_mut().push(Sent {
            target: parcel.target.name.clone(),
            id: letter.message.id.clone(),
            kind: letter.message.kind,
            title: letter.title.clone(),
            text: letter.text.clone(),
            dropped: letter.dropped,
            is_in_doubt: letter.is_in_doubt,
            issue: parcel.issue,
        });
        let outcome = (self.answers.borrow())(&parcel);
        self.ready.borrow_mut().push_back((parcel.number, outcome));
    }

    fn finished(&mut self, _: Duration) -> Option<(usize, Outcome)> {
        self.ready.borrow_mut().pop_front()
    }
}

pub fn failing(_: &Parcel) -> Outcome {
    Outcome::Failed { said: "no answer in time".to_owned(), retry_after: None }
}

pub fn toplevel(name: &str) -> Toplevel {
    format!("/nix/store/{}-{name}", name[..1].repeat(4)).parse().unwrap()
}

pub fn options() -> Options {
    Options { state_dir: PathBuf::from(STATE_DIR), ..Options::default() }
}

/// Targets with these names, that are told of these events.
pub fn settings(names: &[&str], events: &[Kind]) -> Settings {
    let target = |name: &&str| Target {
        name: (*name).to_owned(),
        events: events.iter().copied().collect(),
        title: None,
        text: None,
        timeout: Duration::from_secs(20),
        way: Way::Command(Command { program: "true".into(), arguments: Vec::new() }),
    };
    Settings {
        host: Some("web1".to_owned()),
        targets: names.iter().map(target).collect(),
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        ..Settings::default()
    }
}

/// A machine that runs `a` in its first boot, without a history.
pub fn machine() -> SimulatedHost {
    let host = SimulatedHost::new(World::default(), options());
    host.change(|world| {
        std::sync::Arc::make_mut(&mut world.var).create_directory(Path::new(STATE_DIR));
        world.start(&toplevel("a"), &boot_id(1));
    });
    host
}

/// Another boot of the same machine.
pub fn boots(host: &SimulatedHost, system: &str, number: u64) {
    host.change(|world| {
        *world = world.after_shutdown().switched_off();
        world.start(&toplevel(system), &boot_id(number));
    });
}

pub fn happen(host: &SimulatedHost, event: &Event) {
    let boot = boot(host).unwrap();
    append_history(host, Path::new(STATE_DIR), &boot, event).unwrap();
}

pub fn notify(host: &SimulatedHost, settings: &Settings, post: &Post<'_>) -> Done {
    try_notify(host, settings, post).unwrap()
}

pub fn try_notify(
    host: &SimulatedHost,
    settings: &Settings,
    mut post: &Post<'_>,
) -> Result<Done, golden_host::Error> {
    Round::new(host, Path::new(STATE_DIR), settings)?.run(&mut post)
}
