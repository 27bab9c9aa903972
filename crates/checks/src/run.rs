//! All checks at once, each as a process of its own.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use golden_core::{ASSESSMENT_SCHEMA, Assessment, Finding, Kept};
use golden_host::LinuxHost;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::low_level;

use crate::check::{Check, Work};
use crate::child::{BUFFER_BYTES, Child, NotBegun, Subject, close_inherited};
use crate::family::{Adoption, Processes};
use crate::interrupt::Interrupt;
use crate::probe;

/// Longest wait for anything: a clock that jumps must not be waited for.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Pause after a wait that failed: nobody is to wait busily.
const AFTER_ERROR: Duration = Duration::from_millis(10);

/// Runs checks. One run at a time in a process, which has no other children that begin meanwhile: they would be killed.
pub struct Runner<'a> {
    host: &'a LinuxHost,
    about: Subject,
    probe_arguments: Vec<String>,
    wanted_until: Option<Instant>,
    tell: Box<dyn FnMut(&Finding) + 'a>,
}

impl<'a> Runner<'a> {
    /// Run checks of a machine about what runs on it.
    #[must_use]
    pub fn new(host: &'a LinuxHost, about: Subject) -> Self {
        Self { host, about, probe_arguments: Vec::new(), wanted_until: None, tell: Box::new(|_| ()) }
    }

    /// Hear of each result as soon as it is there.
    #[must_use]
    pub fn telling(self, tell: impl FnMut(&Finding) + 'a) -> Self {
        Self { tell: Box::new(tell), ..self }
    }

    /// Arguments with which the running program gets to [`crate::answer`].
    #[must_use]
    pub fn with_probe_arguments(self, arguments: &[&str]) -> Self {
        Self { probe_arguments: arguments.iter().map(ToString::to_string).collect(), ..self }
    }

    /// Wait for wanted checks no longer than until this, where somebody needs the rest of the time.
    #[must_use]
    pub fn with_wanted_until(self, wanted_until: Instant) -> Self {
        Self { wanted_until: Some(wanted_until), ..self }
    }

    /// Run them all, and wait for the last one, until the deadline at most: what has not passed by then has failed. Nothing that
    /// they started is left. The results come in the order of the checks.
    pub fn run(&mut self, checks: &[Check], deadline: Instant) -> Vec<Finding> {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let interrupt = Interrupt::begin();
        close_inherited();
        let adoption = Adoption::begin();
        let now = Instant::now();
        let wanted_until = self.wanted_until.map_or(deadline, |until| until.min(deadline));
        let jobs = checks.iter().map(|check| Job {
            check,
            deadline: if check.is_required() { deadline } else { wanted_until },
            state: State::Waiting(now),
            runs: 0,
            began: now,
            output: String::new(),
        });
        let mut all =
            Run { runner: self, jobs: jobs.collect(), adoption, buffer: vec![0; BUFFER_BYTES], interrupt };
        all.go();
        let Run { jobs, adoption, interrupt, .. } = all;
        drop(adoption);
        drop(interrupt);
        jobs.into_iter()
            .filter_map(|job| if let State::Done(finding) = job.state { Some(finding) } else { None })
            .collect()
    }

    /// What a run is as a whole.
    #[must_use]
    pub fn assessment(&self, report_only: bool, findings: Vec<Finding>) -> Assessment {
        Assessment {
            schema: ASSESSMENT_SCHEMA,
            toplevel: self.about.toplevel.clone(),
            boot: self.about.boot.clone(),
            report_only,
            findings,
            unknown: Kept::new(),
        }
    }
}

/// A check on its way.
struct Job<'a> {
    check: &'a Check,
    /// When nobody waits for it any longer.
    deadline: Instant,
    state: State,
    runs: u32,
    began: Instant,
    output: String,
}

enum State {
    /// To be run, not before this.
    Waiting(Instant),
    Running(Child),
    Done(Finding),
}

/// What came of one run.
struct Outcome {
    passed: bool,
    said: String,
    units: Vec<String>,
    /// Whether another run can come to something else.
    may_pass: bool,
}

