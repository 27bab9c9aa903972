//! A loader on several boot partitions: the firmware may start any of them, so all of them are kept alike.

use golden_core::{Loader, OneShot, Toplevel};

use super::BootLoader;
use crate::Error;

/// The same loader, once for each partition. The first one is the installer's.
pub(super) struct Mirrored<'a> {
    all: Vec<Box<dyn BootLoader + 'a>>,
}

impl<'a> Mirrored<'a> {
    /// `first` and its mirrors; just `first` where there are none.
    pub fn of(
        first: Box<dyn BootLoader + 'a>,
        mirrors: Vec<Box<dyn BootLoader + 'a>>,
    ) -> Box<dyn BootLoader + 'a> {
        if mirrors.is_empty() {
            return first;
        }
        Box::new(Self { all: std::iter::once(first).chain(mirrors).collect() })
    }

    fn first(&self) -> &dyn BootLoader {
        self.all[0].as_ref()
    }

    /// One that fails keeps none of the others from being done.
    fn each(&self, act: impl Fn(&dyn BootLoader) -> Result<(), Error>) -> Result<(), Error> {
        let done: Vec<Result<(), Error>> = self.all.iter().map(|loader| act(loader.as_ref())).collect();
        done.into_iter().collect()
    }

    fn every(&self, holds: impl Fn(&dyn BootLoader) -> Result<(), String>) -> Result<(), String> {
        self.all.iter().try_for_each(|loader| holds(loader.as_ref()))
    }
}

/// What all say; `None` where they do not agree.
fn agreed<T: PartialEq>(all: impl IntoIterator<Item = T>) -> Option<T> {
    let mut all = all.into_iter();
    let first = all.next()?;
    all.all(|other| other == first).then_some(first)
}

impl BootLoader for Mirrored<'_> {
    fn name(&self) -> &'static str {
        self.first().name()
    }

    fn has_one_shot(&self) -> Result<(), String> {
        self.every(|loader| loader.has_one_shot())
    }

    fn takes_default(&self) -> Result<(), String> {
        self.every(|loader| loader.takes_default())
    }

    fn doubts(&self) -> Vec<String> {
        let mut doubts: Vec<String> = self.all.iter().flat_map(|loader| loader.doubts()).collect();
        let seen: Result<Vec<Loader>, Error> = self.all.iter().map(|loader| loader.see()).collect();
        match seen {
            Ok(seen) if agreed(seen.iter().map(|seen| &seen.default)).is_none() => {
                doubts.push("the boot partition and its mirrors have different defaults".to_owned());
            }
            Ok(_) => {}
            Err(error) => doubts.push(error.chain()),
        }
        doubts
    }

    fn forget(&self) {
        self.all.iter().for_each(|loader| loader.forget());
    }

    /// The partition that this boot came from has taken its one-shot back, and the others have not: nobody read them.
    fn consume_one_shot(&self, booted: &Toplevel) -> Result<(), Error> {
        let seen = self.all.iter().map(|loader| loader.see()).collect::<Result<Vec<Loader>, Error>>()?;
        if seen.iter().any(|seen| seen.one_shot == OneShot::Clear) {
            return self.disarm();
        }
        self.each(|loader| loader.consume_one_shot(booted))
    }

    fn follow_installer(&self, toplevel: &Toplevel) -> Result<(), Error> {
        self.each(|loader| loader.follow_installer(toplevel))
    }

    fn see(&self) -> Result<Loader, Error> {
        let seen = self.all.iter().map(|loader| loader.see()).collect::<Result<Vec<Loader>, Error>>()?;
        let one_shots = || seen.iter().map(|seen| &seen.one_shot);
        let one_shot = match agreed(one_shots()) {
            Some(one_shot) => one_shot.clone(),
            // One of them was read, and had it.
            None if one_shots().any(|one_shot| *one_shot == OneShot::Clear) => OneShot::Clear,
            None => OneShot::Foreign,
        };
        let default = agreed(seen.iter().map(|seen| &seen.default)).cloned().flatten();
        let first = seen.into_iter().next().ok_or(Error::NoLoader)?;
        Ok(Loader { default, one_shot, ..first })
    }

    fn set_default(&self, toplevel: &Toplevel) -> Result<(), Error> {
        self.each(|loader| loader.set_default(toplevel))
    }

    fn arm(&self, toplevel: &Toplevel) -> Result<(), Error> {
        self.each(|loader| loader.arm(toplevel))
    }

    fn disarm(&self) -> Result<(), Error> {
        self.each(|loader| loader.disarm())
    }

    fn bless(&self, toplevel: &Toplevel) -> Result<(), Error> {
        self.each(|loader| loader.bless(toplevel))
    }

    fn check(&self, toplevel: &Toplevel) -> Result<(), Error> {
        self.each(|loader| loader.check(toplevel))
    }
}