struct Run<'a, 'b> {
    runner: &'b mut Runner<'a>,
    jobs: Vec<Job<'b>>,
    adoption: Adoption,
    buffer: Vec<u8>,
    interrupt: Interrupt,
}

impl Run<'_, '_> {
    /// Until every check is done.
    fn go(&mut self) {
        loop {
            for job in 0..self.jobs.len() {
                self.step(job);
            }
            let Some(until) = self.next_time() else { return };
            self.wait(until);
            if let Some(signal) = self.interrupt.came() {
                return self.stop(signal);
            }
        }
    }

    /// Do what is due for a check.
    fn step(&mut self, job: usize) {
        let now = Instant::now();
        let is_late = now >= self.jobs[job].deadline;
        match &self.jobs[job].state {
            State::Waiting(_) if is_late => {
                self.finish(job, Outcome::failed("there was no time left to run it"));
            }
            State::Waiting(from) if now >= *from => self.begin(job),
            State::Running(child) if is_late || now >= child.kill_at => {
                let timeout = self.jobs[job].check.timing.timeout;
                let why = if is_late {
                    "it was not over when the time for all checks was".to_owned()
                } else {
                    format!("no answer within {} s", timeout.as_secs())
                };
                self.kill(job, &why);
            }
            _ => {}
        }
    }

    /// When something is due next; `None` once all are done.
    fn next_time(&self) -> Option<Instant> {
        let times = self.jobs.iter().filter_map(|job| match &job.state {
            State::Waiting(from) => Some(job.deadline.min(*from)),
            State::Running(child) => Some(job.deadline.min(child.kill_at)),
            State::Done(_) => None,
        });
        times.min()
    }

    /// Wait until something is due or some check says something or ends.
    fn wait(&mut self, until: Instant) {
        let mut handles = Vec::new();
        let mut owners = Vec::new();
        for (number, job) in self.jobs.iter().enumerate() {
            let State::Running(child) = &job.state else { continue };
            handles.push(PollFd::new(&child.handle, PollFlags::IN));
            owners.push((number, true));
            if let Some(pipe) = &child.pipe {
                handles.push(PollFd::new(pipe, PollFlags::IN));
                owners.push((number, false));
            }
        }
        let interrupt = self.interrupt.handle();
        handles.extend(interrupt.as_ref().map(|handle| PollFd::new(handle, PollFlags::IN)));
        let left = until.saturating_duration_since(Instant::now()).min(LONGEST_WAIT);
        let left = Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: left.subsec_nanos().into() };
        // A signal that interrupts it is as good as a time that is over.
        if poll(&mut handles, Some(&left)).is_err() {
            std::thread::sleep(AFTER_ERROR);
        }
        let ready: Vec<bool> = handles.iter().map(|handle| !handle.revents().is_empty()).collect();
        drop(handles);
        let ready = owners.into_iter().zip(ready).filter_map(|(owner, is_ready)| is_ready.then_some(owner));
        let mut ended = Vec::new();
        for (job, has_ended) in ready {
            if has_ended {
                ended.push(job);
            } else if let State::Running(child) = &mut self.jobs[job].state {
                child.read(&mut self.buffer);
            }
        }
        if !ended.is_empty() {
            // One look for all of them: there may be many processes.
            let seen = Processes::look();
            for job in ended {
                self.end(job, &seen);
            }
        }
    }

    fn begin(&mut self, number: usize) {
        let job = &mut self.jobs[number];
        if job.runs == 0 {
            job.began = Instant::now();
        }
        let broken = matches!(job.check.work, Work::Broken(_));
        job.runs += u32::from(!broken);
        let Runner { host, about, probe_arguments, .. } = &*self.runner;
        match Child::begin(host, about, job.check, probe_arguments) {
            Ok(child) => job.state = State::Running(child),
            Err(NotBegun { why, may_pass }) => {
                self.conclude(number, Outcome { may_pass, ..Outcome::failed(why) });
            }
        }
    }

    /// One that has ended by itself.
    fn end(&mut self, number: usize, seen: &Processes) {
        let Some(mut child) = self.take(number) else { return };
        self.adoption.end(&self.jobs[number].check.name, child.id(), &self.running(), seen);
        let status = child.end(&mut self.buffer);
        let outcome = match (&self.jobs[number].check.work, status) {
            (Work::Probe(_), status) => match probe::read(child.tail.bytes()) {
                Some(answer) => {
                    self.jobs[number].output = answer.output;
                    Outcome { passed: answer.passed, units: answer.units, ..Outcome::failed(answer.said) }
                }
                None => self.said(
                    number,
                    &child,
                    Outcome::failed(format!("nothing could be learned: {}", how(status))),
                ),
            },
            (_, status) => {
                let passed = status.is_some_and(|status| status.success());
                self.said(number, &child, Outcome { passed, ..Outcome::failed(how(status)) })
            }
        };
        self.conclude(number, outcome);
    }

    fn said(&mut self, number: usize, child: &Child, outcome: Outcome) -> Outcome {
        self.jobs[number].output = child.tail.text();
        outcome
    }

    /// One that is not waited for any longer.
    fn kill(&mut self, number: usize, why: &str) {
        let Some(mut child) = self.take(number) else { return };
        child.kill();
        self.adoption.end(&self.jobs[number].check.name, child.id(), &self.running(), &Processes::look());
        let outcome = match child.end(&mut self.buffer) {
            Some(_) => Outcome::failed(why),
            // Another run would hang where this one does.
            None => Outcome {
                may_pass: false,
                ..Outcome::failed(format!("{why}; it hangs in the kernel and cannot be killed"))
            },
        };
        if !matches!(self.jobs[number].check.work, Work::Probe(_)) {
            self.jobs[number].output = child.tail.text();
        }
        self.conclude(number, outcome);
    }

    /// The process of a check that runs; it is to be waited for.
    fn take(&mut self, number: usize) -> Option<Child> {
        match std::mem::replace(&mut self.jobs[number].state, State::Waiting(Instant::now())) {
            State::Running(child) => Some(child),
            other => {
                self.jobs[number].state = other;
                None
            }
        }
    }

    fn running(&self) -> BTreeSet<i32> {
        let id = |job: &Job| if let State::Running(child) = &job.state { Some(child.id()) } else { None };
        self.jobs.iter().filter_map(id).collect()
    }

    /// Once more, or that was it.
    fn conclude(&mut self, number: usize, outcome: Outcome) {
        let job = &mut self.jobs[number];
        let again = Instant::now() + job.check.timing.interval;
        let may_pass = !outcome.passed && outcome.may_pass && job.runs <= job.check.timing.retries;
        if may_pass && again < job.deadline {
            job.state = State::Waiting(again);
        } else {
            self.finish(number, outcome);
        }
    }

    fn finish(&mut self, number: usize, outcome: Outcome) {
        let job = &mut self.jobs[number];
        let finding = Finding {
            check: job.check.name.clone(),
            weight: job.check.weight,
            passed: outcome.passed,
            said: outcome.said,
            output: std::mem::take(&mut job.output),
            runs: job.runs,
            millis: job.began.elapsed().as_millis().try_into().unwrap_or(u64::MAX),
            needs_network: job.check.needs_network,
            units: outcome.units,
            excuse: None,
            unknown: Kept::new(),
        };
        (self.runner.tell)(&finding);
        job.state = State::Done(finding);
    }

    /// Somebody wants us to end: what runs is killed with all the rest.
    fn stop(&mut self, signal: i32) {
        for number in 0..self.jobs.len() {
            if !matches!(self.jobs[number].state, State::Done(_)) {
                self.finish(number, Outcome::failed(format!("stopped by {}", signal_name(signal))));
            }
        }
    }
}

impl Outcome {
    fn failed(said: impl Into<String>) -> Self {
        Self { passed: false, said: said.into(), units: Vec::new(), may_pass: true }
    }
}

/// How a program ended.
fn how(status: Option<ExitStatus>) -> String {
    match status.map(|status| (status.code(), status.signal())) {
        Some((Some(code), _)) => format!("exited with status {code}"),
        Some((None, Some(number))) => format!("was killed by {}", signal_name(number)),
        _ => "nobody knows how it ended".to_owned(),
    }
}

fn signal_name(number: i32) -> String {
    low_level::signal_name(number).map_or_else(|| format!("signal {number}"), str::to_owned)
}
